#include "object.h"

#include <string.h>

/* ---- constructors ---------------------------------------------------------------------------------- */

/* Pushes the constructor of an object and returns 1. Returns 0 if there is none to use, or if the Lua stack is too
 * small: the values stay on it until the call, and the text may open containers above them. */
static int push_constructor(lua_State *L, struct retab_reader *r, struct retab_frame *frame)
{
    const struct retab_shape *const shape = frame->shape;
    if (shape->constructor <= 0 || frame->selection != RETAB_FIELDS_ALL || r->options.max_depth > RETAB_DEPTH ||
        !lua_checkstack(L, (int)shape->ordered + RETAB_DEPTH * RETAB_SLOTS + LUA_MINSTACK)) {
        return 0;
    }
    frame->constructed = shape->ordered;
    lua_rawgeti(L, r->shapes.anchors_index, RETAB_INDEX(shape->constructor));
    return 1;
}

/* Call this for an object that does not fit its constructor; its values so far are on top. Replaces constructor and
 * values with a table, and removes the constructor from the shape for good. */
static void drop_constructor(lua_State *L, struct retab_reader *r, struct retab_frame *frame)
{
    const int count = (int)frame->count, base = lua_gettop(L) - count;
    lua_createtable(L, 0, (int)frame->constructed);
    frame->constructed = 0;
    frame->count = 0;
    for (int i = 0; i < count; i++) {
        if (!lua_isnil(L, base + 1 + i)) {
            retab_shape_push_key(L, &r->shapes, &frame->shape->children[i]);
            lua_pushvalue(L, base + 1 + i);
            lua_rawset(L, -3);
            frame->count++;
        }
    }
    lua_replace(L, base);
    lua_settop(L, base);
    frame->shape->constructor = -1;
}

/* ---- members --------------------------------------------------------------------------------------- */

struct key {
    const char *bytes; /* in the text, the scratch buffer or a shape */
    size_t length;
    struct retab_shape *shape; /* of its value */
};

static void push_key(lua_State *L, const struct retab_reader *r, const struct key *key)
{
    if (key->shape != NULL && key->shape->key != 0) {
        retab_shape_push_key(L, &r->shapes, key->shape);
    } else {
        lua_pushlstring(L, key->bytes, key->length);
    }
}

void retab_object_remove(lua_State *L)
{
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 2);
    } else {
        lua_pop(L, 1); /* storing nil would add an absent key to a table of Lua 5.1, so only a present key is removed */
        lua_pushnil(L);
        lua_rawset(L, -3);
    }
}

/* Reads a key that is not the expected one, and its colon, up to the value. */
static const char *read_key(lua_State *L, struct retab_reader *r, const char *p, struct retab_frame *frame,
                            struct key *key)
{
    struct retab_shape *const at = frame->shape;
    if (*p != '"') {
        return retab_text_fail(&r->text, p, "expected a string as key");
    }
    const char *const close = retab_text_plain(p + 1, r->text.end);
    const int is_plain = *close == '"';
    *key = (struct key){p + 1, (size_t)(close - p) - 1, NULL};
    p = is_plain ? close + 1 : retab_text_decode(&r->text, p, &key->bytes, &key->length);
    if (p == NULL) {
        return NULL;
    }
    p = retab_text_space(p);
    if (*p != ':') {
        return retab_text_fail(&r->text, p, "expected ':' after a key");
    }
    if (frame->constructed > 0) {
        drop_constructor(L, r, frame);
    }
    if (at != NULL) {
        key->shape = retab_shape_find(at, key->bytes, key->length, frame->next);
        if (key->shape == NULL && is_plain) {
            key->shape = retab_shape_learn(L, &r->shapes, at, key->bytes, key->length);
        }
        if (key->shape != NULL) {
            const unsigned index = (unsigned)(key->shape - at->children);
            frame->is_ordered = frame->is_ordered && index == frame->next;
            frame->next = index + 1;
        } else {
            frame->is_ordered = 0;
            key->shape = retab_shape_other(L, &r->shapes, at);
        }
    }
    return retab_text_space(p + 1);
}

/* Returns the shape of the expected key if that key and its colon are at `p`; else NULL. */
static inline struct retab_shape *expected_key(const struct retab_reader *r, const struct retab_frame *frame,
                                               const char *p)
{
    if (frame->shape == NULL || frame->next >= frame->shape->keys) {
        return NULL;
    }
    struct retab_shape *child = &frame->shape->children[frame->next];
    return (size_t)(r->text.end - p) >= child->quoted_length && memcmp(p, child->quoted, child->quoted_length) == 0
               ? child
               : NULL;
}

/* Returns the selection for the value at `p`. */
static int select_member(lua_State *L, struct retab_reader *r, const char *p, const struct retab_frame *frame,
                         const struct key *key)
{
    const int selection = retab_fields_select(r->options.fields, frame->selection, key->bytes, key->length);
    if (selection == RETAB_FIELDS_ALL || selection == RETAB_FIELDS_NONE || *p == '{' || *p == '[') {
        return selection;
    }
    push_key(L, r, key);
    retab_object_remove(L); /* a scalar where the path continues is not selected, but replaces an equal key before it */
    return RETAB_FIELDS_NONE;
}

const char *retab_object_next(lua_State *L, struct retab_reader *r, const char *p, struct retab_frame *frame,
                              struct retab_next *next)
{
    struct key key;
    struct retab_shape *const expected = expected_key(r, frame, p);
    next->selection = RETAB_FIELDS_ALL;
    if (expected != NULL) {
        p = retab_text_space(p + expected->quoted_length);
        frame->next++;
        next->shape = expected;
        if (frame->next <= frame->constructed) {
            return p;
        }
        if (frame->constructed > 0) {
            drop_constructor(L, r, frame);
        }
        if (frame->selection == RETAB_FIELDS_ALL) {
            retab_shape_push_key(L, &r->shapes, expected);
            return p;
        }
        key = (struct key){expected->quoted + 1, expected->quoted_length - 3, expected};
    } else {
        p = read_key(L, r, p, frame, &key);
        if (p == NULL) {
            return NULL;
        }
        next->shape = key.shape;
    }
    if (frame->selection != RETAB_FIELDS_ALL) {
        next->selection = select_member(L, r, p, frame, &key);
    }
    if (next->selection != RETAB_FIELDS_NONE) {
        push_key(L, r, &key);
    }
    return p;
}

/* ---- tables ---------------------------------------------------------------------------------------- */

void retab_object_open(lua_State *L, struct retab_reader *r, struct retab_frame *frame, int size)
{
    if (frame->shape == NULL || !push_constructor(L, r, frame)) {
        lua_createtable(L, 0, size);
    }
}

void retab_object_close(lua_State *L, struct retab_reader *r, struct retab_frame *frame)
{
    struct retab_shape *const shape = frame->shape;
    if (frame->constructed > 0 && frame->count == frame->constructed) {
        lua_call(L, (int)frame->count, 1);
        return;
    }
    if (frame->constructed > 0) {
        drop_constructor(L, r, frame);
    } else if (shape != NULL && frame->selection == RETAB_FIELDS_ALL && shape->constructor == 0) {
        retab_shape_note(L, &r->shapes, shape, frame->is_ordered ? frame->next : 0, frame->count);
    }
    if (shape != NULL) {
        shape->members = frame->count;
    }
}
