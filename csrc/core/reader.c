#include "reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"

#define READER RETAB_TYPE("reader")

/* Buffers with more bytes are freed at the end of a decode. */
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

static void push_new(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__gc", collect}, {NULL, NULL}}, methods[] = {{NULL, NULL}};
    struct retab_reader *r = lua_newuserdatauv(L, sizeof *r, 1);
    memset(r, 0, sizeof *r);
    retab_push_type(L, READER, meta, methods);
    lua_setmetatable(L, -2);
}

struct retab_reader *retab_reader_checkout(lua_State *L)
{
    if (lua_isnil(L, lua_upvalueindex(1))) {
        push_new(L);
    } else {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_pushnil(L);
        lua_replace(L, lua_upvalueindex(1));
    }
    return lua_touserdata(L, -1);
}

void retab_reader_checkin(lua_State *L, int index)
{
    struct retab_reader *r = lua_touserdata(L, index);
    retab_text_trim(&r->text, KEPT);
    if (r->frame_room * r->frame_bytes > KEPT) {
        free(r->frames);
        r->frames = NULL;
        r->frame_room = 0;
    }
    if (r->is_finalized) {
        free_memory(r); /* its finalizer has run already */
        r->is_finalized = 1;
    }
    lua_pushvalue(L, index);
    lua_replace(L, lua_upvalueindex(1));
}

int retab_reader_has_room(lua_State *L, int slots)
{
    if (lua_checkstack(L, slots)) {
        return 1;
    }
    /* Some versions do not say whether it was memory, nor collect garbage first. About as much memory does both. */
    const size_t slot = 16;
    (void)lua_newuserdatauv(L, (size_t)(lua_gettop(L) + slots) * 2 * slot, 0);
    lua_pop(L, 1);
    return lua_checkstack(L, slots);
}

void retab_reader_begin(lua_State *L, struct retab_reader *r, int index, const char *text, size_t length,
                        const struct retab_options *options)
{
    if (!retab_reader_has_room(L, LUA_MINSTACK)) {
        luaL_error(L, "stack overflow");
    }
    r->text.start = r->p = text;
    r->text.end = text + length;
    r->text.message = NULL;
    r->null = options->null;
    r->fields = options->fields;
    r->max_depth = options->max_depth;
    r->depth = 0;
    retab_shapes_begin(L, &r->shapes, index);
}

const char *retab_reader_error(lua_State *L, const struct retab_reader *r, size_t *position)
{
    if (r->text.message == retab_text_no_memory) {
        retab_no_memory(L);
    }
    *position = (size_t)(r->text.wrong - r->text.start) + 1;
    return r->text.message;
}

/* ---- options --------------------------------------------------------------------------------------- */

static void check_names(lua_State *L, int index)
{
    static const char *const names[] = {"null", "fields", "max_depth", NULL};
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        int is_known = 0;
        for (int i = 0; names[i] != NULL && lua_type(L, -2) == LUA_TSTRING; i++) {
            is_known = is_known || strcmp(lua_tostring(L, -2), names[i]) == 0;
        }
        if (!is_known) {
            luaL_error(L, "unknown option '%s': must be null, fields or max_depth",
                       lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : luaL_typename(L, -2));
        }
    }
}

void retab_reader_options(lua_State *L, int index, struct retab_options *options)
{
    *options = (struct retab_options){0, NULL, RETAB_DEPTH};
    if (lua_isnoneornil(L, index)) {
        return;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    check_names(L, index);
    lua_getfield(L, index, "null");
    options->null = lua_isnil(L, -1) ? 0 : lua_gettop(L);
    lua_getfield(L, index, "fields");
    if (!lua_isnil(L, -1)) {
        options->fields = retab_fields_push(L, lua_gettop(L));
    }
    lua_getfield(L, index, "max_depth");
    if (!lua_isnil(L, -1)) {
        const lua_Number depth = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
        if (!(depth >= 1 && depth <= RETAB_DEPTH_MOST) || floor((double)depth) != (double)depth) {
            luaL_error(L, "max_depth must be an integer from 1 to %d", RETAB_DEPTH_MOST);
        }
        options->max_depth = (size_t)depth;
    }
}

/* ---- decode ---------------------------------------------------------------------------------------- */

int retab_reader_decode(lua_State *L)
{
    struct retab_options options;
    size_t length, position;
    luaL_checktype(L, 1, LUA_TSTRING);
    const char *text = lua_tolstring(L, 1, &length);
    lua_settop(L, 2);
    retab_reader_options(L, 2, &options);
    struct retab_reader *r = retab_reader_checkout(L);
    const int index = lua_gettop(L);
    retab_reader_begin(L, r, index, text, length, &options);
    if (retab_build_value(L, r, &r->shapes.root, RETAB_BUILD_SELECT) == 0 && retab_build_end(r) == 0) {
        retab_reader_checkin(L, index);
        return 1;
    }
    lua_settop(L, index);
    lua_pushnil(L);
    lua_pushstring(L, retab_reader_error(L, r, &position));
    lua_pushinteger(L, (lua_Integer)position);
    retab_reader_checkin(L, index);
    return 3;
}

void retab_reader_register(lua_State *L, const char *name, lua_CFunction function)
{
    push_new(L);
    lua_pushcclosure(L, function, 1);
    lua_setfield(L, -2, name);
}
