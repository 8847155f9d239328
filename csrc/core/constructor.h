/* Constructors: Lua functions that make a table with known keys, from values in the order of the keys. Lua fills such a
 * table faster than its API does, and LuaJIT copies a table that has the keys already (bench/decode.lua). */
#ifndef RETAB_CONSTRUCTOR_H
#define RETAB_CONSTRUCTOR_H

#include "../compat.h"

#pragma GCC visibility push(hidden)

/* Fewer keys are no gain on PUC's Lua, and a function has at most some two hundred parameters. */
#define RETAB_CONSTRUCTOR_LEAST 4
#define RETAB_CONSTRUCTOR_MOST 64

struct retab_constructor_key {
    const char *bytes;
    size_t length;
};

/* Pushes the constructor for `count` keys, all different, and returns 1. Returns 0 and pushes nothing where Lua does
 * not load it: in a host without a compiler, or without memory. May raise for missing memory. */
int retab_constructor_push(lua_State *L, const struct retab_constructor_key *keys, unsigned count);

#pragma GCC visibility pop

#endif
