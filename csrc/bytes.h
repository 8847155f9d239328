/* A body that retab.curl hands to retab.core without a copy into a Lua string. Beside compat.h this is all that the two
 * modules share.
 *
 * A body is a userdata that begins with a struct retab_bytes and has the metatable RETAB_BYTES, which retab.curl
 * registers. */
#ifndef RETAB_BYTES_H
#define RETAB_BYTES_H

#include <stddef.h>

#include "compat.h"

#define RETAB_BYTES RETAB_TYPE("bytes")

struct retab_bytes {
    const char *start; /* a NUL stands after the last byte; NULL: the body is closed */
    size_t length;
    int readers;         /* how often it is held */
    int close_requested; /* it is closed when it is no longer held */
    void (*close)(struct retab_bytes *);
};

/* Returns the body at `index`, or NULL where there is something else. */
static inline struct retab_bytes *retab_bytes_test(lua_State *L, int index)
{
    struct retab_bytes *bytes = lua_type(L, index) == LUA_TUSERDATA ? lua_touserdata(L, index) : NULL;
    if (bytes == NULL || !lua_getmetatable(L, index)) {
        return NULL;
    }
    luaL_getmetatable(L, RETAB_BYTES);
    const int is_equal = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return is_equal ? bytes : NULL;
}

/* Nobody can close the body now: a close is noted, and done by the release. */
static inline void retab_bytes_hold(struct retab_bytes *bytes)
{
    bytes->readers++;
}

/* To be called after the last Lua call of the reading. A Lua error during the reading leaves the body held: the
 * collector frees it regardless. */
static inline void retab_bytes_release(struct retab_bytes *bytes)
{
    if (--bytes->readers == 0 && bytes->close_requested) {
        bytes->close(bytes);
    }
}

#endif
