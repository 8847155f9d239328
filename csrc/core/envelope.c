/* A list is read member by member, because a decoded empty array looks like an empty object, and only an array is a
 * list. The members are checked after the whole text is read: so an error of JSON comes first, and of two equal keys
 * the last one counts. */
#include "envelope.h"

#include <string.h>

#include "build.h"
#include "reader.h"

/* Kinds of members, as retab_build_peek returns them; 0 where a member is missing. */
struct envelope {
    char data, metadata, before, after;
};

static const char *const kind_names[128] = {
    ['\0'] = "missing",  ['{'] = "an object", ['['] = "an array", ['"'] = "a string",
    ['t'] = "a boolean", ['f'] = "a boolean", ['n'] = "null",     ['0'] = "a number"};

/* Checks that the kind of the member `name` is one of `kinds`. If `kinds` begins with a question mark, the member may
 * be missing. Returns 0, or -1 with a message pushed. */
static int check(lua_State *L, const char *what, const char *name, char kind, const char *kinds, const char *expected)
{
    if (kind != '\0' ? strchr(kinds, kind) != NULL : *kinds == '?') {
        return 0;
    }
    lua_pushfstring(L, "the response is not %s: %s is %s, expected %s", what, name, kind_names[(unsigned char)kind],
                    expected);
    return -1;
}

/* ---- a list ---------------------------------------------------------------------------------------- */

/* Pushes the value of the member whose key is on top. */
typedef int read_member(lua_State *L, struct retab_reader *r, struct retab_shape *shape, struct envelope *envelope,
                        int flags);

static int is_key(lua_State *L, const char *key)
{
    return lua_rawlen(L, -1) == strlen(key) && strcmp(lua_tostring(L, -1), key) == 0;
}

/* Pushes the object whose '{' retab_build_peek has returned, and reads its members with `read`. */
static int read_object(lua_State *L, struct retab_reader *r, struct retab_shape *shape, read_member *read,
                       struct envelope *envelope, int flags)
{
    struct retab_shape *child;
    int more = retab_build_enter(L, r);
    lua_newtable(L);
    for (int is_first = 1; more >= 0; is_first = 0) {
        more = retab_build_member(L, r, is_first, shape, &child);
        if (more <= 0) {
            break;
        }
        more = read(L, r, child, envelope, flags);
        if (more == 0) {
            lua_rawset(L, -3);
        }
    }
    return more;
}

static int read_cursor(lua_State *L, struct retab_reader *r, struct retab_shape *shape, char *kind)
{
    *kind = retab_build_peek(r);
    if (retab_build_value(L, r, shape, 0) != 0) {
        return -1;
    }
    if (*kind == 'n' || (*kind == '"' && lua_rawlen(L, -1) == 0)) {
        lua_pop(L, 1);
        lua_pushnil(L);
    }
    return 0;
}

static int read_metadata(lua_State *L, struct retab_reader *r, struct retab_shape *shape, struct envelope *envelope,
                         int flags)
{
    (void)flags;
    if (is_key(L, "before")) {
        return read_cursor(L, r, shape, &envelope->before);
    }
    return is_key(L, "after") ? read_cursor(L, r, shape, &envelope->after) : retab_build_value(L, r, shape, 0);
}

static int read_list_member(lua_State *L, struct retab_reader *r, struct retab_shape *shape, struct envelope *envelope,
                            int flags)
{
    if (is_key(L, "data")) {
        envelope->data = retab_build_peek(r);
        return retab_build_value(L, r, shape, flags);
    }
    if (is_key(L, "list_metadata")) {
        *envelope = (struct envelope){envelope->data, retab_build_peek(r), 0, 0};
        if (envelope->metadata == '{') {
            return read_object(L, r, shape, read_metadata, envelope, 0);
        }
    }
    return retab_build_value(L, r, shape, 0);
}

static int read_list(lua_State *L, struct retab_reader *r, int flags)
{
    struct envelope envelope = {0, 0, 0, 0};
    const char kind = retab_build_peek(r);
    const int failed = kind == '{' ? read_object(L, r, &r->shapes.root, read_list_member, &envelope, flags)
                                   : retab_build_value(L, r, NULL, flags);
    if (failed || retab_build_end(r) != 0) {
        return -1;
    }
    return check(L, "a list", "it", kind, "{", "an object") ||
                   check(L, "a list", "data", envelope.data, "[", "an array") ||
                   check(L, "a list", "list_metadata", envelope.metadata, "{", "an object") ||
                   check(L, "a list", "list_metadata.before", envelope.before, "?\"n", "a string or null") ||
                   check(L, "a list", "list_metadata.after", envelope.after, "?\"n", "a string or null")
               ? -1
               : 0;
}

int retab_envelope_list(lua_State *L, struct retab_reader *r)
{
    return read_list(L, r, RETAB_BUILD_DENSE | RETAB_BUILD_SELECT);
}

int retab_envelope_items(lua_State *L, struct retab_reader *r)
{
    const int failed = read_list(L, r, RETAB_BUILD_TEXTS);
    if (!failed) {
        lua_getfield(L, -1, "data");
    }
    return failed;
}

int retab_envelope_object(lua_State *L, struct retab_reader *r)
{
    const char kind = retab_build_peek(r);
    if (retab_build_value(L, r, &r->shapes.root, RETAB_BUILD_SELECT) != 0 || retab_build_end(r) != 0) {
        return -1;
    }
    return check(L, "an object", "it", kind, "{", "an object");
}

/* ---- the tail of a list ---------------------------------------------------------------------------- */

/* Returns the position after the last key list_metadata of a text and its colon, or NULL. Only a comma or a brace may
 * come before the key: then its first quote begins a string, and does not end one. */
static const char *find_metadata(const struct retab_text *text)
{
    static const char key[] = "\"list_metadata\"";
    const size_t length = sizeof key - 1;
    const char *p = (size_t)(text->end - text->start) > length ? text->end - length : text->start;
    while (p > text->start && (*p != '"' || memcmp(p, key, length) != 0)) {
        p--;
    }
    const char *before = p;
    while (before > text->start && strchr(" \n\r\t", before[-1]) != NULL) {
        before--;
    }
    if (before == text->start || strchr(",{", before[-1]) == NULL) {
        return NULL;
    }
    p = retab_text_space(p + length);
    return *p == ':' ? p + 1 : NULL;
}

/* Pushes the cursor, false or nil. The tail decides if list_metadata is an object and the last member of the text. Then
 * decoding finds the same cursor, if it accepts the text at all, because of two equal keys the last one counts. */
int retab_envelope_next_cursor(lua_State *L, struct retab_reader *r)
{
    struct envelope envelope = {0, 0, 0, 0};
    r->p = find_metadata(&r->text);
    if (r->p == NULL || retab_build_peek(r) != '{' || read_object(L, r, NULL, read_metadata, &envelope, 0) != 0 ||
        retab_build_peek(r) != '0' || *r->p++ != '}' || retab_build_end(r) != 0) {
        lua_pushnil(L);
        return 0;
    }
    lua_getfield(L, -1, "after");
    if (lua_type(L, -1) != LUA_TSTRING) {
        lua_pushboolean(L, 0);
    }
    return 0;
}
