/* Selected fields: paths such as "lifecycle.status" as a tree, looked up key by key while a document is read. */
#pragma once

#include <stddef.h>

#include "../compat.h"

#pragma GCC visibility push(hidden)

/* What is selected below a key: everything, nothing, or what the node of this index says. */
#define RETAB_FIELDS_ALL (-1)
#define RETAB_FIELDS_NONE (-2)
#define RETAB_FIELDS_ROOT 0

struct retab_fields_node {
    const char *key; /* part of a path */
    size_t length;
    int is_leaf, child, sibling; /* child, sibling: indexes; 0 for none */
};

/* Pushes two values, which are to stay on the stack as long as the tree is used, and returns the tree of the paths in
 * the value at the absolute `index`. Raises unless that is an array of strings: keys joined by dots, none empty. */
const struct retab_fields_node *retab_fields_push(lua_State *L, int index);

/* Returns what is selected of the value of `key`, in an object of which `node` is selected. */
int retab_fields_select(const struct retab_fields_node *tree, int node, const char *key, size_t length);

#pragma GCC visibility pop
