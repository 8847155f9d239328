#include "reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "object.h"

#define READER RETAB_TYPE("reader")

/* Buffers with more bytes are freed at the end of a run. */
#define KEPT ((size_t)64 * 1024)

/* ---- life ------------------------------------------------------------------------------------------ */

static void free_memory(struct retab_reader *r)
{
    retab_shapes_free(&r->shapes);
    retab_text_trim(&r->text, 0);
    free(r->frames);
    memset(r, 0, sizeof *r);
}

static int collect(lua_State *L)
{
    struct retab_reader *r = luaL_checkudata(L, 1, READER);
    free_memory(r);
    r->is_finalized = 1;
    return 0;
}

void retab_reader_push(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__gc", collect}, {NULL, NULL}}, methods[] = {{NULL, NULL}};
    struct retab_reader *r = lua_newuserdatauv(L, sizeof *r, 1);
    memset(r, 0, sizeof *r);
    retab_push_type(L, READER, meta, methods);
    lua_setmetatable(L, -2);
}

/* ---- options --------------------------------------------------------------------------------------- */

static void check_names(lua_State *L, int index)
{
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : luaL_typename(L, -2);
        if (strcmp(name, "null") != 0 && strcmp(name, "fields") != 0 && strcmp(name, "max_depth") != 0) {
            luaL_error(L, "unknown option '%s': must be null, fields or max_depth", name);
        }
    }
}

/* Returns the options in the table at `index`, or the defaults for nil. Pushes the values that they refer to. */
static struct retab_options read_options(lua_State *L, int index)
{
    struct retab_options options = {0, NULL, RETAB_DEPTH};
    if (lua_isnil(L, index)) {
        return options;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    check_names(L, index);
    lua_getfield(L, index, "null");
    options.null = lua_isnil(L, -1) ? 0 : lua_gettop(L);
    lua_getfield(L, index, "fields");
    if (!lua_isnil(L, -1)) {
        options.fields = retab_fields_push(L, lua_gettop(L));
    }
    lua_getfield(L, index, "max_depth");
    if (!lua_isnil(L, -1)) {
        const lua_Number depth = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
        if (!(depth >= 1 && depth <= RETAB_DEPTH_MOST) || floor((double)depth) != (double)depth) {
            luaL_error(L, "max_depth must be an integer from 1 to %d", RETAB_DEPTH_MOST);
        }
        options.max_depth = (size_t)depth;
    }
    return options;
}

/* ---- a run ----------------------------------------------------------------------------------------- */

int retab_reader_has_room(lua_State *L, int slots)
{
    if (lua_checkstack(L, slots)) {
        return 1;
    }
    /* Some versions of Lua do not tell if memory was missing, nor collect garbage first. Allocating about as much
     * memory as the stack needs collects garbage, and raises if memory is missing. */
    const size_t slot_bytes = 16;
    (void)lua_newuserdatauv(L, (size_t)(lua_gettop(L) + slots) * 2 * slot_bytes, 0);
    lua_pop(L, 1);
    return lua_checkstack(L, slots);
}

/* Takes the reader out of the upvalue of the calling function, or creates one if the upvalue is empty. Pushes it. */
static struct retab_reader *take_reader(lua_State *L)
{
    if (lua_isnil(L, lua_upvalueindex(1))) {
        retab_reader_push(L);
    } else {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_pushnil(L);
        lua_replace(L, lua_upvalueindex(1));
    }
    return lua_touserdata(L, -1);
}

/* Puts the reader at `index` back into the upvalue. No Lua code runs. */
static void return_reader(lua_State *L, int index)
{
    struct retab_reader *r = lua_touserdata(L, index);
    retab_text_trim(&r->text, KEPT);
    if (r->frame_room * sizeof *r->frames > KEPT) {
        free(r->frames);
        r->frames = NULL;
        r->frame_room = 0;
    }
    if (r->is_finalized) {
        free_memory(r); /* the finalizer will not run again */
        r->is_finalized = 1;
    }
    lua_pushvalue(L, index);
    lua_replace(L, lua_upvalueindex(1));
}

/* Pushes nil, message and position. If the text has no error, the message is on top already; otherwise any number of
 * unfinished values can be above `top`. */
static void push_failure(lua_State *L, const struct retab_text *text, int top)
{
    if (text->message == retab_text_no_memory) {
        retab_no_memory(L);
    }
    if (text->message == NULL) {
        lua_pushnil(L);
        lua_insert(L, -2);
        lua_pushnil(L);
    } else {
        lua_settop(L, top);
        lua_pushnil(L);
        lua_pushstring(L, text->message);
        lua_pushinteger(L, (lua_Integer)(text->error_at - text->start) + 1);
    }
}

int retab_reader_run(lua_State *L, retab_read *read)
{
    size_t length;
    luaL_checktype(L, 1, LUA_TSTRING);
    lua_settop(L, 2);
    if (!retab_reader_has_room(L, LUA_MINSTACK)) {
        luaL_error(L, "stack overflow");
    }
    const struct retab_options options = read_options(L, 2);
    struct retab_reader *r = take_reader(L);
    const int index = lua_gettop(L);
    r->text.start = r->p = lua_tolstring(L, 1, &length);
    r->text.end = r->p + length;
    r->text.message = NULL;
    r->options = options;
    r->depth = 0;
    retab_shapes_begin(L, &r->shapes, index);
    const int failed = read(L, r) != 0;
    if (failed) {
        push_failure(L, &r->text, index);
    }
    return_reader(L, index);
    return failed ? 3 : 1;
}

int retab_reader_decode(lua_State *L, struct retab_reader *r)
{
    const int failed = retab_build_value(L, r, &r->shapes.root, RETAB_BUILD_SELECT) != 0;
    return failed ? -1 : retab_build_end(r);
}
