/* The loop expects a document to look like the one before (shape.h). At each place it compares the next key with the
 * key that came next last time, whose Lua string exists already, and it creates a table with the size of the last one.
 *
 * Functions that read take a position in the text and return the position after what they consumed; or NULL, with the
 * error of the text set. */
#include "build.h"

#include <stdlib.h>
#include <string.h>

#include "number.h"
#include "object.h"
#include "skip.h"

/* The Lua stack grows for this number of containers at a time. */
#define STRIDE ((size_t)16)
#define STACK_ROOM ((int)STRIDE * RETAB_SLOTS + LUA_MINSTACK)

/* The largest initial size of a table. */
#define LARGEST ((size_t)1 << 20)

/* Selections that only this file uses: push the text of a value instead of the value; push an array of such texts. */
#define TEXT (-3)
#define TEXTS (-4)

/* The outcome of reading a value. BUILT: the value is on top of the stack. ABSENT: nil is on top, for a null. SKIPPED:
 * nothing was pushed. OPENED: it is a container, and its values follow. */
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
        return retab_text_fail(&r->text, number.error_at, number.message);
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
    if (r->options.null == 0) {
        lua_pushnil(L);
        *outcome = ABSENT;
    } else {
        lua_pushvalue(L, r->options.null);
    }
    return retab_text_word(&r->text, p, "null");
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
    }
    return &r->frames[r->depth++];
}

/* Returns the initial size of a table: that of the last one, but at most the number of values that the rest of the text
 * can hold, at two bytes each. So a small text never gets the table of a large one. */
static int table_size(const struct retab_reader *r, const char *p, size_t last)
{
    const size_t most = (size_t)(r->text.end - p) / 2 + 1;
    last = last < most ? last : most;
    return (int)(last < LARGEST ? last : LARGEST);
}

/* Returns `p`, where one more container may be opened; or NULL with the error of the text set. */
static const char *check_depth(lua_State *L, struct retab_reader *r, const char *p)
{
    if (r->depth >= r->options.max_depth) {
        return retab_text_fail(&r->text, p, "nested too deeply");
    }
    if (r->depth % STRIDE == 0 && !retab_reader_has_room(L, STACK_ROOM)) {
        return retab_text_fail(&r->text, p, "nested too deeply for the stack of this Lua");
    }
    return p;
}

/* Opens the container at `p`, and pushes its table or its constructor. */
static const char *open_container(lua_State *L, struct retab_reader *r, const char *p, const struct retab_next *next,
                                  enum outcome *outcome)
{
    const char kind = *p;
    struct retab_shape *const shape = next->shape;
    if (check_depth(L, r, p) == NULL) {
        return NULL;
    }
    p = retab_text_space(p + 1);
    if (*p == RETAB_CLOSING(kind)) {
        lua_createtable(L, 0, 0);
        return p + 1;
    }
    struct retab_frame *const frame = push_frame(L, r);
    *frame = (struct retab_frame){shape, 0, 0, 0, next->selection, kind, 1, (char)next->is_dense};
    *outcome = OPENED;
    if (kind == '{') {
        retab_object_open(L, r, frame, shape != NULL ? table_size(r, p, shape->members) : 0);
    } else {
        lua_createtable(L, shape != NULL ? table_size(r, p, shape->elements) : 0, 0);
    }
    return p;
}

/* Completes the innermost container: its table is on top afterwards. */
static inline void close_container(lua_State *L, struct retab_reader *r)
{
    struct retab_frame *const frame = &r->frames[--r->depth];
    if (frame->kind == '{') {
        retab_object_close(L, r, frame);
    } else if (frame->shape != NULL) {
        frame->shape->elements = frame->count;
    }
}

/* Stores the value on top in the container below it. */
static inline void store(lua_State *L, struct retab_frame *frame, enum outcome outcome)
{
    if (outcome == SKIPPED) {
        return;
    }
    if (frame->constructed > 0) {
        frame->count++; /* it stays on the stack for the constructor */
    } else if (frame->kind == '{') {
        if (outcome == ABSENT) {
            lua_pop(L, 1);
            retab_object_remove(L);
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

/* Reads the value at `p`; of a container only the opening bracket. Nested containers take no C stack. */
static inline const char *read_value(lua_State *L, struct retab_reader *r, const char *p, const struct retab_next *next,
                                     enum outcome *outcome)
{
    *outcome = BUILT;
    if (next->selection == RETAB_FIELDS_NONE || next->selection == TEXT) {
        const char *const end = retab_skip_value(&r->text, p, r->options.max_depth - r->depth);
        if (next->selection == RETAB_FIELDS_NONE) {
            *outcome = SKIPPED;
        } else if (end != NULL) {
            lua_pushlstring(L, p, (size_t)(end - p));
        }
        return end;
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
static inline const char *next_value(lua_State *L, struct retab_reader *r, const char *p, struct retab_next *next)
{
    struct retab_frame *const frame = &r->frames[r->depth - 1];
    next->is_dense = 0;
    if (frame->kind == '{') {
        return retab_object_next(L, r, p, frame, next);
    }
    next->shape = retab_shape_other(L, &r->shapes, frame->shape);
    next->selection = frame->selection == TEXTS ? TEXT : frame->selection;
    return p;
}

/* Pushes the value at `p`, with all values in it. */
static const char *build(lua_State *L, struct retab_reader *r, const char *p, struct retab_next next)
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
                outcome = OPENED; /* another value of the same container follows */
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

/* Stores `p` as the position of the reader, and returns 0; returns -1 if `p` is NULL. */
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
    struct retab_next next = {shape, RETAB_FIELDS_ALL, flags & RETAB_BUILD_DENSE};
    r->p = retab_text_space(r->p);
    if ((flags & RETAB_BUILD_SELECT) != 0 && r->options.fields != NULL) {
        next.selection = RETAB_FIELDS_ROOT;
    } else if ((flags & RETAB_BUILD_TEXTS) != 0 && *r->p == '[') {
        next.selection = TEXTS;
    }
    return move(r, build(L, r, r->p, next));
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

int retab_build_enter(lua_State *L, struct retab_reader *r)
{
    if (check_depth(L, r, r->p) == NULL) {
        return -1;
    }
    r->depth++;
    return move(r, r->p + 1);
}

int retab_build_member(lua_State *L, struct retab_reader *r, int is_first, struct retab_shape *at,
                       struct retab_shape **shape)
{
    struct retab_frame frame = {.shape = at, .selection = RETAB_FIELDS_ALL};
    struct retab_next next;
    const char *p = retab_text_space(r->p);
    if (*p == '}') {
        r->depth--;
        return move(r, p + 1);
    }
    if (!is_first && *p != ',') {
        return move(r, retab_text_fail(&r->text, p, "expected ',' or '}'"));
    }
    p = retab_object_next(L, r, is_first ? p : retab_text_space(p + 1), &frame, &next);
    *shape = next.shape;
    return move(r, p) == 0 ? 1 : -1;
}
