#include "query.h"

#include <string.h>

/* RFC 3986, 2.3: what is never escaped. */
static int is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

/* Adds the string at `index`, percent-encoded. */
static void add_escaped(lua_State *L, luaL_Buffer *buffer, int index)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t length;
    const char *text = lua_tolstring(L, index, &length);
    for (size_t i = 0; i < length; i++) {
        if (is_unreserved(text[i])) {
            luaL_addchar(buffer, text[i]);
        } else {
            const unsigned char byte = (unsigned char)text[i];
            luaL_addchar(buffer, '%');
            luaL_addchar(buffer, digits[byte >> 4]);
            luaL_addchar(buffer, digits[byte & 15]);
        }
    }
}

/* core.url(base, path, pairs) -> url
 * base: a URL without a trailing slash. path: with its leading slash. pairs: { name, value, name, value, ... },
 * strings, which stand in the query in this order, percent-encoded. */
static int url(lua_State *L)
{
    luaL_Buffer buffer;
    luaL_checktype(L, 1, LUA_TSTRING);
    luaL_checktype(L, 2, LUA_TSTRING);
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_settop(L, 3);
    const size_t count = lua_rawlen(L, 3);
    lua_pushnil(L); /* 4: the string that is being added; a buffer wants the top for itself */
    luaL_buffinit(L, &buffer);
    lua_pushvalue(L, 1);
    luaL_addvalue(&buffer);
    lua_pushvalue(L, 2);
    luaL_addvalue(&buffer);
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, 3, RETAB_INDEX(i));
        luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, 3, "strings expected");
        lua_replace(L, 4);
        luaL_addchar(&buffer, i == 1 ? '?' : i % 2 == 1 ? '&' : '=');
        add_escaped(L, &buffer, 4);
    }
    luaL_pushresult(&buffer);
    return 1;
}

void retab_query_register(lua_State *L)
{
    lua_pushcfunction(L, url);
    lua_setfield(L, -2, "url");
}
