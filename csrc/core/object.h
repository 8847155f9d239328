/* Builds objects: reads their keys, and creates their tables key by key or with a constructor. build.c reads values. */
#pragma once

#include "reader.h"

#pragma GCC visibility push(hidden)

/* The slots of the Lua stack that an open container takes: table, key, value. */
#define RETAB_SLOTS 3

/* A container that is being built. Its table is on the Lua stack; or, for an object with a constructor, the constructor
 * and the values so far. */
struct retab_frame {
    struct retab_shape *shape; /* NULL: nothing is learnt */
    size_t count;              /* the number of values; nil counts in an array that is not dense */
    unsigned next;             /* the child whose key is expected next */
    unsigned constructed;      /* the number of values that the constructor takes; 0: there is a table */
    int selection;
    char kind, is_ordered, is_dense; /* is_ordered: all keys so far were the expected ones */
};

/* What is known of the next value before it is read. */
struct retab_next {
    struct retab_shape *shape;
    int selection, is_dense;
};

/* Begins an object: pushes its constructor, or a table with room for `size` keys. */
void retab_object_open(lua_State *L, struct retab_reader *r, struct retab_frame *frame, int size);

/* Reads a key and its colon. Returns the position of the value, or NULL with the error of the text set. Pushes the key,
 * unless the object has a constructor or the value is not selected (next->selection is RETAB_FIELDS_NONE). */
const char *retab_object_next(lua_State *L, struct retab_reader *r, const char *p, struct retab_frame *frame,
                              struct retab_next *next);

/* Pops the key on top, and removes it from the table below. */
void retab_object_remove(lua_State *L);

/* Completes the object: its table is on top afterwards. */
void retab_object_close(lua_State *L, struct retab_reader *r, struct retab_frame *frame);

#pragma GCC visibility pop
