/* A reader: a userdata that owns all memory of decoding except the Lua values, and what was learnt from earlier
 * documents. It runs one function on one text, with options. Knows nothing of envelopes.
 *
 * Each Lua function that decodes has a reader in its upvalue, and takes it out while it runs. If a finalizer calls the
 * same function meanwhile, it finds the upvalue empty and gets a new reader. If a Lua error ends the function, the
 * reader is not put back, and the collector frees it. */
#pragma once

#include <stddef.h>

#include "../compat.h"
#include "fields.h"
#include "shape.h"
#include "text.h"

#pragma GCC visibility push(hidden)

/* The limit of containers that are open at once: the default, and the largest that a caller may set. */
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
    size_t depth, frame_room;   /* the number of open containers; the room for frames */
    int is_finalized;           /* the Lua state is closing: other finalizers may still decode */
};

/* Reads the text, and pushes its value. Returns 0; or a negative number, with the error of the text set or with a
 * message pushed. */
typedef int retab_read(lua_State *L, struct retab_reader *reader);

/* The body of a Lua function (text [, options]) -> value | nil, message, position, which has a reader in its first
 * upvalue. options: null, fields, max_depth. position: the 1-based byte of an error in the text, else nil. Raises for
 * an unknown option or a wrong value, and for missing memory. */
int retab_reader_run(lua_State *L, retab_read *read);

/* Pushes a new reader. */
void retab_reader_push(lua_State *L);

/* Makes room for `slots` values on the Lua stack. Returns 0 if it cannot grow so far. Raises for missing memory. */
int retab_reader_has_room(lua_State *L, int slots);

/* core.decode(text [, options]) -> value | nil, message, position */
int retab_reader_decode(lua_State *L, struct retab_reader *reader);

#pragma GCC visibility pop
