/* What a reader has learnt from earlier documents: a tree of shapes. A shape describes what stood at one place (the
 * value of a key, or the elements of an array). The tree makes similar documents faster to read, and never changes the
 * result. Knows nothing of text positions or selections.
 *
 * Everything learnt has a limit. Keys that are long or not plain ASCII are not learnt, nor are the keys of an object
 * with too many of them: the values of such keys share one shape, as the elements of an array do. A reader learns at
 * most RETAB_SHAPES shapes, about half a mebibyte; then it forgets them when the next document begins. A function
 * returns NULL if nothing can be learnt.
 *
 * A constructor is a Lua function that creates a table with known keys, from values in the order of the keys. Lua fills
 * such a table faster than its API does, and LuaJIT copies a table that already has the keys (bench/decode.lua).
 *
 * The Lua strings and functions that are learnt are called anchors. They are kept in a table, the reader's user value,
 * which is on the Lua stack at `anchors` during a decode. Functions raise if there is no memory. */
#pragma once

#include <stddef.h>

#include "../compat.h"

#pragma GCC visibility push(hidden)

#define RETAB_SHAPES 2048

/* An object with more keys is a map: its keys are data. Lua allows a constructor this many parameters. */
#define RETAB_SHAPE_KEYS 64

/* Longer keys are not learnt. A quoted key with its colon fits 64 bytes. */
#define RETAB_SHAPE_KEY 61

struct retab_shape {
    /* the key of this value: anchors[key] is its Lua string; 0: the place has no key */
    char quoted[RETAB_SHAPE_KEY + 3]; /* as most texts write it: "key": */
    unsigned quoted_length;
    int key;

    /* of a container: the size of the last array and of the last object here, and the shapes of the values in it */
    size_t elements, members;
    unsigned depth, keys; /* keys: the number of children, in the order of their first occurrence */
    size_t room;
    struct retab_shape *children;
    struct retab_shape *other; /* of elements of arrays, and of values whose keys are not learnt */
    int is_map;

    /* of an object. ordered: the number of keys of the last one if they were the first children in order, else 0;
     * alike: the number of such objects in a row; constructor: the anchor of their constructor, 0 for none yet, -1 for
     * never */
    unsigned ordered, alike;
    int constructor;
};

/* Starts as all zero. */
struct retab_shapes {
    struct retab_shape root;
    unsigned count, constructors;
    int anchor_count;  /* the number of anchors */
    int anchors_index; /* the stack index of their table */
};

/* Pushes the table of anchors of the reader at the absolute `index`. If the reader has learnt RETAB_SHAPES shapes, it
 * forgets everything first. */
void retab_shapes_begin(lua_State *L, struct retab_shapes *shapes, int index);

void retab_shapes_free(struct retab_shapes *shapes);

/* Returns the child of `at` for a key, or NULL if it is not learnt. Looks at child number `from` first. */
struct retab_shape *retab_shape_find(const struct retab_shape *at, const char *key, size_t length, unsigned from);

/* Learns a key that needs no escapes. Returns its shape, the last child of `at`. This can move the other children in
 * memory; none of them is being read at that moment. */
struct retab_shape *retab_shape_learn(lua_State *L, struct retab_shapes *shapes, struct retab_shape *at,
                                      const char *key, size_t length);

/* Returns the shape that all elements share, or all values whose keys are not learnt; `at` may be NULL. */
struct retab_shape *retab_shape_other(lua_State *L, struct retab_shapes *shapes, struct retab_shape *at);

/* Notes an object that was built without a constructor. ordered: the number of its keys, if they are the first children
 * in order, else 0; values: the number of keys whose value is not nil. Creates a constructor after enough such objects
 * in a row. */
void retab_shape_note(lua_State *L, struct retab_shapes *shapes, struct retab_shape *at, unsigned ordered,
                      size_t values);

static inline void retab_shape_push_key(lua_State *L, const struct retab_shapes *shapes,
                                        const struct retab_shape *shape)
{
    lua_rawgeti(L, shapes->anchors_index, RETAB_INDEX(shape->key));
}

#pragma GCC visibility pop
