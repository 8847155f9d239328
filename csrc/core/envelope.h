/* Reads the bodies of responses: a list, { "data": [...], "list_metadata": { "before", "after" } }, or one object. A
 * body of another form is an error. Each function here is the retab_read of a Lua function (reader.h). Knows nothing of
 * HTTP. */
#pragma once

#include "reader.h"

#pragma GCC visibility push(hidden)

/* core.envelope(body [, options]) -> page | nil, message, position
 * A plain table with `data`, `list_metadata`, and all other members of the response. The paths of `fields` start at an
 * item. The cursors are strings; they are nil for null and for the empty string, whatever the option `null` is. */
int retab_envelope_list(lua_State *L, struct retab_reader *reader);

/* core.items(body) -> array of strings | nil, message, position
 * The text of each item of a list as the server wrote it, without white space around it, for programs that pass items
 * on without building them. */
int retab_envelope_items(lua_State *L, struct retab_reader *reader);

/* core.object(body [, options]) -> table | nil, message, position. The paths of `fields` start at the object. */
int retab_envelope_object(lua_State *L, struct retab_reader *reader);

/* core.next_cursor(body) -> cursor | false: there is none | nil: the tail does not tell
 * Reads `list_metadata.after` from the tail of a list without reading the rest, so that the next request can be sent
 * before the page is decoded. It is a hint: the decoded page decides. */
int retab_envelope_next_cursor(lua_State *L, struct retab_reader *reader);

#pragma GCC visibility pop
