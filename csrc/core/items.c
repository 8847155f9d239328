#include "items.h"

#include <string.h>

#include "reader.h"
#include "skip.h"

/* Functions that read take a position in the text and return the position after what they consumed; or NULL, with the
 * error of the text set. */

/* Reads an array from its bracket on, and pushes the texts of its items as a table. */
static const char *push_items(lua_State *L, struct retab_text *text, const char *p)
{
    lua_newtable(L);
    p = retab_text_space(p + 1);
    if (*p == ']') {
        return p + 1;
    }
    for (int i = 1;; i++) {
        const char *const item = p;
        p = retab_skip_value(text, item, RETAB_DEPTH - 2);
        if (p == NULL) {
            return NULL;
        }
        lua_pushlstring(L, item, (size_t)(p - item));
        lua_rawseti(L, -2, i);
        p = retab_text_space(p);
        if (*p == ']') {
            return p + 1;
        }
        if (*p != ',') {
            return retab_text_fail(text, p, "expected ',' or ']'");
        }
        p = retab_text_space(p + 1);
    }
}

/* Reads a member from its key on. The items of `data` replace the table on top. */
static const char *read_member(lua_State *L, struct retab_text *text, const char *p)
{
    const char *key;
    size_t length;
    if (*p != '"') {
        return retab_text_fail(text, p, "expected a string as key");
    }
    p = retab_text_decode(text, p, &key, &length);
    if (p == NULL) {
        return NULL;
    }
    const int is_data = length == 4 && memcmp(key, "data", 4) == 0;
    p = retab_text_space(p);
    if (*p != ':') {
        return retab_text_fail(text, p, "expected ':' after a key");
    }
    p = retab_text_space(p + 1);
    if (!is_data) {
        return retab_skip_value(text, p, RETAB_DEPTH - 1);
    }
    if (*p == '[') {
        p = push_items(L, text, p);
    } else {
        lua_newtable(L);
        p = retab_skip_value(text, p, RETAB_DEPTH - 1);
    }
    if (p != NULL) {
        lua_replace(L, -2);
    }
    return p;
}

/* Reads an object, all of the text, and pushes the items of its `data`. */
static const char *read_list(lua_State *L, struct retab_text *text)
{
    const char *p = retab_text_space(text->start);
    lua_newtable(L);
    if (*p != '{') {
        return retab_text_fail(text, p, "expected an object");
    }
    p = retab_text_space(p + 1);
    if (*p != '}') {
        for (p = read_member(L, text, p); p != NULL; p = read_member(L, text, p)) {
            p = retab_text_space(p);
            if (*p != ',') {
                break;
            }
            p = retab_text_space(p + 1);
        }
    }
    if (p == NULL) {
        return NULL;
    }
    if (*p != '}') {
        return retab_text_fail(text, p, "expected ',' or '}'");
    }
    p = retab_text_space(p + 1);
    return p == text->end ? p : retab_text_fail(text, p, "expected the end");
}

int retab_items_read(lua_State *L)
{
    const struct retab_options everything = {0, NULL, RETAB_DEPTH};
    size_t length, position;
    const char *const body = luaL_checklstring(L, 1, &length);
    lua_settop(L, 1);
    struct retab_reader *r = retab_reader_checkout(L);
    const int index = lua_gettop(L);
    retab_reader_begin(L, r, index, body, length, &everything);
    const int failed = read_list(L, &r->text) == NULL;
    if (failed) {
        const char *message = retab_reader_error(L, r, &position);
        lua_pushnil(L);
        lua_pushstring(L, message);
    }
    retab_reader_checkin(L, index);
    return failed ? 2 : 1;
}
