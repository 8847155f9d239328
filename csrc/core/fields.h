/* Selected fields: paths such as "lifecycle.status" as a tree, asked key by key while a document is read. */
#ifndef RETAB_FIELDS_H
#define RETAB_FIELDS_H

#include <stddef.h>

#include "../compat.h"

/* What is selected below a key: everything, nothing, or what the node of this index says. */
#define RETAB_FIELDS_ALL (-1)
#define RETAB_FIELDS_NONE (-2)
#define RETAB_FIELDS_ROOT 0

struct retab_fields_node {
    const char *key;
    size_t length;
    int leaf, child, sibling; /* 0 for none */
};

/* All zero to start with. It owns its memory. */
struct retab_fields {
    char *paths; /* each with a NUL behind it */
    size_t length, room;
    struct retab_fields_node *nodes;
    size_t count, node_room;
    unsigned generation; /* counts the different selections seen */
};

/* Raises unless the value at `index` is an array of paths: strings of keys joined by dots, none empty. */
void retab_fields_check(lua_State *L, int index);

/* Makes the tree of the paths in the table at `index`, unless it is the tree of the call before already.
 * Raises where there is no memory. */
void retab_fields_compile(lua_State *L, struct retab_fields *fields, int index);

/* What is selected of the value of `key`, in an object of which `node` is selected. */
int retab_fields_select(const struct retab_fields *fields, int node, const char *key, size_t length);

void retab_fields_free(struct retab_fields *fields);

#endif
