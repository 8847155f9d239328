#include "constructor.h"

/* Adds the key as a literal, in which each byte is written as its number. */
static void add_key(luaL_Buffer *source, const struct retab_constructor_key *key)
{
    luaL_addstring(source, "[\"");
    for (size_t i = 0; i < key->length; i++) {
        const unsigned byte = (unsigned char)key->bytes[i];
        luaL_addchar(source, '\\');
        luaL_addchar(source, (char)('0' + byte / 100));
        luaL_addchar(source, (char)('0' + byte / 10 % 10));
        luaL_addchar(source, (char)('0' + byte % 10));
    }
    luaL_addstring(source, "\"]=");
}

/* Adds the name of a parameter. */
static void add_name(luaL_Buffer *source, unsigned number)
{
    luaL_addchar(source, 'v');
    luaL_addchar(source, (char)('0' + number / 10));
    luaL_addchar(source, (char)('0' + number % 10));
}

/* return function(v00,v01)return{["\097"]=v00,["\098"]=v01}end */
int retab_constructor_push(lua_State *L, const struct retab_constructor_key *keys, unsigned count)
{
    luaL_Buffer source;
    luaL_buffinit(L, &source);
    luaL_addstring(&source, "return function(");
    for (unsigned i = 0; i < count; i++) {
        luaL_addstring(&source, i > 0 ? "," : "");
        add_name(&source, i);
    }
    luaL_addstring(&source, ")return{");
    for (unsigned i = 0; i < count; i++) {
        luaL_addstring(&source, i > 0 ? "," : "");
        add_key(&source, &keys[i]);
        add_name(&source, i);
    }
    luaL_addstring(&source, "}end");
    luaL_pushresult(&source);
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    if (luaL_loadbuffer(L, text, length, "=retab.constructor") != LUA_OK || lua_pcall(L, 0, 1, 0) != LUA_OK) {
        lua_pop(L, 2);
        return 0;
    }
    lua_remove(L, -2);
    return 1;
}
