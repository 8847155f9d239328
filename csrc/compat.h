/* The differences between Lua 5.1, LuaJIT, 5.2, 5.3, 5.4 and 5.5: all other C code uses the API of 5.4. Also what both
 * shared objects need: visibility, names of metatables, the out-of-memory error. */
#pragma once

#include <lauxlib.h>
#include <lua.h>

#include "version.h"

#if defined(_WIN32)
#error "retab does not support Windows: build it in the Windows Subsystem for Linux"
#endif

/* Only luaopen_* is exported. The headers hide what they declare, so this needs no compiler option. */
#define RETAB_EXPORT __attribute__((visibility("default")))

/* The name of a metatable. It holds the version, so that two builds in one Lua state never share a metatable. */
#define RETAB_TYPE(name) "retab." name "/" RETAB_VERSION

#if LUA_VERSION_NUM < 502

#define LUA_OK 0
#define lua_rawlen(L, index) lua_objlen((L), (index))
/* In Lua 5.1 the environment table takes the place of the user value. */
#define lua_newuserdatauv(L, size, slots) lua_newuserdata((L), (size))
#define lua_setiuservalue(L, index, slot) lua_setfenv((L), (index))
#define lua_getiuservalue(L, index, slot) lua_getfenv((L), (index))
#undef luaL_newlib /* LuaJIT defines it, with its own luaL_setfuncs */
#define luaL_newlib(L, functions) (lua_newtable(L), luaL_register((L), NULL, (functions)))

/* A name of its own, because LuaJIT declares luaL_setfuncs and Lua 5.1 does not. */
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

#elif LUA_VERSION_NUM < 504

#define lua_newuserdatauv(L, size, slots) lua_newuserdata((L), (size))
#define lua_setiuservalue(L, index, slot) lua_setuservalue((L), (index))
#define lua_getiuservalue(L, index, slot) lua_getuservalue((L), (index))

#endif

/* Raises if the module was built for another version of Lua than the one that loads it. Lua 5.1 has no such check. */
#if LUA_VERSION_NUM >= 502
#define RETAB_CHECK_LUA(L) luaL_checkversion(L)
#else
#define RETAB_CHECK_LUA(L) ((void)(L))
#endif

/* Converts an array index to the type that lua_rawgeti and lua_rawseti take. */
#if LUA_VERSION_NUM < 503
#define RETAB_INDEX(n) ((int)(n))
#else
#define RETAB_INDEX(n) ((lua_Integer)(n))
#endif

#define RETAB_HAS_INTEGERS (LUA_VERSION_NUM >= 503)

/* Pushes the metatable of a type. Fills it in if it is new, or if memory ran out while it was filled in before: `__gc`,
 * the last entry of `meta`, marks a complete one. A complete metatable is not changed, because it may belong to another
 * copy of this build: if this copy replaced the functions and was unloaded first, they would dangle. */
static inline void retab_push_type(lua_State *L, const char *name, const luaL_Reg *meta, const luaL_Reg *methods)
{
    luaL_newmetatable(L, name);
    lua_getfield(L, -1, "__gc");
    const int is_complete = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (!is_complete) {
        lua_newtable(L);
        luaL_setfuncs(L, methods, 0);
        lua_setfield(L, -2, "__index");
        luaL_setfuncs(L, meta, 0);
    }
}

/* Raises Lua's out-of-memory error, for memory of the C heap. */
static inline int retab_no_memory(lua_State *L)
{
    lua_pushliteral(L, "not enough memory");
    return lua_error(L);
}
