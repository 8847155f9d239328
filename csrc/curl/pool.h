/* What there is in Lua of HTTP: pools and transfers, two userdata. */
#ifndef RETAB_POOL_H
#define RETAB_POOL_H

#include "../compat.h"

/* Adds `pool`, `clock` and `version` to the table on top. Raises where libcurl can't be made ready. */
void retab_pool_register(lua_State *L);

#endif
