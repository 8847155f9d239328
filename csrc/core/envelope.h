/* Responses: a body that must be a list, { "data": [...], "list_metadata": { "before", "after" } }, or one object.
 * A body is a string or retab_bytes. */
#ifndef RETAB_ENVELOPE_H
#define RETAB_ENVELOPE_H

#include "../compat.h"

#pragma GCC visibility push(hidden)

/* core.envelope(body [, options]) -> page | nil, message
 * The options are those of core.decode; the paths of `fields` start at an item. The page is a plain table with `data`,
 * `list_metadata`, and all else that the response holds. */
int retab_envelope_list(lua_State *L);

/* core.object(body [, options]) -> table | nil, message. The paths of `fields` start at the object. */
int retab_envelope_object(lua_State *L);

/* core.next_cursor(body) -> cursor | false, there is none | nil, the tail does not say (tail.h) */
int retab_envelope_next_cursor(lua_State *L);

#pragma GCC visibility pop

#endif
