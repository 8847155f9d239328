/* What a reader knows of the documents that it has read: a tree of the places where values stand (a key of an object,
 * the elements of an array), and what the values there were like. It is for speed alone: the next document may be
 * quite another one.
 *
 * The Lua strings that it knows are anchored in a table, the reader's user value, which is on the Lua stack at
 * `anchors` during a decode. What is known is bounded: where there are too many places, and wherever a function here
 * gives NULL, nothing is to be learnt. Where there is no memory, a Lua error is raised. */
#ifndef RETAB_PLACE_H
#define RETAB_PLACE_H

#include <stddef.h>
#include <stdint.h>

#include "../compat.h"

/* An object with more keys than this is a map: its keys are data. */
#define RETAB_PLACE_KEYS 64

/* Longer strings hardly repeat, and comparing them costs what interning saves. */
#define RETAB_PLACE_STRING 64

struct retab_place {
    /* as the value of a key; `key` is NULL for elements, and for the values of a map */
    const char *key; /* of the Lua string anchors[anchor] */
    size_t key_length;
    const char *quoted;   /* the key with its quotes and the colon behind it, as it stands in most texts */
    size_t quoted_length; /* SIZE_MAX, which no text has left, where it has escapes */
    int anchor;

    /* as a string */
    int trust;
    const char *last; /* of anchors[anchor + 1], the string that came last; NULL for none */
    size_t last_length;

    /* as a container: how much the last one held */
    size_t elements;
    unsigned members;
    unsigned keys; /* of `children`: the keys in the order in which they were met */
    size_t key_room;
    struct retab_place *children;
    struct retab_place *element; /* of all elements of arrays, or of all values of maps */
    unsigned depth;
    int map; /* it has had too many keys to know them */

    /* as an object: its constructor (constructor.h), and how many objects in a row it would have fitted */
    unsigned alike_keys, alike;
    unsigned constructed; /* how many keys anchors[constructor] takes; 0: there is none */
    int constructor, constructor_trust;

    /* what is selected of the value, within what is selected of the object, by the fields of `generation` */
    int selection, within;
    unsigned generation;

    /* where it was passed over: where its key starts, in the object of the number `met_in` if it came behind its elder
     * sibling; and as an object, the numbers of the last two here */
    const char *start;
    uint64_t met_in, object, previous;
};

struct retab_places {
    struct retab_place root;
    unsigned count, constructors;
    int anchored; /* how many anchors there are */
    int anchors;  /* the stack index of their table */
};

/* Forgets everything. The userdata at `index` gets a new table of anchors. */
void retab_places_start(lua_State *L, struct retab_places *places, int index);

/* Pushes the table of anchors of the userdata at `index`, and forgets everything if there are too many places. */
void retab_places_begin(lua_State *L, struct retab_places *places, int index);

void retab_places_free(struct retab_places *places);

/* Adds a key of the objects at `at`; escaped: it has escapes in the text. Its place is the last child, or NULL.
 * Children move when there are more of them, but never while one of them is being read. */
struct retab_place *retab_place_add(lua_State *L, struct retab_places *places, struct retab_place *at, const char *key,
                                    size_t length, int escaped);

/* The place of all elements of the arrays, or of all values of the maps, at `at`, which may be NULL. */
struct retab_place *retab_place_element(lua_State *L, struct retab_places *places, struct retab_place *at);

/* A string has come again at a place: it is the last one. */
static inline void retab_place_repeated(struct retab_place *place)
{
    const int most = 32;
    place->trust += place->trust < most;
}

/* Keeps the string on top as the last one, for as long as strings repeat at the place. */
void retab_place_remember(lua_State *L, struct retab_places *places, struct retab_place *place);

/* An object whose table was filled key by key has held the first `keys` children in their order, and as many values but
 * nulls: after enough of them in a row the place has a constructor. keys: 0 where it was not like that. */
void retab_place_count_alike(lua_State *L, struct retab_places *places, struct retab_place *place, unsigned keys,
                             size_t values);

/* Whether the constructor of a place did fit an object; it goes when it does not. */
void retab_place_judge_constructor(struct retab_place *place, int fitted);

#endif
