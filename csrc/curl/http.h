/* HTTP with libcurl, for Lua: a pool of connections and the transfers on them. Nothing here blocks, but for
 * `wait`, and libcurl's callbacks never call into Lua: they fill buffers and note what the event loop of the
 * host has to do, which the drivers in lua/retab/driver carry out. It knows nothing of JSON.
 *
 * Who owns what: a pool (userdata) owns the multi handle, and what its idle transfers left for the next
 * ones. A transfer (userdata, the pool in its user value) owns its easy handle, headers and buffers until
 * it is done. Either may be collected first: the pool's closer ends its transfers, a transfer's takes it
 * out of the pool. */
#ifndef RETAB_HTTP_H
#define RETAB_HTTP_H

#include "../compat.h"

/* Adds `pool` to the table on top, and makes ready what a pool and a transfer need. Raises where libcurl
 * can't be set up. */
void retab_http_register(lua_State *L);

#endif
