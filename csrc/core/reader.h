/* A reader: a userdata with all memory that decoding needs besides the Lua values themselves, and with what it has
 * learnt of earlier documents.
 *
 * Each Lua function that decodes has a reader in its upvalue, and takes it out while it runs. A finalizer that decodes
 * in between finds the upvalue empty and gets a reader of its own. A Lua error in between drops the reader, which the
 * collector frees. */
#pragma once

#include <stddef.h>

#include "../compat.h"
#include "fields.h"
#include "shape.h"
#include "text.h"

#pragma GCC visibility push(hidden)

/* The number of containers that may be open at once, and the largest number that a caller may set. */
#define RETAB_DEPTH 128
#define RETAB_DEPTH_MOST 1000000

struct retab_options {
    int null;                               /* the absolute index of the value that JSON null becomes; 0 for nil */
    const struct retab_fields_node *fields; /* NULL: everything is selected */
    size_t max_depth;
};

struct retab_reader {
    struct retab_text text;
    const char *p; /* the position in the text, between calls of build.h */
    struct retab_shapes shapes;
    struct retab_options options;
    struct retab_frame *frames; /* build.c: the containers that are being built */
    size_t depth, frame_room;   /* the number of those that are open; the room for them */
    int is_finalized;           /* the Lua state is being closed, where other finalizers may still decode */
};

/* Reads the text, and pushes its value. Returns 0; or a negative number, with the error of the text set, or with a
 * message pushed. */
typedef int retab_read(lua_State *L, struct retab_reader *reader);

/* The body of a Lua function (text [, options]) -> value | nil, message, position, which has a reader in its first
 * upvalue. options: null, fields, max_depth. position: the 1-based byte where the text is wrong, if it is. Raises for
 * an unknown option or a wrong value, and for missing memory. */
int retab_reader_run(lua_State *L, retab_read *read);

/* Pushes a new reader. */
void retab_reader_push(lua_State *L);

/* Returns nonzero if the Lua stack has room for `slots` more, 0 if it cannot be larger. Raises for missing memory. */
int retab_reader_has_room(lua_State *L, int slots);

/* core.decode(text [, options]) -> value | nil, message, position */
int retab_reader_decode(lua_State *L, struct retab_reader *reader);

#pragma GCC visibility pop
