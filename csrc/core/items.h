/* The items of a list as the server wrote them, for programs that pass them on without building them. */
#ifndef RETAB_ITEMS_H
#define RETAB_ITEMS_H

#include "../compat.h"

#pragma GCC visibility push(hidden)

/* core.items(body) -> array of strings | nil, message
 * Returns the text of each item of `data`, without white space around it. Of two members `data` the last one counts;
 * the array is empty where `data` is no array. body: a string. */
int retab_items_read(lua_State *L);

#pragma GCC visibility pop

#endif
