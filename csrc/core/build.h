/* The one loop from bytes to Lua values, and what an envelope needs to read its own members with it.
 *
 * Functions return 0, or what they say; or -1 with the error of the reader's text set, and any number of values left on
 * the Lua stack: the caller resets its top. */
#pragma once

#include "reader.h"

#pragma GCC visibility push(hidden)

/* Only the selected fields of the value are built. Paths pass through arrays, whose scalars keep their places. */
#define RETAB_BUILD_SELECT 1

/* A null that becomes nil is left out of the value, an array, so that the table has no holes. */
#define RETAB_BUILD_DENSE 2

/* If the value is an array, its elements become strings: the text of each, without white space around it. */
#define RETAB_BUILD_TEXTS 4

/* Pushes the next value, whose shape is `shape`, or NULL if nothing is to be learnt. */
int retab_build_value(lua_State *L, struct retab_reader *reader, struct retab_shape *shape, int flags);

/* Checks that only white space follows. */
int retab_build_end(struct retab_reader *reader);

/* Returns the kind of the next value, by its first byte: one of { [ " t f n, or '0' for a number and anything else. */
char retab_build_peek(struct retab_reader *reader);

/* Enters the object that retab_build_peek has seen. */
int retab_build_enter(struct retab_reader *reader);

/* Goes to the next member of the object that was entered last: pushes its key, stores the shape of its value, and
 * returns 1; or returns 0 at the end of the object. `at`: the shape of the object. */
int retab_build_member(lua_State *L, struct retab_reader *reader, int is_first, struct retab_shape *at,
                       struct retab_shape **shape);

#pragma GCC visibility pop
