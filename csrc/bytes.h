/* Bytes that one module hands to another by way of Lua, without copying them into a Lua string: the body of an answer,
 * from retab.curl to retab.core. Beside compat.h this is all that the two share.
 *
 * They are a userdata that begins with a struct retab_bytes and has the metatable RETAB_BYTES, which its maker
 * registers. Who reads them holds them, so that they can't be closed meanwhile, by a finalizer say. To Lua they have #,
 * tostring and close, which raise where they are closed, or held. */
#ifndef RETAB_BYTES_H
#define RETAB_BYTES_H

#include <stddef.h>

#include "compat.h"

/* With the version of the struct in it: a Lua state may hold modules of two builds. */
#define RETAB_BYTES "retab.bytes.1"

struct retab_bytes {
    const char *start; /* a NUL stands behind the last of them; NULL: they were closed */
    size_t length;
    int held; /* it stays so where a Lua error ends the reading: nobody needs them then but the collector */
};

/* The bytes that the value at `index` is, or NULL. */
static inline struct retab_bytes *retab_bytes_test(lua_State *L, int index)
{
    struct retab_bytes *bytes = lua_touserdata(L, index);
    if (bytes == NULL || !lua_getmetatable(L, index)) {
        return NULL;
    }
    luaL_getmetatable(L, RETAB_BYTES);
    const int equal = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return equal ? bytes : NULL;
}

#endif
