#include "fields.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

void retab_fields_check(lua_State *L, int index)
{
    luaL_checktype(L, index, LUA_TTABLE);
    for (size_t i = 1; i <= lua_rawlen(L, index); i++) {
        lua_rawgeti(L, index, RETAB_INDEX(i));
        if (lua_type(L, -1) != LUA_TSTRING) {
            luaL_error(L, "fields[%d] is a %s: a path such as \"lifecycle.status\" is expected", (int)i,
                       luaL_typename(L, -1));
        }
        size_t length;
        const char *path = lua_tolstring(L, -1, &length);
        if (length == 0 || strlen(path) != length || path[0] == '.' || path[length - 1] == '.' ||
            strstr(path, "..") != NULL) {
            luaL_error(L, "fields[%d] is no path: keys joined by dots are expected, such as \"lifecycle.status\"",
                       (int)i);
        }
        lua_pop(L, 1);
    }
}

void retab_fields_free(struct retab_fields *fields)
{
    free(fields->paths);
    free(fields->nodes);
    memset(fields, 0, sizeof *fields);
}

static void *grow(lua_State *L, void *block, size_t *room, size_t need, size_t size)
{
    void *larger = need > *room ? retab_text_grow(block, room, need, size) : block;
    if (larger == NULL) {
        luaL_error(L, "not enough memory");
    }
    return larger;
}

static int add_node(lua_State *L, struct retab_fields *fields, const char *key, size_t length)
{
    fields->nodes = grow(L, fields->nodes, &fields->node_room, fields->count + 1, sizeof *fields->nodes);
    fields->nodes[fields->count] = (struct retab_fields_node){key, length, 0, 0, 0};
    return (int)fields->count++;
}

static int find_child(const struct retab_fields *fields, int node, const char *key, size_t length)
{
    int child = fields->nodes[node].child;
    while (child != 0 &&
           (fields->nodes[child].length != length || memcmp(fields->nodes[child].key, key, length) != 0)) {
        child = fields->nodes[child].sibling;
    }
    return child;
}

int retab_fields_select(const struct retab_fields *fields, int node, const char *key, size_t length)
{
    int child = find_child(fields, node, key, length);
    if (child == 0) {
        return RETAB_FIELDS_NONE;
    }
    return fields->nodes[child].leaf ? RETAB_FIELDS_ALL : child;
}

/* Copies the paths; whether they are those that were there before. */
static int copy_paths(lua_State *L, struct retab_fields *fields, int index)
{
    const size_t before = fields->length;
    size_t length = 0;
    int same = fields->generation > 0;
    for (size_t i = 1, count = lua_rawlen(L, index); i <= count; i++) {
        size_t size;
        lua_rawgeti(L, index, RETAB_INDEX(i));
        const char *path = lua_tolstring(L, -1, &size);
        if (path == NULL) {
            luaL_error(L, "fields changed while they were read");
            break;
        }
        size++; /* and its NUL */
        same = same && length + size <= before && memcmp(fields->paths + length, path, size) == 0;
        if (!same) {
            fields->length = 0; /* half copied is nothing, should there be no memory */
            fields->paths = grow(L, fields->paths, &fields->room, length + size, 1);
            memcpy(fields->paths + length, path, size);
        }
        length += size;
        lua_pop(L, 1);
    }
    fields->length = length;
    return same && length == before;
}

void retab_fields_compile(lua_State *L, struct retab_fields *fields, int index)
{
    if (copy_paths(L, fields, index)) {
        return;
    }
    fields->generation++;
    fields->count = 0;
    (void)add_node(L, fields, "", 0);
    size_t size;
    for (size_t at = 0; at < fields->length; at += size) {
        const char *path = fields->paths + at;
        int node = RETAB_FIELDS_ROOT;
        size = strlen(path) + 1;
        for (size_t from = 0; from < size;) {
            const char *key = path + from;
            const size_t length = strcspn(key, ".");
            int child = find_child(fields, node, key, length);
            if (child == 0) {
                child = add_node(L, fields, key, length);
                fields->nodes[child].sibling = fields->nodes[node].child;
                fields->nodes[node].child = child;
            }
            node = child;
            from += length + 1;
        }
        fields->nodes[node].leaf = 1;
    }
}
