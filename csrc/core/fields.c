#include "fields.h"

#include <limits.h>
#include <string.h>

/* Pushes the path number `i`, counted from 1, of the table at `index`. Returns it. */
static const char *check_path(lua_State *L, int index, size_t i, size_t *length)
{
    lua_rawgeti(L, index, RETAB_INDEX(i));
    if (lua_type(L, -1) != LUA_TSTRING) {
        luaL_error(L, "fields[%d] must be a path such as \"lifecycle.status\", got a %s", (int)i, luaL_typename(L, -1));
    }
    const char *path = lua_tolstring(L, -1, length);
    if (*length == 0 || strlen(path) != *length || path[0] == '.' || path[*length - 1] == '.' ||
        strstr(path, "..") != NULL) {
        luaL_error(L, "fields[%d] must be keys joined by dots, such as \"lifecycle.status\"", (int)i);
    }
    return path;
}

static int find_child(const struct retab_fields_node *tree, int node, const char *key, size_t length)
{
    int child = tree[node].child;
    while (child != 0 && (tree[child].length != length || memcmp(tree[child].key, key, length) != 0)) {
        child = tree[child].sibling;
    }
    return child;
}

/* Adds a path: creates nodes for those of its keys that have none yet. */
static void add_path(struct retab_fields_node *tree, int *count, const char *path)
{
    int node = RETAB_FIELDS_ROOT;
    for (const char *key = path;; key++) {
        const size_t length = strcspn(key, ".");
        int child = find_child(tree, node, key, length);
        if (child == 0) {
            child = (*count)++;
            tree[child] = (struct retab_fields_node){key, length, 0, 0, tree[node].child};
            tree[node].child = child;
        }
        node = child;
        key += length;
        if (*key == '\0') {
            tree[node].is_leaf = 1;
            return;
        }
    }
}

const struct retab_fields_node *retab_fields_push(lua_State *L, int index)
{
    size_t length, keys = 1;
    luaL_checktype(L, index, LUA_TTABLE);
    const size_t count = lua_rawlen(L, index);
    if (count > INT_MAX / 2) {
        luaL_error(L, "fields has too many paths");
    }
    /* nodes point into the strings: keep them, since the caller's table can change */
    lua_createtable(L, (int)count, 0);
    for (size_t i = 1; i <= count; i++) {
        const char *path = check_path(L, index, i, &length);
        for (keys++; (path = strchr(path, '.')) != NULL; path++) {
            keys++;
        }
        lua_rawseti(L, -2, RETAB_INDEX(i));
    }
    if (keys > INT_MAX) {
        luaL_error(L, "fields has too many keys");
    }
    struct retab_fields_node *tree = lua_newuserdatauv(L, keys * sizeof *tree, 0);
    int nodes = 1;
    tree[RETAB_FIELDS_ROOT] = (struct retab_fields_node){"", 0, 0, 0, 0};
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, -2, RETAB_INDEX(i));
        add_path(tree, &nodes, lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    return tree;
}

int retab_fields_select(const struct retab_fields_node *tree, int node, const char *key, size_t length)
{
    const int child = find_child(tree, node, key, length);
    if (child == 0) {
        return RETAB_FIELDS_NONE;
    }
    return tree[child].is_leaf ? RETAB_FIELDS_ALL : child;
}
