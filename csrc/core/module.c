/* luaopen_retab_core: registration only. */
#include "envelope.h"
#include "reader.h"

RETAB_EXPORT int luaopen_retab_core(lua_State *L);

RETAB_EXPORT int luaopen_retab_core(lua_State *L)
{
    RETAB_CHECK_LUA(L);
    lua_newtable(L);
    retab_reader_register(L, "decode", retab_reader_decode);
    retab_reader_register(L, "envelope", retab_envelope_list);
    retab_reader_register(L, "object", retab_envelope_object);
    retab_reader_register(L, "items", retab_envelope_items);
    retab_reader_register(L, "next_cursor", retab_envelope_next_cursor);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    lua_pushliteral(L, RETAB_VERSION);
    lua_setfield(L, -2, "version");
    return 1;
}
