/* Every difference between Lua 5.1, LuaJIT, 5.3 and 5.4, in one block: the rest of the C is written
 * against the 5.4 API. What both shared objects need of a userdata is here too. */
#ifndef RETAB_COMPAT_H
#define RETAB_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

#if defined(_WIN32)
#define RETAB_EXPORT __declspec(dllexport)
#else
#define RETAB_EXPORT __attribute__((visibility("default")))
#endif

#if LUA_VERSION_NUM < 502

#define LUA_OK 0
/* The type of an array index, where lua_rawgeti and lua_rawseti take one. */
#define RETAB_INDEX(n) ((int)(n))
#define lua_rawlen(L, index) lua_objlen((L), (index))
/* The environment table stands in for the user value: both are one table that hangs on a userdata. */
#define lua_newuserdatauv(L, size, slots) lua_newuserdata((L), (size))
#define lua_setiuservalue(L, index, slot) lua_setfenv((L), (index))
#define lua_getiuservalue(L, index, slot) lua_getfenv((L), (index))
#undef luaL_newlib /* LuaJIT's, by way of its luaL_setfuncs */
#define luaL_newlib(L, functions) (lua_newtable(L), luaL_register((L), NULL, (functions)))

/* Under a name of our own: LuaJIT has a luaL_setfuncs, PUC's 5.1 has none. */
#define luaL_setfuncs retab_compat_setfuncs

static inline void retab_compat_setfuncs(lua_State *L, const luaL_Reg *functions, int upvalues)
{
    for (; functions->name != NULL; functions++) {
        for (int i = 0; i < upvalues; i++) {
            lua_pushvalue(L, -upvalues);
        }
        lua_pushcclosure(L, functions->func, upvalues);
        lua_setfield(L, -(upvalues + 2), functions->name);
    }
    lua_pop(L, upvalues);
}

#else

#define RETAB_INDEX(n) ((lua_Integer)(n))

#if LUA_VERSION_NUM < 504
#define lua_newuserdatauv(L, size, slots) lua_newuserdata((L), (size))
#define lua_setiuservalue(L, index, slot) lua_setuservalue((L), (index))
#define lua_getiuservalue(L, index, slot) lua_getuservalue((L), (index))
#endif

#endif

/* Lua 5.3 and later keep integers apart from floats. */
#define RETAB_HAS_INTEGERS (LUA_VERSION_NUM >= 503)

#endif
