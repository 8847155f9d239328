/* A list is read member by member, because after decoding an empty array looks like an empty object, and only an array
 * is a list. What came is judged after all of the text is read: a text that is not JSON is called that first, and of
 * two equal keys the last one counts. */
#include "envelope.h"

#include <string.h>

#include "../bytes.h"
#include "build.h"
#include "reader.h"
#include "tail.h"

/* Kinds of members, as retab_build_peek returns them; 0 where a member is missing. */
struct envelope {
    char data, metadata, before, after;
};

/* ---- messages -------------------------------------------------------------------------------------- */

static const char *const kind_names[128] = {
    ['\0'] = "missing",  ['{'] = "an object", ['['] = "an array", ['"'] = "a string",
    ['t'] = "a boolean", ['f'] = "a boolean", ['n'] = "null",     ['0'] = "a number"};

/* Pushes why the response is refused. Returns -1. */
static int refuse(lua_State *L, const char *what, const char *name, char kind, const char *expected)
{
    lua_pushfstring(L, "the response is not %s: %s is %s, expected %s", what, name, kind_names[(unsigned char)kind],
                    expected);
    return -1;
}

static int refuse_text(lua_State *L, const struct retab_reader *r)
{
    size_t position;
    const char *message = retab_reader_error(L, r, &position);
    lua_pushfstring(L, "the response is not JSON: %s at byte ", message);
    lua_pushinteger(L, (lua_Integer)position); /* lua_pushfstring has no format for it in Lua 5.1 and 5.2 */
    lua_concat(L, 2);
    return -1;
}

/* ---- a list ---------------------------------------------------------------------------------------- */

/* Pushes the value of the member whose key is on top. */
typedef int read_member(lua_State *L, struct retab_reader *r, struct retab_shape *shape, struct envelope *envelope);

static int is_key(lua_State *L, const char *key)
{
    return lua_rawlen(L, -1) == strlen(key) && strcmp(lua_tostring(L, -1), key) == 0;
}

static int read_any(lua_State *L, struct retab_reader *r, struct retab_shape *shape, int flags)
{
    return retab_build_value(L, r, shape, flags) == 0 ? 0 : refuse_text(L, r);
}

/* Pushes the object that retab_build_peek has seen, its members read with `read`. */
static int read_object(lua_State *L, struct retab_reader *r, struct retab_shape *shape, read_member *read,
                       struct envelope *envelope)
{
    struct retab_shape *child;
    int more = retab_build_enter(r);
    lua_newtable(L);
    for (int is_first = 1; more == 0; is_first = 0) {
        more = retab_build_member(L, r, is_first, shape, &child);
        if (more == 0) {
            return 0;
        }
        if (more == 1) {
            if (read(L, r, child, envelope) != 0) {
                return -1;
            }
            lua_rawset(L, -3);
            more = 0;
        }
    }
    return refuse_text(L, r);
}

/* Reads a cursor. It is nil for null and for the empty string, whatever null becomes elsewhere. */
static int read_cursor(lua_State *L, struct retab_reader *r, struct retab_shape *shape, char *kind)
{
    *kind = retab_build_peek(r);
    if (read_any(L, r, shape, 0) != 0) {
        return -1;
    }
    if (*kind == 'n' || (*kind == '"' && lua_rawlen(L, -1) == 0)) {
        lua_pop(L, 1);
        lua_pushnil(L);
    }
    return 0;
}

static int read_metadata(lua_State *L, struct retab_reader *r, struct retab_shape *shape, struct envelope *envelope)
{
    if (is_key(L, "before")) {
        return read_cursor(L, r, shape, &envelope->before);
    }
    if (is_key(L, "after")) {
        return read_cursor(L, r, shape, &envelope->after);
    }
    return read_any(L, r, shape, 0);
}

static int read_list_member(lua_State *L, struct retab_reader *r, struct retab_shape *shape, struct envelope *envelope)
{
    if (is_key(L, "data")) {
        envelope->data = retab_build_peek(r);
        return read_any(L, r, shape, RETAB_BUILD_DENSE | RETAB_BUILD_SELECT);
    }
    if (is_key(L, "list_metadata")) {
        envelope->metadata = retab_build_peek(r);
        envelope->before = envelope->after = 0;
        if (envelope->metadata == '{') {
            return read_object(L, r, shape, read_metadata, envelope);
        }
    }
    return read_any(L, r, shape, 0);
}

static int is_cursor(char kind)
{
    return kind == 0 || kind == '"' || kind == 'n';
}

static int read_list(lua_State *L, struct retab_reader *r)
{
    struct envelope envelope = {0, 0, 0, 0};
    const char kind = retab_build_peek(r);
    const int failed = kind == '{' ? read_object(L, r, &r->shapes.root, read_list_member, &envelope)
                                   : read_any(L, r, NULL, RETAB_BUILD_SELECT);
    if (failed) {
        return -1;
    }
    if (retab_build_end(r) != 0) {
        return refuse_text(L, r);
    }
    if (kind != '{') {
        return refuse(L, "a list", "it", kind, "an object");
    }
    if (envelope.data != '[') {
        return refuse(L, "a list", "data", envelope.data, "an array");
    }
    if (envelope.metadata != '{') {
        return refuse(L, "a list", "list_metadata", envelope.metadata, "an object");
    }
    if (!is_cursor(envelope.before)) {
        return refuse(L, "a list", "list_metadata.before", envelope.before, "a string or null");
    }
    if (!is_cursor(envelope.after)) {
        return refuse(L, "a list", "list_metadata.after", envelope.after, "a string or null");
    }
    return 0;
}

static int read_one_object(lua_State *L, struct retab_reader *r)
{
    const char kind = retab_build_peek(r);
    if (read_any(L, r, &r->shapes.root, RETAB_BUILD_SELECT) != 0) {
        return -1;
    }
    if (retab_build_end(r) != 0) {
        return refuse_text(L, r);
    }
    return kind == '{' ? 0 : refuse(L, "an object", "it", kind, "an object");
}

/* ---- bodies ---------------------------------------------------------------------------------------- */

/* Returns the body at 1. Retab_bytes are held, and stored. */
static const char *hold_body(lua_State *L, struct retab_bytes **bytes, size_t *length)
{
    *bytes = retab_bytes_test(L, 1);
    if (*bytes == NULL) {
        luaL_checktype(L, 1, LUA_TSTRING);
        return lua_tolstring(L, 1, length);
    }
    luaL_argcheck(L, (*bytes)->start != NULL, 1, "the body is closed");
    retab_bytes_hold(*bytes);
    *length = (*bytes)->length;
    return (*bytes)->start;
}

static void release_body(struct retab_bytes *bytes)
{
    if (bytes != NULL) {
        retab_bytes_release(bytes);
    }
}

/* Reads the body at 1 by the options at 2. */
static int read_body(lua_State *L, int (*read)(lua_State *L, struct retab_reader *r))
{
    struct retab_options options;
    struct retab_bytes *bytes;
    size_t length;
    lua_settop(L, 2);
    retab_reader_options(L, 2, &options);
    struct retab_reader *r = retab_reader_checkout(L);
    const int index = lua_gettop(L);
    const char *body = hold_body(L, &bytes, &length);
    retab_reader_begin(L, r, index, body, length, &options);
    const int failed = read(L, r);
    if (failed) {
        lua_pushnil(L);
        lua_insert(L, -2);
    }
    retab_reader_checkin(L, index);
    release_body(bytes);
    return failed ? 2 : 1;
}

int retab_envelope_list(lua_State *L)
{
    return read_body(L, read_list);
}

int retab_envelope_object(lua_State *L)
{
    return read_body(L, read_one_object);
}

int retab_envelope_next_cursor(lua_State *L)
{
    struct retab_bytes *bytes;
    const char *cursor;
    size_t length;
    lua_settop(L, 1);
    const char *body = hold_body(L, &bytes, &length);
    switch (retab_tail_after(body, length, &cursor, &length)) {
    case RETAB_TAIL_CURSOR:
        lua_pushlstring(L, cursor, length);
        break;
    case RETAB_TAIL_NONE:
        lua_pushboolean(L, 0);
        break;
    case RETAB_TAIL_NOT_PLAIN:
        lua_pushnil(L);
    }
    release_body(bytes);
    return 1;
}
