/* The loop that turns bytes into Lua values, and functions with which envelope.c reads the members of its own objects.
 *
 * Functions return 0 unless their comment says otherwise. On an error they return -1, with the error of the reader's
 * text set and any number of values left on the Lua stack: the caller resets its top. */
#pragma once

#include "reader.h"

#pragma GCC visibility push(hidden)

/* Builds only the selected fields. A path applies to each element of an array; elements that are scalars are kept. */
#define RETAB_BUILD_SELECT 1

/* For an array: leaves out each null that becomes nil, so that the table has no holes. */
#define RETAB_BUILD_DENSE 2

/* For an array: its elements become strings, the text of each without white space around it. */
#define RETAB_BUILD_TEXTS 4

/* Pushes the next value. shape: of its place, or NULL if nothing is to be learnt; flags: from those above. */
int retab_build_value(lua_State *L, struct retab_reader *reader, struct retab_shape *shape, int flags);

/* Checks that only white space follows. */
int retab_build_end(struct retab_reader *reader);

/* Returns the kind of the next value, by its first byte: one of { [ " t f n, or '0' for a number and anything else. */
char retab_build_peek(struct retab_reader *reader);

/* Enters the object whose '{' retab_build_peek has returned. */
int retab_build_enter(lua_State *L, struct retab_reader *reader);

/* Goes to the next member of the object that was entered last: pushes its key, stores the shape of its value, and
 * returns 1; or returns 0 at the end of the object. `at`: the shape of the object. */
int retab_build_member(lua_State *L, struct retab_reader *reader, int is_first, struct retab_shape *at,
                       struct retab_shape **shape);

#pragma GCC visibility pop
