/* The list envelope, { "data": [...], "list_metadata": { "before", "after" } }: a JSON text to a page. */
#ifndef RETAB_ENVELOPE_H
#define RETAB_ENVELOPE_H

#include "../compat.h"

/* Adds `envelope` to the table on top. */
void retab_envelope_register(lua_State *L);

#endif
