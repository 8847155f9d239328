/* luaopen_retab_core: registration only. */
#include "envelope.h"
#include "reader.h"

RETAB_EXPORT int luaopen_retab_core(lua_State *L);

static const struct {
    const char *name;
    retab_read *read;
} functions[] = {{"decode", retab_reader_decode},
                 {"envelope", retab_envelope_list},
                 {"object", retab_envelope_object},
                 {"items", retab_envelope_items},
                 {"next_cursor", retab_envelope_next_cursor}};

/* The body of each function in Lua. Its upvalues are its reader and its index in `functions`. */
static int call(lua_State *L)
{
    return retab_reader_run(L, functions[lua_tointeger(L, lua_upvalueindex(2))].read);
}

RETAB_EXPORT int luaopen_retab_core(lua_State *L)
{
    RETAB_CHECK_LUA(L);
    lua_newtable(L);
    for (int i = 0; i < (int)(sizeof functions / sizeof *functions); i++) {
        retab_reader_push(L);
        lua_pushinteger(L, i);
        lua_pushcclosure(L, call, 2);
        lua_setfield(L, -2, functions[i].name);
    }
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    lua_pushliteral(L, RETAB_VERSION);
    lua_setfield(L, -2, "version");
    return 1;
}
