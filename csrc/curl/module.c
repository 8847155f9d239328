/* luaopen_retab_curl: what the HTTP half offers to Lua, and nothing else. */
#include "pool.h"

RETAB_EXPORT int luaopen_retab_curl(lua_State *L)
{
    lua_newtable(L);
    retab_pool_register(L);
    return 1;
}
