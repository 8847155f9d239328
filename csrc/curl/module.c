/* luaopen_retab_curl: pools and transfers as Lua values. This file reads arguments and pushes results; pool.c moves the
 * bytes.
 *
 * Any Lua call may run a finalizer or a metamethod, and these may close any pool or transfer. So a function first makes
 * all Lua calls that it needs, and makes none while it works on a pool. */
#include <stdlib.h>
#include <string.h>

#include "../compat.h"
#include "pool.h"
#include "process.h"

#define POOL RETAB_TYPE("curl.pool")
#define TRANSFER RETAB_TYPE("curl.transfer")

/* Converts seconds, which may be any number, to microseconds. */
static int64_t microseconds(lua_Number seconds)
{
    const lua_Number longest = 1e9;
    return seconds > 0 ? (int64_t)((seconds < longest ? seconds : longest) * 1e6) : 0;
}

/* ---- fields of the table at `table` -------------------------------------------------------------------------- */

static void check_field(lua_State *L, int valid, int table, const char *name)
{
    if (!valid) {
        luaL_argerror(L, table, lua_pushfstring(L, "invalid field '%s'", name));
    }
}

static lua_Number number_field(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name);
    check_field(L, lua_type(L, -1) == LUA_TNUMBER, table, name);
    const lua_Number number = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return number;
}

static int64_t interval_field(lua_State *L, int table, const char *name)
{
    return microseconds(number_field(L, table, name));
}

static int boolean_field(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name);
    const int boolean = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return boolean;
}

/* Returns a string field, which stays on the stack, or NULL. */
static const char *string_field(lua_State *L, int table, const char *name, size_t *length)
{
    lua_getfield(L, table, name);
    check_field(L, lua_isnil(L, -1) || lua_type(L, -1) == LUA_TSTRING, table, name);
    return lua_tolstring(L, -1, length);
}

/* ---- the pool ------------------------------------------------------------------------------------------------ */

static struct retab_pool *check_pool(lua_State *L)
{
    return luaL_checkudata(L, 1, POOL);
}

/* Returns a variable of the environment, or NULL if it is empty. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && *value != '\0' ? value : NULL;
}

/* curl.pool(options) -> pool
 * options: max_connections, ca_file, ca_path, proxy; `events = true` for a host that watches `descriptor` and the time
 * that `timeout` returns, and steps when one of them is due. Any other host steps now and then, or waits. The default
 * of ca_file and ca_path together is the environment's SSL_CERT_FILE and SSL_CERT_DIR. */
static int new_pool(lua_State *L)
{
    static const char *const settings[] = {"proxy", "ca_file", "ca_path"};
    static const char *const variables[] = {"SSL_CERT_FILE", "SSL_CERT_DIR"};
    int has_authorities = 0;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    struct retab_pool *pool = lua_newuserdatauv(L, sizeof *pool, 1);
    memset(pool, 0, sizeof *pool);
    luaL_getmetatable(L, POOL);
    lua_setmetatable(L, -2);
    lua_newtable(L); /* the user value of the pool and of its transfers: settings, and the pool itself */
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const int is_given = string_field(L, 1, settings[i], NULL) != NULL;
        has_authorities |= is_given && i > 0;
        lua_setfield(L, 3, settings[i]);
    }
    for (int i = 0; i < 2 && !has_authorities; i++) {
        lua_pushstring(L, variable(variables[i]));
        lua_setfield(L, 3, settings[i + 1]);
    }
    lua_pushvalue(L, 2);
    lua_rawseti(L, 3, 1);
    lua_setiuservalue(L, 2, 1);
    const lua_Number most = number_field(L, 1, "max_connections");
    check_field(L, most >= 1 && most <= INT16_MAX, 1, "max_connections");
    pool->max_connections = (int)most;
    pool->events = boolean_field(L, 1, "events");
    pool->open = 1;
    return 1;
}

/* pool:close(), and the collector of pools */
static int pool_close(lua_State *L)
{
    retab_pool_close(check_pool(L));
    return 0;
}

/* Pushes a NEW transfer. */
static struct retab_transfer *push_transfer(lua_State *L)
{
    struct retab_transfer *transfer = lua_newuserdatauv(L, sizeof *transfer, 1);
    memset(transfer, 0, sizeof *transfer);
    luaL_getmetatable(L, TRANSFER);
    lua_setmetatable(L, -2);
    return transfer;
}

static void append_header(lua_State *L, struct retab_transfer *transfer, const char *line)
{
    struct curl_slist *longer = curl_slist_append(transfer->headers, line);
    if (longer == NULL) {
        retab_no_memory(L);
    }
    transfer->headers = longer;
}

/* Adds the headers in the table on top to the transfer, and pops the table. libcurl takes an empty value as "name;".
 * For a POST, libcurl adds two headers that are not in the list. A name without a value is in the list, but is not
 * sent: those two names come last, and libcurl sends the caller's headers of these names, if any. */
static void add_headers(lua_State *L, struct retab_transfer *transfer)
{
    check_field(L, lua_istable(L, -1), 2, "headers");
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 2)) {
        check_field(L, lua_type(L, -2) == LUA_TSTRING && lua_isstring(L, -1), 2, "headers");
        const char *value = lua_tostring(L, -1);
        lua_pushfstring(L, *value == '\0' ? "%s;" : "%s: %s", lua_tostring(L, -2), value);
        append_header(L, transfer, lua_tostring(L, -1));
    }
    append_header(L, transfer, "Content-Type:");
    append_header(L, transfer, "Expect:");
    lua_pop(L, 1);
}

/* Pushes nil and the error of a transfer that is DONE or CLOSED, and closes it. */
static int push_error(lua_State *L, struct retab_transfer *transfer)
{
    const char *kind = transfer->kind != NULL ? transfer->kind : "cancelled";
    const char *message = transfer->kind != NULL ? transfer->message : "the request was cancelled";
    lua_pushnil(L);
    lua_createtable(L, 0, 3);
    lua_pushstring(L, kind);
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, message);
    lua_setfield(L, -2, "message");
    lua_pushboolean(L, transfer->sent);
    lua_setfield(L, -2, "sent");
    retab_transfer_close(transfer);
    return 2;
}

/* Returns the request that the tables at 2 (request) and 3 (settings) describe. Its strings stay on the stack. */
static struct retab_request read_request(lua_State *L)
{
    struct retab_request request;
    request.timeout = interval_field(L, 2, "timeout");
    request.connect_timeout = interval_field(L, 2, "connect_timeout");
    const lua_Number most = number_field(L, 2, "max_body_bytes"), largest = (lua_Number)(SIZE_MAX / 2);
    request.max_body = most > 0 ? (size_t)(most < largest ? most : largest) : 0;
    request.method = string_field(L, 2, "method", NULL);
    request.method = request.method != NULL ? request.method : "GET";
    request.body = string_field(L, 2, "body", &request.body_length);
    request.body_length = request.body != NULL ? request.body_length : 0;
    request.url = string_field(L, 2, "url", NULL);
    check_field(L, request.url != NULL, 2, "url");
    request.ca_file = string_field(L, 3, "ca_file", NULL);
    request.ca_path = string_field(L, 3, "ca_path", NULL);
    request.proxy = boolean_field(L, 2, "direct") ? "" : string_field(L, 3, "proxy", NULL);
    request.expires = retab_pool_now() + interval_field(L, 2, "expires");
    return request;
}

/* pool:send(request) -> transfer | nil, { kind, message, sent }
 * request: method, url, headers (a table of strings), body (string or nil), timeout and connect_timeout (seconds since
 * the transfer started), expires (seconds from now, whatever happens), max_body_bytes; direct: no proxy is used. Raises
 * for misuse, and if there is not enough memory. */
static int pool_send(lua_State *L)
{
    struct retab_pool *pool = check_pool(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lua_getiuservalue(L, 1, 1);
    struct retab_transfer *transfer = push_transfer(L);
    lua_pushvalue(L, 3); /* keeps the pool as long as the transfer */
    lua_setiuservalue(L, 4, 1);
    lua_getfield(L, 2, "headers");
    add_headers(L, transfer);
    const struct retab_request request = read_request(L);
    /* from here on, no Lua call */
    const int result = retab_pool_send(pool, transfer, &request);
    if (result != 0) {
        return result < 0 ? retab_no_memory(L) : push_error(L, transfer);
    }
    lua_settop(L, 4);
    return 1;
}

/* pool:step() -> true, or false if the pool is closed. Moves the transfers on without waiting. */
static int pool_step(lua_State *L)
{
    struct retab_pool *pool = check_pool(L);
    retab_pool_step(pool);
    lua_pushboolean(L, pool->open);
    return 1;
}

/* pool:wait(seconds) -> true, or false without a wait if the pool is closed. Waits up to `seconds` for the network,
 * then steps. */
static int pool_wait(lua_State *L)
{
    struct retab_pool *pool = check_pool(L);
    retab_pool_wait(pool, microseconds(luaL_checknumber(L, 2)));
    lua_pushboolean(L, pool->open);
    return 1;
}

/* pool:timeout() -> seconds until a step is due, or nil if there is no transfer */
static int pool_timeout(lua_State *L)
{
    const int64_t due = retab_pool_due(check_pool(L));
    if (due == RETAB_NEVER) {
        lua_pushnil(L);
    } else {
        lua_pushnumber(L, (lua_Number)due / 1e6);
    }
    return 1;
}

/* pool:descriptor() -> a descriptor that is readable when the network makes a step due; or nil: without `events`, or if
 * it cannot be created. A host can still step as `timeout` says. */
static int pool_descriptor(lua_State *L)
{
    const int descriptor = retab_pool_descriptor(check_pool(L));
    if (descriptor < 0) {
        lua_pushnil(L);
    } else {
        lua_pushinteger(L, descriptor);
    }
    return 1;
}

/* pool:finished() -> the id of a transfer that is done and was not reported before, or nil */
static int pool_finished(lua_State *L)
{
    const int64_t id = retab_pool_finished(check_pool(L));
    if (id == 0) {
        lua_pushnil(L);
    } else {
        lua_pushinteger(L, (lua_Integer)id);
    }
    return 1;
}

/* pool:connections() -> the number of connections that were opened so far */
static int pool_connections(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check_pool(L)->connections);
    return 1;
}

/* ---- a transfer ---------------------------------------------------------------------------------------------- */

static struct retab_transfer *check_transfer(lua_State *L)
{
    return luaL_checkudata(L, 1, TRANSFER);
}

/* transfer:cancel(), and the collector of transfers */
static int transfer_cancel(lua_State *L)
{
    retab_transfer_close(check_transfer(L));
    return 0;
}

/* transfer:id() -> the number that pool:finished returns */
static int transfer_id(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check_transfer(L)->id);
    return 1;
}

/* transfer:done() -> true if the transfer has ended */
static int transfer_done(lua_State *L)
{
    lua_pushboolean(L, check_transfer(L)->state >= RETAB_DONE);
    return 1;
}

static void push_buffer(lua_State *L, const struct retab_buffer *buffer)
{
    lua_pushlstring(L, buffer->bytes != NULL ? buffer->bytes : "", buffer->length);
}

/* transfer:result() -> { status, headers, body } | nil, { kind, message, sent }
 * headers: a string, the lines of the header; body: a string; sent: the server may have seen the request. Raises if the
 * transfer is not done. The result can be read once: after that, the error is of kind cancelled. */
static int transfer_result(lua_State *L)
{
    struct retab_transfer *transfer = check_transfer(L), *const held = push_transfer(L);
    luaL_argcheck(L, transfer->state >= RETAB_DONE, 1, "the transfer is not done");
    if (transfer->kind != NULL || transfer->state == RETAB_CLOSED) {
        return push_error(L, transfer);
    }
    held->status = transfer->status; /* no finalizer can read or close `held` meanwhile */
    held->head = transfer->head;
    held->body = transfer->body;
    transfer->head = transfer->body = (struct retab_buffer){NULL, 0, 0};
    retab_transfer_close(transfer);
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, held->status);
    lua_setfield(L, -2, "status");
    push_buffer(L, &held->head);
    lua_setfield(L, -2, "headers");
    push_buffer(L, &held->body);
    lua_setfield(L, -2, "body");
    retab_transfer_close(held);
    return 1;
}

/* ---- registration -------------------------------------------------------------------------------------------- */

/* curl.clock() -> seconds, on a clock that never goes back */
static int clock_seconds(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)retab_pool_now() / 1e6);
    return 1;
}

RETAB_EXPORT int luaopen_retab_curl(lua_State *L)
{
    RETAB_CHECK_LUA(L);
    static const luaL_Reg pool_methods[] = {{"send", pool_send},
                                            {"step", pool_step},
                                            {"wait", pool_wait},
                                            {"timeout", pool_timeout},
                                            {"descriptor", pool_descriptor},
                                            {"finished", pool_finished},
                                            {"connections", pool_connections},
                                            {"close", pool_close},
                                            {NULL, NULL}};
    static const luaL_Reg pool_meta[] = {{"__close", pool_close}, {"__gc", pool_close}, {NULL, NULL}};
    static const luaL_Reg transfer_methods[] = {{"cancel", transfer_cancel},
                                                {"id", transfer_id},
                                                {"done", transfer_done},
                                                {"result", transfer_result},
                                                {NULL, NULL}};
    static const luaL_Reg transfer_meta[] = {{"__close", transfer_cancel}, {"__gc", transfer_cancel}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"pool", new_pool}, {"clock", clock_seconds}, {NULL, NULL}};
    if (retab_process_init() != 0) {
        return luaL_error(L, "libcurl cannot be initialized");
    }
    retab_push_type(L, POOL, pool_meta, pool_methods);
    retab_push_type(L, TRANSFER, transfer_meta, transfer_methods);
    luaL_newlib(L, functions);
    lua_pushliteral(L, RETAB_VERSION);
    lua_setfield(L, -2, "library");
    /* curl_version would initialize LDAP, which takes more than a millisecond */
    lua_pushfstring(L, "libcurl/%s", curl_version_info(CURLVERSION_NOW)->version);
    lua_setfield(L, -2, "version");
    return 1;
}
