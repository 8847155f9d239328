/* The envelope is read member by member, because after decoding an empty array and an empty object look
 * alike, and a page is only what has an array. */
#include "envelope.h"

#include <string.h>

#include "../bytes.h"
#include "json.h"

/* Why a JSON text is no envelope: a message on the Lua stack, and -1. */
static int refuse(lua_State *L, const char *name, const char *wanted, const char *came)
{
    lua_pushfstring(L, "the answer is no list: %s is %s where %s is expected", name, came, wanted);
    return -1;
}

static int refuse_text(lua_State *L, const struct retab_json *reader)
{
    char position[32];
    /* lua_pushfstring has no format for a size_t */
    size_t value = retab_json_position(reader), at = sizeof position;
    position[--at] = '\0';
    do {
        position[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    lua_pushfstring(L, "the answer is not JSON: %s at byte %s", retab_json_message(reader), position + at);
    return -1;
}

/* What came, by the kinds that retab_json_peek gives; 0 for what is missing. It is judged when all of the
 * text was read: what is not JSON is called that first, and of a member that comes twice the last one counts. */
struct envelope {
    int flags; /* of `data`, for retab_json_value */
    char data, metadata, before, after;
};

/* Reads a cursor: a string, or nil for null and for the empty string, whatever JSON null becomes elsewhere. */
static int read_cursor(lua_State *L, struct retab_json *reader, struct retab_place *place, char *kind)
{
    *kind = retab_json_peek(reader);
    if (retab_json_value(L, reader, place, 0) != 0) {
        return refuse_text(L, reader);
    }
    if (*kind == 'n' || (*kind == '"' && lua_rawlen(L, -1) == 0)) {
        lua_pop(L, 1);
        lua_pushnil(L);
    }
    return 0;
}

/* Pushes the value of the member whose key is on top. */
typedef int read_member(lua_State *L, struct retab_json *reader, struct retab_place *place, struct envelope *envelope);

static int is_key(lua_State *L, const char *key)
{
    return lua_rawlen(L, -1) == strlen(key) && strcmp(lua_tostring(L, -1), key) == 0;
}

/* Pushes the object at the cursor, its members read with `read`. */
static int read_object(lua_State *L, struct retab_json *reader, struct retab_place *place, read_member *read,
                       struct envelope *envelope)
{
    struct retab_json_object object;
    int more;
    lua_newtable(L);
    retab_json_object(reader, place, &object);
    while ((more = retab_json_member(L, reader, &object, &place)) == 1) {
        if (read(L, reader, place, envelope) != 0) {
            return -1;
        }
        lua_rawset(L, -3);
    }
    return more < 0 ? refuse_text(L, reader) : 0;
}

static int read_metadata(lua_State *L, struct retab_json *reader, struct retab_place *place, struct envelope *envelope)
{
    if (is_key(L, "before")) {
        return read_cursor(L, reader, place, &envelope->before);
    }
    if (is_key(L, "after")) {
        return read_cursor(L, reader, place, &envelope->after);
    }
    return retab_json_value(L, reader, place, 0) != 0 ? refuse_text(L, reader) : 0;
}

static int read_envelope(lua_State *L, struct retab_json *reader, struct retab_place *place, struct envelope *envelope)
{
    const char kind = retab_json_peek(reader);
    const int is_data = is_key(L, "data");
    if (is_data) {
        envelope->data = kind;
    } else if (is_key(L, "list_metadata")) {
        envelope->metadata = kind;
        envelope->before = envelope->after = 0;
        if (kind == '{') {
            return read_object(L, reader, place, read_metadata, envelope);
        }
    }
    const int flags = is_data ? envelope->flags : 0;
    return retab_json_value(L, reader, place, flags) != 0 ? refuse_text(L, reader) : 0;
}

/* Refuses a member unless it is of this kind. */
static int judge(lua_State *L, const char *name, char kind, char wanted)
{
    return kind == wanted ? 0 : refuse(L, name, retab_json_kind(wanted), kind == 0 ? "missing" : retab_json_kind(kind));
}

static int judge_cursor(lua_State *L, const char *name, char kind)
{
    return kind == 0 || kind == '"' || kind == 'n' ? 0 : refuse(L, name, "a string or null", retab_json_kind(kind));
}

static int read_page(lua_State *L, struct retab_json *reader, struct envelope *envelope)
{
    const char kind = retab_json_peek(reader);
    if (kind != '{') {
        return retab_json_value(L, reader, NULL, 0) != 0 || retab_json_end(reader) != 0
                   ? refuse_text(L, reader)
                   : refuse(L, "it", "an object", retab_json_kind(kind));
    }
    if (read_object(L, reader, retab_json_root(reader), read_envelope, envelope) != 0) {
        return -1;
    }
    if (retab_json_end(reader) != 0) {
        return refuse_text(L, reader);
    }
    return judge(L, "data", envelope->data, '[') != 0 || judge(L, "list_metadata", envelope->metadata, '{') != 0 ||
                   judge_cursor(L, "list_metadata.before", envelope->before) != 0 ||
                   judge_cursor(L, "list_metadata.after", envelope->after) != 0
               ? -1
               : 0;
}

/* The body at 1, a string or retab_bytes, which are held. */
static const char *check_body(lua_State *L, struct retab_bytes **bytes, size_t *length)
{
    *bytes = retab_bytes_test(L, 1);
    if (*bytes == NULL) {
        luaL_checktype(L, 1, LUA_TSTRING);
        return lua_tolstring(L, 1, length);
    }
    luaL_argcheck(L, (*bytes)->start != NULL, 1, "the body is closed");
    luaL_argcheck(L, !(*bytes)->held, 1, "the body is being read");
    (*bytes)->held = 1;
    *length = (*bytes)->length;
    return (*bytes)->start;
}

/* core.envelope(body [, options]) -> page | nil, message
 * The options are those of core.decode; the paths of `fields` start at a run. The page is a plain table with
 * `data` and `list_metadata`, and all else that the envelope holds. */
static int envelope(lua_State *L)
{
    struct retab_json_options options;
    struct retab_bytes *bytes;
    size_t length;
    lua_settop(L, 2);
    retab_json_options(L, 2, &options);
    const char *body = check_body(L, &bytes, &length);
    struct envelope state = {RETAB_JSON_DENSE | (options.fields != 0 ? RETAB_JSON_SELECT : 0), 0, 0, 0, 0};
    struct retab_json *reader = retab_json_checkout(L);
    const int index = lua_gettop(L);
    retab_json_begin(L, reader, index, body, length, &options);
    const int failed = read_page(L, reader, &state);
    retab_json_checkin(L, index);
    if (bytes != NULL) {
        bytes->held = 0;
    }
    if (failed) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    return 1;
}

void retab_envelope_register(lua_State *L)
{
    retab_json_new(L);
    lua_pushcclosure(L, envelope, 1);
    lua_setfield(L, -2, "envelope");
}
