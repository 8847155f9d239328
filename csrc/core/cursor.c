#include "cursor.h"

#include <stdlib.h>
#include <string.h>

#define CURSOR "retab.cursor"

static int copy(struct retab_cursor_text *to, const char *bytes, size_t length)
{
    char *copied = realloc(to->bytes, length + 1); /* never of no bytes */
    if (copied == NULL) {
        return -1;
    }
    memcpy(copied, bytes, length);
    to->bytes = copied;
    to->length = length;
    return 0;
}

enum retab_cursor_state retab_cursor_advance(struct retab_cursor *cursor, const char *after, size_t length)
{
    if (after == NULL || length == 0) {
        return RETAB_CURSOR_OVER;
    }
    const struct retab_cursor_text *landmark = &cursor->landmark;
    if (landmark->bytes != NULL && landmark->length == length && memcmp(landmark->bytes, after, length) == 0) {
        return RETAB_CURSOR_LOOP;
    }
    /* in this order, so that the same call can be made again where there was no memory */
    if (copy(&cursor->next, after, length) != 0) {
        return RETAB_CURSOR_NO_MEMORY;
    }
    if (cursor->steps == cursor->reach) {
        if (copy(&cursor->landmark, after, length) != 0) {
            return RETAB_CURSOR_NO_MEMORY;
        }
        cursor->reach = cursor->reach == 0 ? 1 : cursor->reach * 2;
        cursor->steps = 0;
    }
    cursor->steps++;
    return RETAB_CURSOR_NEXT;
}

void retab_cursor_free(struct retab_cursor *cursor)
{
    free(cursor->next.bytes);
    free(cursor->landmark.bytes);
    memset(cursor, 0, sizeof *cursor);
}

/* core.cursor([after]) -> cursor
 * A walk that begins at the start, or behind the run whose id `after` is. */
static int new_cursor(lua_State *L)
{
    size_t length = 0;
    const char *after = luaL_optlstring(L, 1, NULL, &length);
    struct retab_cursor *cursor = lua_newuserdatauv(L, sizeof *cursor, 0);
    memset(cursor, 0, sizeof *cursor);
    luaL_getmetatable(L, CURSOR);
    lua_setmetatable(L, -2);
    if (retab_cursor_advance(cursor, after, length) == RETAB_CURSOR_NO_MEMORY) {
        return luaL_error(L, "not enough memory");
    }
    return 1;
}

/* cursor:advance(after) -> "next" | "over" | "loop" */
static int advance(lua_State *L)
{
    size_t length = 0;
    struct retab_cursor *cursor = luaL_checkudata(L, 1, CURSOR);
    const char *after = luaL_optlstring(L, 2, NULL, &length);
    switch (retab_cursor_advance(cursor, after, length)) {
    case RETAB_CURSOR_NEXT:
        lua_pushliteral(L, "next");
        return 1;
    case RETAB_CURSOR_OVER:
        lua_pushliteral(L, "over");
        return 1;
    case RETAB_CURSOR_LOOP:
        lua_pushliteral(L, "loop");
        return 1;
    default:
        return luaL_error(L, "not enough memory");
    }
}

/* cursor:after() -> the `after` of the next request, nil for none */
static int after(lua_State *L)
{
    const struct retab_cursor *cursor = luaL_checkudata(L, 1, CURSOR);
    if (cursor->next.bytes == NULL) {
        lua_pushnil(L);
    } else {
        lua_pushlstring(L, cursor->next.bytes, cursor->next.length);
    }
    return 1;
}

static int collect(lua_State *L)
{
    retab_cursor_free(luaL_checkudata(L, 1, CURSOR));
    return 0;
}

void retab_cursor_register(lua_State *L)
{
    static const luaL_Reg methods[] = {{"advance", advance}, {"after", after}, {NULL, NULL}};
    luaL_newmetatable(L, CURSOR); /* filled also where it is there: memory may have run out in the middle of it */
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    lua_pushcfunction(L, new_cursor);
    lua_setfield(L, -2, "cursor");
}
