/* A document is read as if it were like the one before: at each place the next key is compared with the key that came
 * next last time, whose Lua string exists already, and a table is created as large as the last one became (shape.h).
 *
 * Functions that read take a position in the text and return the position after what they consumed; or NULL, with the
 * error of the text set. */
#include "build.h"

#include <stdlib.h>
#include <string.h>

#include "number.h"
#include "skip.h"

/* A container takes so many slots of the Lua stack: table, key, value. The stack grows for a stride of containers. */
#define SLOTS 3
#define STRIDE ((size_t)16)
#define STACK_ROOM ((int)STRIDE * SLOTS + LUA_MINSTACK)

/* The largest size that a table is created with before its values are seen. */
#define LARGEST ((size_t)1 << 20)

/* A container that is being built. On the Lua stack is its table; or its constructor and the values so far. */
struct retab_frame {
    struct retab_shape *shape; /* NULL: nothing is learnt */
    size_t count;              /* of the values; those of an array that is not dense include nil */
    unsigned next;             /* the child whose key is expected next */
    unsigned constructed;      /* how many values the constructor takes; 0: there is a table */
    int selection;
    char kind, is_ordered, is_dense; /* is_ordered: all keys so far were the expected ones */
};

/* What is known of the next value. */
struct next {
    struct retab_shape *shape;
    int selection, is_dense;
};

/* What came of a value: it is on top of the stack; the same, and it is the nil of a null; it was passed over; or it is
 * a container whose values follow. */
enum outcome { BUILT, ABSENT, SKIPPED, OPENED };

/* ---- scalars --------------------------------------------------------------------------------------- */

static inline const char *push_string(lua_State *L, struct retab_reader *r, const char *p)
{
    const char *const from = p + 1, *const close = retab_text_plain(from, r->text.end);
    if (*close == '"') {
        lua_pushlstring(L, from, (size_t)(close - from));
        return close + 1;
    }
    const char *bytes;
    size_t length;
    p = retab_text_decode(&r->text, p, &bytes, &length);
    if (p != NULL) {
        lua_pushlstring(L, bytes, length);
    }
    return p;
}

static inline const char *push_number(lua_State *L, struct retab_reader *r, const char *p)
{
    struct retab_number number;
    p = retab_number_read(p, &number);
    if (p == NULL) {
        return retab_text_fail(&r->text, number.wrong, number.message);
    }
    if (!number.is_integer) {
        lua_pushnumber(L, (lua_Number)number.real);
    } else {
#if RETAB_HAS_INTEGERS
        lua_pushinteger(L, (lua_Integer)number.integer);
#else
        lua_pushnumber(L, (lua_Number)number.integer);
#endif
    }
    return p;
}

static const char *push_null(lua_State *L, struct retab_reader *r, const char *p, enum outcome *outcome)
{
    if (r->null == 0) {
        lua_pushnil(L);
        *outcome = ABSENT;
    } else {
        lua_pushvalue(L, r->null);
    }
    return retab_text_word(&r->text, p, "null");
}

/* ---- objects with a constructor -------------------------------------------------------------------- */

/* Pushes the constructor of an object, if its shape has one and the Lua stack has room: values wait there for the call,
 * and as deep as most texts may be, they must not take the room of what is inside. Returns 0 if it has not. */
static int push_constructor(lua_State *L, struct retab_reader *r, struct retab_frame *frame)
{
    const struct retab_shape *const shape = frame->shape;
    if (shape->constructor <= 0 || frame->selection != RETAB_FIELDS_ALL || r->max_depth > RETAB_DEPTH ||
        !lua_checkstack(L, (int)shape->ordered + RETAB_DEPTH * SLOTS + LUA_MINSTACK)) {
        return 0;
    }
    frame->constructed = shape->ordered;
    lua_rawgeti(L, r->shapes.anchors, RETAB_INDEX(shape->constructor));
    return 1;
}

/* The object, whose values are on top, is not what its constructor makes. Replaces constructor and values with a table,
 * and drops the constructor for good: objects here differ. */
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
    const char *bytes; /* in the text, the scratch or a shape */
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

/* Removes the member of the key on top from the table below it, and pops the key. (To store nil would add the key to a
 * table of Lua 5.1.) */
static void remove_member(lua_State *L)
{
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 2);
    } else {
        lua_pop(L, 1);
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

/* Returns the shape of the key that is expected at `p` if it is there, up to its colon; else NULL. */
static inline struct retab_shape *expected_key(const struct retab_reader *r, const struct retab_frame *frame,
                                               const char *p)
{
    if (frame->shape == NULL || frame->next >= frame->shape->keys) {
        return NULL;
    }
    struct retab_shape *child = &frame->shape->children[frame->next];
    return (size_t)(r->text.end - p) >= child->quoted_length && retab_text_same(p, child->quoted, child->quoted_length)
               ? child
               : NULL;
}

/* Returns what is selected of the value at `p`. */
static int select_member(lua_State *L, struct retab_reader *r, const char *p, const struct retab_frame *frame,
                         const struct key *key)
{
    const int selection = retab_fields_select(r->fields, frame->selection, key->bytes, key->length);
    if (selection == RETAB_FIELDS_ALL || selection == RETAB_FIELDS_NONE || *p == '{' || *p == '[') {
        return selection;
    }
    push_key(L, r, key);
    remove_member(L); /* a path ends at a scalar: of two equal keys, the last one counts */
    return RETAB_FIELDS_NONE;
}

/* Goes to the next value of an object. Pushes its key, unless the value waits for a constructor or is not selected. */
static inline const char *next_member(lua_State *L, struct retab_reader *r, const char *p, struct retab_frame *frame,
                                      struct next *next)
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

/* ---- containers ------------------------------------------------------------------------------------ */

static struct retab_frame *push_frame(lua_State *L, struct retab_reader *r)
{
    if (r->depth >= r->frame_room) {
        void *larger = retab_text_grow(r->frames, &r->frame_room, r->depth + 1, sizeof *r->frames);
        if (larger == NULL) {
            retab_no_memory(L);
        }
        r->frames = larger;
        r->frame_bytes = sizeof *r->frames;
    }
    return &r->frames[r->depth++];
}

/* Returns the size to create a table with: that of the last one, but no more than the text has room for. A value takes
 * at least two bytes, so a small text never gets the table of a large one. */
static int table_size(const struct retab_reader *r, const char *p, size_t last)
{
    const size_t most = (size_t)(r->text.end - p) / 2 + 1;
    last = last < most ? last : most;
    return (int)(last < LARGEST ? last : LARGEST);
}

/* Opens the container at `p`, and pushes its table or its constructor. */
static const char *open_container(lua_State *L, struct retab_reader *r, const char *p, const struct next *next,
                                  enum outcome *outcome)
{
    const char kind = *p;
    struct retab_shape *const shape = next->shape;
    if (r->depth >= r->max_depth) {
        return retab_text_fail(&r->text, p, "nested too deeply");
    }
    if (r->depth % STRIDE == 0 && !retab_reader_has_room(L, STACK_ROOM)) {
        return retab_text_fail(&r->text, p, "nested too deeply for the stack of this Lua");
    }
    p = retab_text_space(p + 1);
    if (*p == RETAB_CLOSING(kind)) {
        lua_createtable(L, 0, 0);
        return p + 1;
    }
    struct retab_frame *const frame = push_frame(L, r);
    *frame = (struct retab_frame){shape, 0, 0, 0, next->selection, kind, 1, (char)next->is_dense};
    *outcome = OPENED;
    if (shape == NULL) {
        lua_createtable(L, 0, 0);
    } else if (kind == '[') {
        lua_createtable(L, table_size(r, p, shape->elements), 0);
    } else if (!push_constructor(L, r, frame)) {
        lua_createtable(L, 0, table_size(r, p, shape->members));
    }
    return p;
}

/* Completes the innermost container: its table is on top afterwards. */
static inline void close_container(lua_State *L, struct retab_reader *r)
{
    struct retab_frame *const frame = &r->frames[--r->depth];
    struct retab_shape *const shape = frame->shape;
    if (shape == NULL) {
        return;
    }
    if (frame->kind == '[') {
        shape->elements = frame->count;
        return;
    }
    if (frame->constructed > 0) {
        if (frame->count == frame->constructed) {
            lua_call(L, (int)frame->count, 1);
            return;
        }
        drop_constructor(L, r, frame);
    } else if (frame->selection == RETAB_FIELDS_ALL && shape->constructor == 0) {
        retab_shape_note(L, &r->shapes, shape, frame->is_ordered ? frame->next : 0, frame->count);
    }
    shape->members = frame->count;
}

/* Stores the value on top in the container below it. */
static inline void store(lua_State *L, struct retab_frame *frame, enum outcome outcome)
{
    if (outcome == SKIPPED) {
        return;
    }
    if (frame->constructed > 0) {
        frame->count++; /* it waits where it is */
    } else if (frame->kind == '{') {
        if (outcome == ABSENT) {
            lua_pop(L, 1);
            remove_member(L);
        } else {
            frame->count++;
            lua_rawset(L, -3);
        }
    } else if (outcome == ABSENT) {
        frame->count += !frame->is_dense;
        lua_pop(L, 1);
    } else {
        frame->count++;
        lua_rawseti(L, -2, RETAB_INDEX(frame->count));
    }
}

/* ---- the loop -------------------------------------------------------------------------------------- */

/* Reads the value at `p`. No depth of nesting takes C stack. */
static inline const char *read_value(lua_State *L, struct retab_reader *r, const char *p, const struct next *next,
                                     enum outcome *outcome)
{
    *outcome = BUILT;
    if (next->selection == RETAB_FIELDS_NONE) {
        *outcome = SKIPPED;
        return retab_skip_value(&r->text, p, r->max_depth - r->depth);
    }
    switch (*p) {
    case '"':
        return push_string(L, r, p);
    case '{':
    case '[':
        return open_container(L, r, p, next, outcome);
    case 't':
        lua_pushboolean(L, 1);
        return retab_text_word(&r->text, p, "true");
    case 'f':
        lua_pushboolean(L, 0);
        return retab_text_word(&r->text, p, "false");
    case 'n':
        return push_null(L, r, p, outcome);
    default:
        return push_number(L, r, p);
    }
}

/* Goes to the next value of the innermost container. */
static inline const char *next_value(lua_State *L, struct retab_reader *r, const char *p, struct next *next)
{
    struct retab_frame *const frame = &r->frames[r->depth - 1];
    next->is_dense = 0;
    if (frame->kind == '{') {
        return next_member(L, r, p, frame, next);
    }
    next->shape = retab_shape_other(L, &r->shapes, frame->shape);
    next->selection = frame->selection;
    return p;
}

/* Pushes the value at `p` with all that is in it. */
static const char *build(lua_State *L, struct retab_reader *r, const char *p, struct next next)
{
    const size_t outside = r->depth;
    for (;;) {
        enum outcome outcome;
        p = read_value(L, r, p, &next, &outcome);
        while (p != NULL && outcome != OPENED) {
            if (r->depth == outside) {
                return p;
            }
            struct retab_frame *const frame = &r->frames[r->depth - 1];
            store(L, frame, outcome);
            p = retab_text_space(p);
            if (*p == ',') {
                p = retab_text_space(p + 1);
                outcome = OPENED; /* as it was: another value follows */
            } else if (*p == RETAB_CLOSING(frame->kind)) {
                p++;
                close_container(L, r);
                outcome = BUILT;
            } else {
                return retab_text_fail(&r->text, p, frame->kind == '{' ? "expected ',' or '}'" : "expected ',' or ']'");
            }
        }
        if (p != NULL) {
            p = next_value(L, r, p, &next);
        }
        if (p == NULL) {
            return NULL;
        }
    }
}

/* ---- the interface --------------------------------------------------------------------------------- */

/* Ends a step: moves the reader on. */
static int move(struct retab_reader *r, const char *p)
{
    if (p == NULL) {
        return -1;
    }
    r->p = p;
    return 0;
}

int retab_build_value(lua_State *L, struct retab_reader *r, struct retab_shape *shape, int flags)
{
    const int selects = (flags & RETAB_BUILD_SELECT) != 0 && r->fields != NULL;
    const struct next next = {shape, selects ? RETAB_FIELDS_ROOT : RETAB_FIELDS_ALL, flags & RETAB_BUILD_DENSE};
    return move(r, build(L, r, retab_text_space(r->p), next));
}

int retab_build_end(struct retab_reader *r)
{
    const char *p = retab_text_space(r->p);
    return move(r, p == r->text.end ? p : retab_text_fail(&r->text, p, "bytes after the end of the value"));
}

char retab_build_peek(struct retab_reader *r)
{
    r->p = retab_text_space(r->p);
    return *r->p != '\0' && strchr("{[\"tfn", *r->p) != NULL ? *r->p : '0';
}

int retab_build_enter(struct retab_reader *r)
{
    if (r->depth >= r->max_depth) {
        return move(r, retab_text_fail(&r->text, r->p, "nested too deeply"));
    }
    r->depth++;
    return move(r, r->p + 1);
}

int retab_build_member(lua_State *L, struct retab_reader *r, int is_first, struct retab_shape *at,
                       struct retab_shape **shape)
{
    struct retab_frame frame = {.shape = at};
    struct key key;
    const char *p = retab_text_space(r->p);
    if (*p == '}') {
        r->depth--;
        return move(r, p + 1);
    }
    if (!is_first && *p != ',') {
        return move(r, retab_text_fail(&r->text, p, "expected ',' or '}'"));
    }
    p = read_key(L, r, is_first ? p : retab_text_space(p + 1), &frame, &key);
    if (move(r, p) != 0) {
        return -1;
    }
    push_key(L, r, &key);
    *shape = key.shape;
    return 1;
}
