/* Responses: a body that must be a list, { "data": [...], "list_metadata": { "before", "after" } }, or one object.
 *
 * All functions take a body, which is a string, and perhaps the options of core.decode. They return nil, a message and,
 * for a body that is not JSON, the 1-based byte of the error, where they do not return what follows. */
#ifndef RETAB_ENVELOPE_H
#define RETAB_ENVELOPE_H

#include "../compat.h"

#pragma GCC visibility push(hidden)

/* core.envelope(body [, options]) -> page
 * A plain table with `data`, `list_metadata`, and all else that the response holds. The paths of `fields` start at an
 * item. The cursors are strings or nil: nil for null and for the empty string, whatever null becomes elsewhere. */
int retab_envelope_list(lua_State *L);

/* core.items(body) -> array of strings
 * The text of each item of a list as the server wrote it, without white space around it, for programs that pass items
 * on without building them. */
int retab_envelope_items(lua_State *L);

/* core.object(body [, options]) -> table. The paths of `fields` start at the object. */
int retab_envelope_object(lua_State *L);

/* core.next_cursor(body) -> cursor | false, there is none | nil, the tail does not say
 * Reads `list_metadata.after` from the tail of a list without reading the rest, so that the next request can be sent
 * before the page is decoded. It is a hint: the decoded page decides. */
int retab_envelope_next_cursor(lua_State *L);

#pragma GCC visibility pop

#endif
