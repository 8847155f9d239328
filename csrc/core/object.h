/* Objects while they are built: which key comes next, and what makes the table. */
#pragma once

#include "reader.h"

#pragma GCC visibility push(hidden)

/* A container takes so many slots of the Lua stack: table, key, value. */
#define RETAB_SLOTS 3

/* A container that is being built. On the Lua stack is its table; or, of an object, its constructor and the values so
 * far. */
struct retab_frame {
    struct retab_shape *shape; /* NULL: nothing is learnt */
    size_t count;              /* of the values; those of an array that is not dense include nil */
    unsigned next;             /* the child whose key is expected next */
    unsigned constructed;      /* how many values the constructor takes; 0: there is a table */
    int selection;
    char kind, is_ordered, is_dense; /* is_ordered: all keys so far were the expected ones */
};

/* What is known of the next value. */
struct retab_next {
    struct retab_shape *shape;
    int selection, is_dense;
};

/* Pushes what a new object begins with: its constructor, or a table of this size. */
void retab_object_open(lua_State *L, struct retab_reader *r, struct retab_frame *frame, int size);

/* Reads a key and its colon. Returns the position of the value, or NULL with the error of the text set. Pushes the key,
 * unless the value waits for a constructor or is not selected: then next->selection is RETAB_FIELDS_NONE. */
const char *retab_object_next(lua_State *L, struct retab_reader *r, const char *p, struct retab_frame *frame,
                              struct retab_next *next);

/* Removes the member of the key on top from the table below it, and pops the key. */
void retab_object_remove(lua_State *L);

/* Completes the object: its table is on top afterwards. */
void retab_object_close(lua_State *L, struct retab_reader *r, struct retab_frame *frame);

#pragma GCC visibility pop
