#include "pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../bytes.h"
#include "http.h"

#define POOL "retab.curl.pool"
#define TRANSFER "retab.curl.transfer"

/* Microseconds, of seconds that may be anything. */
static int64_t microseconds(lua_Number seconds)
{
    const lua_Number longest = 1e9;
    return seconds > 0 ? (int64_t)((seconds < longest ? seconds : longest) * 1e6) : 0;
}

static int no_memory(lua_State *L)
{
    return luaL_error(L, "not enough memory");
}

/* ---- the pool -------------------------------------------------------------------------------------- */

static struct retab_http_pool *check_pool(lua_State *L)
{
    struct retab_http_pool *pool = luaL_checkudata(L, 1, POOL);
    if (pool->multi == NULL) {
        luaL_error(L, "the pool is closed");
    }
    return pool;
}

/* pool:close(), and its collector: every transfer ends, as cancelled. */
static int pool_close(lua_State *L)
{
    retab_http_close(luaL_checkudata(L, 1, POOL));
    return 0;
}

/* A copy of the string option `name` of the table at 1, or of the environment variable that stands in for it;
 * NULL where there is none. */
static char *copy_option(lua_State *L, const char *name, const char *variable)
{
    lua_getfield(L, 1, name);
    const char *value = lua_tostring(L, -1);
    if (value == NULL && variable != NULL) {
        value = getenv(variable);
        value = value != NULL && *value != '\0' ? value : NULL;
    }
    char *copy = NULL;
    if (value != NULL) {
        const size_t size = strlen(value) + 1;
        copy = malloc(size);
        if (copy == NULL) {
            no_memory(L);
        }
        /* cppcheck-suppress nullPointerRedundantCheck ; no_memory does not return */
        memcpy(copy, value, size);
    }
    lua_pop(L, 1);
    return copy;
}

/* curl.pool(options) -> pool
 * options: max_connections, ca_file, ca_path, proxy; `events = true` for a host that watches
 * `descriptor` and the time that `timeout` tells, and steps when one of them is due; else it steps now and then, or
 * waits. */
static int new_pool(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    struct retab_http_pool *pool = lua_newuserdatauv(L, sizeof *pool, 0);
    memset(pool, 0, sizeof *pool);
    luaL_getmetatable(L, POOL);
    lua_setmetatable(L, -2);

    lua_getfield(L, 1, "max_connections");
    pool->max_connections = (int)luaL_checkinteger(L, -1);
    lua_getfield(L, 1, "events");
    pool->events = lua_toboolean(L, -1);
    lua_pop(L, 2);
    pool->ca_file = copy_option(L, "ca_file", "SSL_CERT_FILE");
    pool->ca_path = copy_option(L, "ca_path", "SSL_CERT_DIR");
    pool->proxy = copy_option(L, "proxy", NULL);
    return retab_http_open(pool) != 0 ? luaL_error(L, "no pool of connections: %s", strerror(errno)) : 1;
}

static lua_Number number_field(lua_State *L, const char *name)
{
    lua_getfield(L, 2, name);
    const lua_Number number = luaL_checknumber(L, -1);
    lua_pop(L, 1);
    return number;
}

/* Adds the headers of the table on top. An empty value has libcurl's own spelling. */
static void add_headers(lua_State *L, struct retab_http_transfer *transfer)
{
    luaL_argcheck(L, lua_istable(L, -1), 2, "it has no headers");
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 2)) {
        const char *value = luaL_checkstring(L, -1);
        lua_pushfstring(L, *value == '\0' ? "%s;" : "%s: %s", luaL_checkstring(L, -2), value);
        if (retab_http_header(transfer, lua_tostring(L, -1)) != 0) {
            no_memory(L);
        }
    }
}

/* pool:send(request) -> transfer
 * request: url, headers (a table of strings), timeout, connect_timeout and expires (seconds: of the transfer
 * once it has a connection, and with the wait for one), max_body_bytes; bytes: the body is to be retab_bytes (bytes.h),
 * not a string. */
static int pool_send(lua_State *L)
{
    struct retab_http_pool *pool = check_pool(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    struct retab_http_transfer *transfer = lua_newuserdatauv(L, sizeof *transfer, 1);
    memset(transfer, 0, sizeof *transfer);
    luaL_getmetatable(L, TRANSFER);
    lua_setmetatable(L, -2);
    lua_newtable(L); /* keeps the pool as long as the transfer */
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 1);
    lua_getfield(L, 2, "bytes");
    lua_setfield(L, -2, "bytes");
    lua_setiuservalue(L, 3, 1);
    if (retab_http_begin(pool, transfer) != 0) {
        return no_memory(L);
    }
    lua_getfield(L, 2, "headers");
    add_headers(L, transfer);
    lua_getfield(L, 2, "url");
    const char *problem = retab_http_send(transfer, luaL_checkstring(L, -1), microseconds(number_field(L, "timeout")),
                                          microseconds(number_field(L, "connect_timeout")),
                                          retab_http_now() + microseconds(number_field(L, "expires")),
                                          (size_t)number_field(L, "max_body_bytes"));
    if (problem != NULL) {
        return luaL_error(L, "%s", problem);
    }
    lua_settop(L, 3);
    return 1;
}

/* pool:step(): does what can be done without waiting */
static int pool_step(lua_State *L)
{
    retab_http_step(check_pool(L));
    return 0;
}

/* pool:wait(seconds): waits for the network, this long at most, and does what can be done then */
static int pool_wait(lua_State *L)
{
    struct retab_http_pool *pool = check_pool(L);
    retab_http_wait(pool, microseconds(luaL_checknumber(L, 2)));
    return 0;
}

/* pool:timeout() -> the seconds after which a step is due by the clock, or nil: nothing is under way */
static int pool_timeout(lua_State *L)
{
    const int64_t due = retab_http_until_due(check_pool(L));
    if (due == RETAB_HTTP_NEVER) {
        lua_pushnil(L);
    } else {
        lua_pushnumber(L, (lua_Number)due / 1e6);
    }
    return 1;
}

/* pool:descriptor() -> what is readable when a step is due by the network; nil without `events` */
static int pool_descriptor(lua_State *L)
{
    const struct retab_http_pool *pool = check_pool(L);
    if (pool->events) {
        lua_pushinteger(L, pool->watch);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

/* pool:finished() -> the id of a transfer that is done and was not reported yet, or nil */
static int pool_finished(lua_State *L)
{
    const int64_t id = retab_http_next_finished(check_pool(L));
    if (id == 0) {
        lua_pushnil(L);
    } else {
        lua_pushinteger(L, (lua_Integer)id);
    }
    return 1;
}

/* pool:connections() -> how many were opened so far */
static int pool_connections(lua_State *L)
{
    const struct retab_http_pool *pool = luaL_checkudata(L, 1, POOL);
    lua_pushinteger(L, (lua_Integer)pool->connections);
    return 1;
}

/* ---- a transfer ------------------------------------------------------------------------------------ */

/* transfer:cancel(), and its collector */
static int transfer_cancel(lua_State *L)
{
    retab_http_drop(luaL_checkudata(L, 1, TRANSFER));
    return 0;
}

/* transfer:id() -> the number that pool:finished gives */
static int transfer_id(lua_State *L)
{
    const struct retab_http_transfer *transfer = luaL_checkudata(L, 1, TRANSFER);
    lua_pushinteger(L, (lua_Integer)transfer->id);
    return 1;
}

/* transfer:done() -> whether its result is there */
static int transfer_done(lua_State *L)
{
    lua_pushboolean(L, retab_http_is_done(luaL_checkudata(L, 1, TRANSFER)));
    return 1;
}

/* Sets a header in the table on top: its name in lower case, its value behind those of the same name. */
static void add_answer_header(lua_State *L, const char *name, const char *colon, const char *value, const char *end)
{
    luaL_Buffer lower;
    luaL_buffinit(L, &lower);
    for (; name < colon; name++) {
        luaL_addchar(&lower, *name >= 'A' && *name <= 'Z' ? (char)(*name - 'A' + 'a') : *name);
    }
    luaL_pushresult(&lower);
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushlstring(L, value, (size_t)(end - value));
    } else {
        lua_pushliteral(L, ", ");
        lua_pushlstring(L, value, (size_t)(end - value));
        lua_concat(L, 3);
    }
    lua_rawset(L, -3);
}

/* Pushes the header lines of an answer as a table. */
static void push_headers(lua_State *L, const struct retab_http_buffer *head)
{
    const char *line = head->bytes, *const end = line + head->length;
    lua_newtable(L);
    while (line < end) {
        const char *line_end = memchr(line, '\n', (size_t)(end - line));
        const char *next = line_end != NULL ? line_end + 1 : end;
        const char *colon = memchr(line, ':', (size_t)(next - line));
        if (colon != NULL) {
            const char *from = colon + 1, *to = next;
            while (from < to && strchr(" \t", *from) != NULL) {
                from++;
            }
            while (to > from && strchr(" \t\r\n", to[-1]) != NULL) {
                to--;
            }
            add_answer_header(L, line, colon, from, to);
        }
        line = next;
    }
}

/* The body of an answer: the buffer that it was received in, until it is closed. */
struct body {
    struct retab_bytes bytes;
    struct retab_http_pool *pool;
    struct retab_http_kit *kit;
};

/* The closer of a body, in any state: the buffer is left to the next transfers. */
static void close_bytes(struct retab_bytes *bytes)
{
    struct body *const body = (struct body *)(void *)bytes;
    struct retab_http_kit *const kit = body->kit;
    body->kit = NULL;
    bytes->start = NULL;
    bytes->length = 0;
    if (kit != NULL) {
        retab_http_retire(body->pool, kit);
    }
}

/* A body's collector */
static int body_collect(lua_State *L)
{
    close_bytes(luaL_checkudata(L, 1, RETAB_BYTES));
    return 0;
}

/* body:close() */
static int body_close(lua_State *L)
{
    struct retab_bytes *bytes = luaL_checkudata(L, 1, RETAB_BYTES);
    if (bytes->readers > 0) {
        bytes->close_requested = 1;
    } else {
        close_bytes(bytes);
    }
    return 0;
}

static const struct retab_bytes *check_open_body(lua_State *L)
{
    const struct body *body = luaL_checkudata(L, 1, RETAB_BYTES);
    luaL_argcheck(L, body->bytes.start != NULL, 1, "the body is closed");
    return &body->bytes;
}

/* #body -> its bytes */
static int body_length(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check_open_body(L)->length);
    return 1;
}

/* tostring(body) -> its bytes as a string */
static int body_string(lua_State *L)
{
    const struct retab_bytes *bytes = check_open_body(L);
    lua_pushlstring(L, bytes->start, bytes->length);
    return 1;
}

/* Pushes a closed body, which keeps the pool of the transfer at 1. */
static struct body *push_body(lua_State *L)
{
    struct body *body = lua_newuserdatauv(L, sizeof *body, 1);
    memset(body, 0, sizeof *body);
    luaL_getmetatable(L, RETAB_BYTES);
    lua_setmetatable(L, -2);
    lua_getiuservalue(L, 1, 1);
    lua_setiuservalue(L, -2, 1);
    return body;
}

/* Makes a transfer's kit the body's own, which opens it. */
static void open_body(struct body *body, struct retab_http_transfer *transfer)
{
    body->pool = transfer->pool;
    body->kit = retab_http_take(transfer);
    const struct retab_http_buffer *received = &body->kit->body;
    body->bytes =
        (struct retab_bytes){received->length > 0 ? received->bytes : "", received->length, 0, 0, close_bytes};
}

/* transfer:result() -> { status, headers, body } | nil, { kind, message }
 * Once, of a transfer that is done; from then on it counts as cancelled. */
static int transfer_result(lua_State *L)
{
    struct retab_http_transfer *transfer = luaL_checkudata(L, 1, TRANSFER);
    luaL_argcheck(L, retab_http_is_done(transfer), 1, "the transfer is not done");
    lua_settop(L, 1);
    struct body *body = push_body(L); /* first: whatever allocates may run a finalizer, and that close the pool */
    const char *kind = retab_http_error_kind(transfer);
    if (kind != NULL) {
        lua_pushnil(L);
        lua_createtable(L, 0, 2);
        lua_pushstring(L, kind);
        lua_setfield(L, -2, "kind");
        lua_pushstring(L, retab_http_error_message(transfer));
        lua_setfield(L, -2, "message");
        retab_http_drop(transfer);
        return 2;
    }
    const int status = retab_http_status(transfer);
    open_body(body, transfer);
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, status);
    lua_setfield(L, 3, "status");
    push_headers(L, &body->kit->head);
    lua_setfield(L, 3, "headers");
    lua_getiuservalue(L, 1, 1);
    lua_getfield(L, -1, "bytes");
    if (lua_toboolean(L, -1)) {
        lua_pushvalue(L, 2);
    } else {
        lua_pushlstring(L, body->bytes.start, body->bytes.length);
        close_bytes(&body->bytes);
    }
    lua_setfield(L, 3, "body");
    lua_settop(L, 3);
    return 1;
}

/* ---- registration ---------------------------------------------------------------------------------- */

/* curl.clock() -> seconds on a clock that never goes back */
static int clock_seconds(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)retab_http_now() / 1e6);
    return 1;
}

/* Leaves the metatable of the type on the stack. */
static void new_type(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction closer)
{
    luaL_newmetatable(L, name); /* filled also where it is there: memory may have run out in the middle of it */
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, closer);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, closer);
    lua_setfield(L, -2, "__close");
}

void retab_pool_register(lua_State *L)
{
    static const luaL_Reg pool_methods[] = {{"send", pool_send},
                                            {"step", pool_step},
                                            {"wait", pool_wait},
                                            {"timeout", pool_timeout},
                                            {"descriptor", pool_descriptor},
                                            {"finished", pool_finished},
                                            {"connections", pool_connections},
                                            {"close", pool_close},
                                            {NULL, NULL}};
    static const luaL_Reg transfer_methods[] = {{"cancel", transfer_cancel},
                                                {"done", transfer_done},
                                                {"id", transfer_id},
                                                {"result", transfer_result},
                                                {NULL, NULL}};
    static const luaL_Reg body_methods[] = {{"close", body_close}, {NULL, NULL}};
    if (retab_http_setup() != 0) {
        luaL_error(L, "libcurl can't be made ready");
    }
    new_type(L, POOL, pool_methods, pool_close);
    new_type(L, TRANSFER, transfer_methods, transfer_cancel);
    new_type(L, RETAB_BYTES, body_methods, body_collect);
    lua_pushcfunction(L, body_close);
    lua_setfield(L, -2, "__close");
    lua_pushcfunction(L, body_length);
    lua_setfield(L, -2, "__len");
    lua_pushcfunction(L, body_string);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 3);
    lua_pushcfunction(L, new_pool);
    lua_setfield(L, -2, "pool");
    lua_pushcfunction(L, clock_seconds);
    lua_setfield(L, -2, "clock");
    lua_pushfstring(L, "libcurl/%s", retab_http_version());
    lua_setfield(L, -2, "version");
}
