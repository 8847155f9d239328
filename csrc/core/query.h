/* Checked parameters to the URL of a request. */
#ifndef RETAB_QUERY_H
#define RETAB_QUERY_H

#include "../compat.h"

/* Adds `url` to the table on top. */
void retab_query_register(lua_State *L);

#endif
