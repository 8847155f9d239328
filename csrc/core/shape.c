#include "shape.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

/* Places at a greater depth are not learnt. */
#define DEPTH 32

/* A constructor takes as long to create as it saves with a few hundred objects. With fewer keys it saves nothing in
 * PUC's Lua (bench/decode.lua). */
#define CONSTRUCTOR_AFTER 256
#define CONSTRUCTOR_LEAST 4
#define CONSTRUCTORS 64

static void free_children(struct retab_shape *shape)
{
    for (unsigned i = 0; i < shape->keys; i++) {
        free_children(&shape->children[i]);
    }
    free(shape->children);
    shape->children = NULL;
    shape->keys = 0;
    shape->room = 0;
    if (shape->other != NULL) {
        free_children(shape->other);
        free(shape->other);
        shape->other = NULL;
    }
}

void retab_shapes_free(struct retab_shapes *shapes)
{
    free_children(&shapes->root);
    memset(shapes, 0, sizeof *shapes);
}

void retab_shapes_begin(lua_State *L, struct retab_shapes *shapes, int index)
{
    if (shapes->count >= RETAB_SHAPES || shapes->count == 0) {
        lua_newtable(L);
        lua_setiuservalue(L, index, 1);
        retab_shapes_free(shapes);
        shapes->count = 1;
    }
    lua_getiuservalue(L, index, 1);
    shapes->anchors_index = lua_gettop(L);
}

static int may_learn(const struct retab_shapes *shapes, const struct retab_shape *at)
{
    return at->depth < DEPTH && shapes->count < RETAB_SHAPES;
}

struct retab_shape *retab_shape_find(const struct retab_shape *at, const char *key, size_t length, unsigned from)
{
    for (unsigned i = 0; i < at->keys; i++) {
        struct retab_shape *child = &at->children[(from + i) % at->keys];
        if (child->quoted_length == length + 3 && memcmp(child->quoted + 1, key, length) == 0) {
            return child;
        }
    }
    return NULL;
}

struct retab_shape *retab_shape_learn(lua_State *L, struct retab_shapes *shapes, struct retab_shape *at,
                                      const char *key, size_t length)
{
    if (at->is_map || length > RETAB_SHAPE_KEY || !may_learn(shapes, at)) {
        return NULL;
    }
    if (at->keys == RETAB_SHAPE_KEYS) {
        free_children(at);
        at->is_map = 1;
        return NULL;
    }
    if (at->keys == at->room) {
        void *larger = retab_text_grow(at->children, &at->room, (size_t)at->keys + 1, sizeof *at->children);
        if (larger == NULL) {
            retab_no_memory(L);
        }
        at->children = larger;
    }
    lua_pushlstring(L, key, length);
    lua_rawseti(L, shapes->anchors_index, RETAB_INDEX(shapes->anchor_count + 1));
    struct retab_shape *child = &at->children[at->keys];
    memset(child, 0, sizeof *child);
    child->quoted[0] = '"';
    memcpy(child->quoted + 1, key, length);
    memcpy(child->quoted + 1 + length, "\":", 2);
    child->quoted_length = (unsigned)length + 3;
    child->key = ++shapes->anchor_count;
    child->depth = at->depth + 1;
    at->keys++;
    shapes->count++;
    return child;
}

struct retab_shape *retab_shape_other(lua_State *L, struct retab_shapes *shapes, struct retab_shape *at)
{
    if (at == NULL || at->other != NULL || !may_learn(shapes, at)) {
        return at == NULL ? NULL : at->other;
    }
    at->other = calloc(1, sizeof *at->other);
    if (at->other == NULL) {
        retab_no_memory(L);
        return NULL;
    }
    at->other->depth = at->depth + 1;
    shapes->count++;
    return at->other;
}

/* Pushes the source of a constructor: return function(v0,v1)return{["a"]=v0,["b"]=v1,}end
 * No learnt key needs an escape in a Lua string. */
static void push_source(lua_State *L, const struct retab_shape *at)
{
    luaL_Buffer source;
    luaL_buffinit(L, &source);
    luaL_addstring(&source, "return function(");
    for (unsigned i = 0; i < at->ordered; i++) {
        lua_pushfstring(L, i > 0 ? ",v%d" : "v%d", (int)i);
        luaL_addvalue(&source);
    }
    luaL_addstring(&source, ")return{");
    for (unsigned i = 0; i < at->ordered; i++) {
        luaL_addchar(&source, '[');
        luaL_addlstring(&source, at->children[i].quoted, at->children[i].quoted_length - 1);
        lua_pushfstring(L, "]=v%d,", (int)i);
        luaL_addvalue(&source);
    }
    luaL_addstring(&source, "}end");
    luaL_pushresult(&source);
}

/* Creates the constructor of the first `ordered` children. If Lua cannot load it, in a host without a compiler or
 * without memory, it notes that there will be none. */
static void construct(lua_State *L, struct retab_shapes *shapes, struct retab_shape *at)
{
    size_t length;
    const int top = lua_gettop(L);
    at->constructor = -1;
    push_source(L, at);
    const char *source = lua_tolstring(L, -1, &length);
    if (luaL_loadbuffer(L, source, length, "=retab.constructor") == LUA_OK && lua_pcall(L, 0, 1, 0) == LUA_OK) {
        lua_rawseti(L, shapes->anchors_index, RETAB_INDEX(shapes->anchor_count + 1));
        at->constructor = ++shapes->anchor_count;
        shapes->constructors++;
    }
    lua_settop(L, top);
}

void retab_shape_note(lua_State *L, struct retab_shapes *shapes, struct retab_shape *at, unsigned ordered,
                      size_t values)
{
    /* a constructor makes room for all keys: do not use one if more than half of the values are nil */
    if (ordered < CONSTRUCTOR_LEAST || ordered != at->ordered || values * 2 < ordered) {
        at->ordered = ordered;
        at->alike = 0;
        return;
    }
    at->alike++;
    if (at->alike >= CONSTRUCTOR_AFTER && shapes->constructors < CONSTRUCTORS) {
        construct(L, shapes, at);
    }
}
