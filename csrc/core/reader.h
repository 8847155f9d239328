/* A reader: a userdata with all memory that decoding needs besides the Lua values themselves, and with what it has
 * learnt of earlier documents.
 *
 * Each function that decodes has a reader in its first upvalue, and uses it so: retab_reader_checkout,
 * retab_reader_begin, the functions of build.h, retab_reader_checkin. A finalizer that decodes in between finds the
 * upvalue empty and gets a reader of its own. A Lua error in between drops the reader, which the collector frees. */
#ifndef RETAB_READER_H
#define RETAB_READER_H

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

struct retab_frame; /* build.c: a container that is being built */

struct retab_reader {
    struct retab_text text;
    const char *p; /* the position in the text, between calls of build.h */
    struct retab_shapes shapes;
    const struct retab_fields_node *fields; /* as in the options */
    int null;
    size_t depth, max_depth; /* of the containers that are open */
    struct retab_frame *frames;
    size_t frame_room, frame_bytes;
    int is_finalized; /* the Lua state is being closed, where other finalizers may still decode */
};

/* Reads the options at the absolute `index`, nil for none, and pushes what they refer to. Raises for an unknown name or
 * a wrong value. */
void retab_reader_options(lua_State *L, int index, struct retab_options *options);

/* Pushes the reader that the calling function may use. */
struct retab_reader *retab_reader_checkout(lua_State *L);

/* Gives the reader at the absolute `index` back. No Lua code runs. */
void retab_reader_checkin(lua_State *L, int index);

/* Starts with a text, which has to stay alive and to end in a NUL. Pushes what the reader refers to. index: of the
 * reader, absolute. */
void retab_reader_begin(lua_State *L, struct retab_reader *reader, int index, const char *text, size_t length,
                        const struct retab_options *options);

/* Returns nonzero if the Lua stack has room for `slots` more, 0 if it cannot be larger. Raises for missing memory. */
int retab_reader_has_room(lua_State *L, int slots);

/* Returns what was wrong with the text, and its 1-based byte. Raises if it was memory. */
const char *retab_reader_error(lua_State *L, const struct retab_reader *reader, size_t *position);

/* Adds `function` with a new reader as its upvalue to the table on top. */
void retab_reader_register(lua_State *L, const char *name, lua_CFunction function);

/* core.decode(text [, options]) -> value | nil, message, position */
int retab_reader_decode(lua_State *L);

#pragma GCC visibility pop

#endif
