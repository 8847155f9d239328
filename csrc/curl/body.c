#include "body.h"

#include <string.h>

void retab_body_close(struct retab_body *body)
{
    struct retab_kit *kit = body->kit;
    body->kit = NULL;
    body->bytes.start = NULL;
    body->bytes.length = 0;
    if (kit != NULL) {
        retab_pool_keep(body->pool, kit);
    }
}

static void close_bytes(struct retab_bytes *bytes)
{
    retab_body_close((struct retab_body *)(void *)bytes);
}

struct retab_body *retab_body_push(lua_State *L)
{
    struct retab_body *body = lua_newuserdatauv(L, sizeof *body, 1);
    memset(body, 0, sizeof *body);
    body->bytes.close = close_bytes;
    luaL_getmetatable(L, RETAB_BYTES);
    lua_setmetatable(L, -2);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, 1);
    return body;
}

void retab_body_open(struct retab_body *body, struct retab_transfer *transfer)
{
    body->pool = transfer->pool;
    body->kit = retab_transfer_take(transfer);
    body->bytes.length = body->kit->body.length;
    body->bytes.start = body->bytes.length > 0 ? body->kit->body.bytes : "";
}

static struct retab_body *check(lua_State *L)
{
    return luaL_checkudata(L, 1, RETAB_BYTES);
}

static const struct retab_bytes *check_open(lua_State *L)
{
    const struct retab_body *body = check(L);
    luaL_argcheck(L, body->bytes.start != NULL, 1, "the body is closed");
    return &body->bytes;
}

/* #body -> its number of bytes */
static int length(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check_open(L)->length);
    return 1;
}

/* tostring(body) -> a copy as a string */
static int to_string(lua_State *L)
{
    struct retab_bytes *bytes = &check(L)->bytes;
    (void)check_open(L);
    retab_bytes_hold(bytes);
    lua_pushlstring(L, bytes->start, bytes->length);
    retab_bytes_release(bytes);
    return 1;
}

/* body:close(): never raises. While the body is read, it is closed when the reading ends. */
static int close_it(lua_State *L)
{
    struct retab_body *body = check(L);
    if (body->bytes.readers > 0) {
        body->bytes.close_requested = 1;
    } else {
        retab_body_close(body);
    }
    return 0;
}

static int collect(lua_State *L)
{
    retab_body_close(check(L));
    return 0;
}

void retab_body_register(lua_State *L)
{
    static const luaL_Reg meta[] = {
        {"__close", close_it}, {"__len", length}, {"__tostring", to_string}, {"__gc", collect}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"close", close_it}, {NULL, NULL}};
    retab_push_type(L, RETAB_BYTES, meta, methods);
    lua_pop(L, 1);
}
