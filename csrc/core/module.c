/* luaopen_retab_core: what the core offers to Lua, and nothing else. */
#include "cursor.h"
#include "envelope.h"
#include "json.h"
#include "query.h"

RETAB_EXPORT int luaopen_retab_core(lua_State *L)
{
    lua_newtable(L);
    retab_query_register(L);
    retab_cursor_register(L);
    retab_json_register(L);
    retab_envelope_register(L);
    return 1;
}
