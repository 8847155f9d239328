/* The body of a response on its way from retab.curl to retab.core, without a copy as a Lua string. Beside compat.h this
 * is all that the two modules share.
 *
 * A body is a userdata that begins with a struct retab_bytes and has the metatable RETAB_BYTES. retab.curl creates it.
 * Whoever reads it calls retab_bytes_hold first and retab_bytes_release last: any Lua call in between may run a
 * finalizer that closes the body, and this then waits until the release. After a Lua error in between, the body stays
 * held; the collector frees it all the same. */
#ifndef RETAB_BYTES_H
#define RETAB_BYTES_H

#include <stddef.h>

#include "compat.h"

#define RETAB_BYTES RETAB_TYPE("bytes")

struct retab_bytes {
    const char *start; /* a NUL follows the last byte; NULL: the body is closed */
    size_t length;
    int readers, close_requested;
    void (*close)(struct retab_bytes *); /* frees the bytes; may be called again */
};

/* Returns the body at `index`, or NULL if the value is something else. */
static inline struct retab_bytes *retab_bytes_test(lua_State *L, int index)
{
    struct retab_bytes *bytes = lua_type(L, index) == LUA_TUSERDATA ? lua_touserdata(L, index) : NULL;
    if (bytes == NULL || !lua_getmetatable(L, index)) {
        return NULL;
    }
    luaL_getmetatable(L, RETAB_BYTES);
    const int equal = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return equal ? bytes : NULL;
}

static inline void retab_bytes_hold(struct retab_bytes *bytes)
{
    bytes->readers++;
}

static inline void retab_bytes_release(struct retab_bytes *bytes)
{
    if (--bytes->readers == 0 && bytes->close_requested) {
        bytes->close(bytes);
    }
}

#endif
