/* What a reader has learnt of earlier documents: a tree of shapes, one for each place where values stand (the value of
 * a key, the elements of an array). It makes the next document fast and changes nothing else: that may be quite
 * different.
 *
 * Everything learnt has a cap. Keys that are long or not plain ASCII are not learnt, nor those of an object with too
 * many of them: their values share one shape, as the elements of an array do. At most RETAB_SHAPES shapes are learnt,
 * that is about half a mebibyte; a reader that has so many starts anew with the next document. Where a function returns
 * NULL, nothing is to be learnt.
 *
 * A constructor is a Lua function that makes a table with known keys, from values in the order of the keys. Lua fills
 * such a table faster than its API does, and LuaJIT copies a table that has the keys already (bench/decode.lua).
 *
 * Lua strings and functions that are learnt are kept in a table, the reader's user value, which is on the Lua stack at
 * `anchors` during a decode. Where there is no memory, functions raise. */
#pragma once

#include <stddef.h>

#include "../compat.h"

#pragma GCC visibility push(hidden)

#define RETAB_SHAPES 2048

/* An object with more keys is a map: its keys are data. A Lua function may have so many parameters. */
#define RETAB_SHAPE_KEYS 64

/* Longer keys are not learnt. A quoted key with its colon fits 64 bytes. */
#define RETAB_SHAPE_KEY 61

struct retab_shape {
    /* as the value of a key: anchors[key] is the Lua string of the key, and 0 stands for none */
    char quoted[RETAB_SHAPE_KEY + 3]; /* as it stands in most texts: "key": */
    unsigned quoted_length;
    int key;

    /* as a container: the sizes of the last table of each kind, and what is in it */
    size_t elements, members;
    unsigned depth, keys; /* keys: of the children, in the order in which they were met */
    size_t room;
    struct retab_shape *children;
    struct retab_shape *other; /* of the elements of arrays, and of values whose keys are not learnt */
    int is_map;

    /* as an object: how many keys the last one had, if those were the first children in order; how many objects in a
     * row were like it; and the anchor of the constructor for such objects: 0 for none yet, -1 for never */
    unsigned ordered, alike;
    int constructor;
};

/* All zero to start with. */
struct retab_shapes {
    struct retab_shape root;
    unsigned count, constructors;
    int anchored; /* the number of anchors */
    int anchors;  /* the stack index of their table */
};

/* Pushes the anchors of the reader at the absolute `index`; forgets everything first if it has learnt too much. */
void retab_shapes_begin(lua_State *L, struct retab_shapes *shapes, int index);

void retab_shapes_free(struct retab_shapes *shapes);

/* Returns the child of `at` for a key, or NULL if it is not learnt. Looks at child number `from` first. */
struct retab_shape *retab_shape_find(const struct retab_shape *at, const char *key, size_t length, unsigned from);

/* Learns a key that stands in the text as it is. Returns its child, the last one. Children move when there are more of
 * them, but never while one of them is being read. */
struct retab_shape *retab_shape_learn(lua_State *L, struct retab_shapes *shapes, struct retab_shape *at,
                                      const char *key, size_t length);

/* Returns the shape of all elements, or of all values whose keys are not learnt; `at` may be NULL. */
struct retab_shape *retab_shape_other(lua_State *L, struct retab_shapes *shapes, struct retab_shape *at);

/* Notes an object without a constructor. ordered: how many keys it had, if those are the first children in order, else
 * 0; values: how many of them were not nil. After enough such objects in a row there is a constructor. */
void retab_shape_note(lua_State *L, struct retab_shapes *shapes, struct retab_shape *at, unsigned ordered,
                      size_t values);

static inline void retab_shape_push_key(lua_State *L, const struct retab_shapes *shapes,
                                        const struct retab_shape *shape)
{
    lua_rawgeti(L, shapes->anchors, RETAB_INDEX(shape->key));
}

#pragma GCC visibility pop
