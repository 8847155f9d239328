/* Constructors: Lua functions that make a table of known keys, of values that they are called with in the order of
 * the keys. Lua fills such a table quicker than its API does, one field at a time; LuaJIT by far, since it copies a
 * table that has the keys already: 0.96x of the time for a page of runs on 5.4, 0.91x on LuaJIT. */
#ifndef RETAB_CONSTRUCTOR_H
#define RETAB_CONSTRUCTOR_H

#include "../compat.h"

/* Fewer keys are no gain on PUC's Lua, and a function has no more than some two hundred parameters. */
#define RETAB_CONSTRUCTOR_LEAST 4
#define RETAB_CONSTRUCTOR_MOST 64

struct retab_constructor_key {
    const char *bytes; /* any at all, of a Lua string that stays alive */
    size_t length;
};

/* Pushes the constructor for `count` keys, no two of them the same. Where there is no memory, and where no
 * more calls can be nested, it raises; a call of the constructor does so too. */
void retab_constructor_push(lua_State *L, const struct retab_constructor_key *keys, unsigned count);

#endif
