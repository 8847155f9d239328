/* Selected fields: a tree of paths such as "lifecycle.status", in which keys are looked up while a document is read. */
#pragma once

#include <stddef.h>

#include "../compat.h"

#pragma GCC visibility push(hidden)

/* A selection below a key: everything, nothing, or the index of a node, whose children are selected. */
#define RETAB_FIELDS_ALL (-1)
#define RETAB_FIELDS_NONE (-2)
#define RETAB_FIELDS_ROOT 0

struct retab_fields_node {
    const char *key; /* part of a path, without a NUL at its end */
    size_t length;
    int is_leaf, child, sibling; /* child, sibling: indexes in the tree; 0 for none */
};

/* Returns the tree of the paths in the array at the absolute `index`. Pushes two values that own it: they must stay on
 * the stack while the tree is used. Raises unless each path is a string of keys joined by dots, none of them empty. */
const struct retab_fields_node *retab_fields_push(lua_State *L, int index);

/* Returns the selection for the value of `key`, in an object whose selection is `node`. */
int retab_fields_select(const struct retab_fields_node *tree, int node, const char *key, size_t length);

#pragma GCC visibility pop
