/* How it is fast, beside one pass and no copies: a document is read as if it were like the one before.
 * At each place the next key is compared with the one that came next last time (no hashing: its Lua
 * string is there already), tables are made as large as their predecessors became, and a string that
 * repeats under its key is pushed as the Lua string that it was. What came is known by place.c.
 *
 * Functions that read take the position in the text and give the one behind what they read, or NULL with the reader's
 * message and position set: a position that stays in a register makes it 0.96x of the time on 5.4, 0.9x on LuaJIT. */
#include "json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "number.h"
#include "place.h"
#include "text.h"

#define READER "retab.json"

/* The Lua stack is grown for this many containers at a time, of three slots each: table, key, value. */
#define STACK_STRIDE 16
#define STACK_ROOM (STACK_STRIDE * 3 + LUA_MINSTACK)

/* A reader is larger than it needs to be, by memory that is never touched. Lua's collector starts over when the memory
 * that it knows of has doubled: in a program with little of its own that is more than once for every page, and each
 * time it goes through all of the program. This is 0.89x of the time of a walk over loopback. */
#define BALLAST ((size_t)128 * 1024)

/* The most elements that an array's table is made for before they are seen. */
#define ELEMENTS_AHEAD ((size_t)1 << 20)

/* A container that is being built. Its table is on the Lua stack, or its constructor and the values so far. */
struct frame {
    struct retab_json_object object; /* of an array, only `at` is used */
    size_t count;                    /* of values, without the nulls that are left out */
    unsigned constructed;            /* how many values the constructor takes; 0: there is a table */
    int selection;
    char kind;
};

struct retab_json {
    struct retab_text text;
    struct retab_fields fields;
    struct retab_places places;
    struct frame *frames;
    size_t depth, frame_room, max_depth;
    size_t dense;                   /* the depth of the array that gets no holes; 0 for none */
    uint64_t objects, text_objects; /* how many were opened so far, and before this text */
    int null;                       /* stack index; 0 for nil */
    int finalized;                  /* other finalizers may decode still, while the Lua state is closed */
};

/* ---- the reader ------------------------------------------------------------------------------------ */

static int collect(lua_State *L)
{
    struct retab_json *r = luaL_checkudata(L, 1, READER);
    retab_places_free(&r->places);
    free(r->frames);
    retab_text_free(&r->text);
    retab_fields_free(&r->fields);
    memset(r, 0, sizeof *r);
    r->finalized = 1;
    return 0;
}

void retab_json_new(lua_State *L)
{
    struct retab_json *r = lua_newuserdatauv(L, sizeof *r + BALLAST, 1);
    memset(r, 0, sizeof *r);
    luaL_newmetatable(L, READER); /* filled also where it is there: memory may have run out in the middle of it */
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    retab_places_start(L, &r->places, lua_gettop(L));
}

struct retab_json *retab_json_checkout(lua_State *L)
{
    if (lua_isnil(L, lua_upvalueindex(1))) {
        retab_json_new(L);
    } else {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_pushnil(L);
        lua_replace(L, lua_upvalueindex(1));
    }
    return lua_touserdata(L, -1);
}

void retab_json_checkin(lua_State *L, int index)
{
    if (((struct retab_json *)lua_touserdata(L, index))->finalized) {
        lua_pushcfunction(L, collect);
        lua_pushvalue(L, index);
        lua_call(L, 1, 0); /* nobody else will */
    }
    lua_pushvalue(L, index);
    lua_replace(L, lua_upvalueindex(1));
}

void retab_json_begin(lua_State *L, struct retab_json *r, int index, const char *text, size_t length,
                      const struct retab_json_options *options)
{
    luaL_checkstack(L, STACK_ROOM, "JSON");
    r->text.start = r->text.p = text;
    r->text.end = text + length;
    r->text.message = NULL;
    r->null = options->null;
    r->max_depth = options->max_depth;
    r->depth = 0;
    r->text_objects = r->objects;
    retab_places_begin(L, &r->places, index);
    if (options->fields != 0) {
        retab_fields_compile(L, &r->fields, options->fields);
    }
}

static const char *fail(struct retab_json *r, const char *p, const char *message)
{
    (void)retab_text_fail(&r->text, p, message);
    return NULL;
}

/* ---- scalars --------------------------------------------------------------------------------------- */

static const char *push_string(lua_State *L, struct retab_json *r, const char *p, struct retab_place *place)
{
    const char *const from = p + 1, *const end = r->text.end;
    if (place != NULL && place->last != NULL) {
        const size_t length = place->last_length;
        if ((size_t)(end - from) > length && from[length] == '"' && retab_text_same(from, place->last, length)) {
            lua_rawgeti(L, r->places.anchors, RETAB_INDEX(place->anchor + 1));
            retab_place_repeated(place);
            return from + length + 1;
        }
    }
    const char *const close = retab_text_plain(from, end);
    if (*close == '"') { /* nearly always */
        const size_t length = (size_t)(close - from);
        lua_pushlstring(L, from, length);
        if (place != NULL && length <= RETAB_PLACE_STRING) {
            retab_place_remember(L, &r->places, place); /* it stands in the text as it is */
        }
        return close + 1;
    }
    const char *bytes;
    size_t length;
    r->text.p = p;
    if (retab_text_decode(&r->text, &bytes, &length) != 0) {
        return NULL;
    }
    lua_pushlstring(L, bytes, length);
    return r->text.p;
}

static const char *push_number(lua_State *L, struct retab_json *r, const char *p)
{
    struct retab_number number;
    r->text.p = p;
    if (retab_number_read(&r->text, &number) != 0) {
        return NULL;
    }
    if (!number.integer) {
        lua_pushnumber(L, (lua_Number)number.real);
    } else {
#if RETAB_HAS_INTEGERS
        lua_pushinteger(L, (lua_Integer)number.whole);
#else
        lua_pushnumber(L, (lua_Number)number.whole);
#endif
    }
    return r->text.p;
}

static const char *read_literal(struct retab_json *r, const char *p, const char *literal)
{
    r->text.p = p;
    return retab_text_literal(&r->text, literal) == 0 ? r->text.p : NULL;
}

static const char *push_null(lua_State *L, struct retab_json *r, const char *p)
{
    if (r->null == 0) {
        lua_pushnil(L);
    } else {
        lua_pushvalue(L, r->null);
    }
    return read_literal(r, p, "null");
}

/* ---- keys ------------------------------------------------------------------------------------------ */

struct key {
    const char *bytes;
    size_t length;
    int pushed;   /* it had escapes, and its bytes are those of the string on the Lua stack */
    int repeated; /* it may have come before in this object */
    struct retab_place *place;
};

/* The place of the key that is expected at `p`, if that is what is there, up to its colon; else NULL. */
static inline struct retab_place *expected_key(const struct retab_json *r, const struct retab_json_object *object,
                                               const char *p)
{
    if (object->at == NULL || object->next >= object->at->keys) {
        return NULL;
    }
    struct retab_place *place = &object->at->children[object->next];
    return (size_t)(r->text.end - p) >= place->quoted_length && retab_text_same(p, place->quoted, place->quoted_length)
               ? place
               : NULL;
}

/* The key is the child `index` of the object's place. In a map their order tells nothing: some keys have no child. */
static inline void found(struct retab_json_object *object, unsigned index, struct key *key)
{
    key->place = &object->at->children[index];
    key->repeated = index < object->met || object->at->map;
    object->strays += index != object->next;
    object->next = index + 1;
    object->met = object->next > object->met ? object->next : object->met;
}

static void find_key(lua_State *L, struct retab_json *r, struct retab_json_object *object, struct key *key)
{
    struct retab_place *const at = object->at;
    if (at == NULL) {
        return;
    }
    for (unsigned i = 0; !at->map && i < at->keys; i++) {
        const unsigned index = (object->next + i) % at->keys;
        if (at->children[index].key_length == key->length &&
            retab_text_same(at->children[index].key, key->bytes, key->length)) {
            found(object, index, key);
            return;
        }
    }
    if (retab_place_add(L, &r->places, at, key->bytes, key->length, key->pushed) != NULL) {
        found(object, at->keys - 1, key);
        return;
    }
    object->strays++;
    if (at->map) {
        key->place = retab_place_element(L, &r->places, at);
    }
}

/* Reads a key and its colon, up to the value. */
static const char *read_key(lua_State *L, struct retab_json *r, const char *p, struct retab_json_object *object,
                            struct key *key)
{
    *key = (struct key){NULL, 0, 0, 1, NULL};
    const struct retab_place *expected = expected_key(r, object, p);
    if (expected != NULL) {
        key->bytes = expected->key;
        key->length = expected->key_length;
        found(object, object->next, key);
        return retab_text_space(p + expected->quoted_length);
    }
    if (*p != '"') {
        return fail(r, p, "expected a string as key");
    }
    const char *const close = retab_text_plain(p + 1, r->text.end);
    key->bytes = p + 1;
    key->length = (size_t)(close - key->bytes);
    if (*close == '"') {
        p = close + 1;
    } else {
        r->text.p = p;
        if (retab_text_decode(&r->text, &key->bytes, &key->length) != 0) {
            return NULL;
        }
        p = r->text.p;
        lua_pushlstring(L, key->bytes, key->length); /* the scratch will be used again */
        key->bytes = lua_tolstring(L, -1, NULL);
        key->pushed = 1;
    }
    find_key(L, r, object, key);
    p = retab_text_space(p);
    return *p == ':' ? retab_text_space(p + 1) : fail(r, p, "expected ':' after a key");
}

static inline void push_known_key(lua_State *L, const struct retab_json *r, const struct retab_place *place)
{
    lua_rawgeti(L, r->places.anchors, RETAB_INDEX(place->anchor));
}

static void push_key(lua_State *L, const struct retab_json *r, const struct key *key)
{
    if (key->pushed) {
        return;
    }
    if (key->place != NULL && key->place->key != NULL) {
        push_known_key(L, r, key->place);
    } else {
        lua_pushlstring(L, key->bytes, key->length);
    }
}

/* What is selected of the key's value; a place remembers it. Below a map, objects of many keys are one place. */
static int select_key(const struct retab_json *r, int selection, const struct key *key)
{
    struct retab_place *place = key->place;
    if (selection == RETAB_FIELDS_ALL) {
        return RETAB_FIELDS_ALL;
    }
    if (place == NULL || place->key == NULL) {
        return retab_fields_select(&r->fields, selection, key->bytes, key->length);
    }
    if (place->generation != r->fields.generation || place->within != selection) {
        place->generation = r->fields.generation;
        place->within = selection;
        place->selection = retab_fields_select(&r->fields, selection, key->bytes, key->length);
    }
    return place->selection;
}

/* ---- containers ------------------------------------------------------------------------------------ */

/* Pushes what a new object starts with: a table, or the constructor of its place. Values that wait for a constructor
 * take room on the Lua stack, of which a text may need all that there is where it may be deeper than most. */
static void begin_object(lua_State *L, struct retab_json *r, struct retab_place *place, struct frame *frame)
{
    place->previous = place->object;
    place->object = ++r->objects;
    if (place->constructed > 0 && frame->selection == RETAB_FIELDS_ALL && r->max_depth <= RETAB_JSON_DEPTH &&
        lua_checkstack(L, (int)place->constructed + STACK_ROOM)) {
        frame->constructed = place->constructed;
        lua_rawgeti(L, r->places.anchors, RETAB_INDEX(place->constructor));
    } else {
        lua_createtable(L, 0, (int)place->members);
    }
}

/* Opens the container at `p` and pushes what it starts with; opened: something is in it. */
static const char *open_container(lua_State *L, struct retab_json *r, const char *p, struct retab_place *place,
                                  int selection, int *opened)
{
    const char kind = *p;
    if (r->depth >= r->max_depth) {
        return fail(r, p, "nested too deeply");
    }
    if (r->depth % STACK_STRIDE == 0 && !lua_checkstack(L, STACK_ROOM)) {
        return fail(r, p, "nested too deeply for the stack of this Lua");
    }
    p = retab_text_space(p + 1);
    if (*p == RETAB_CLOSING(kind)) {
        lua_createtable(L, 0, 0);
        return p + 1;
    }
    if (r->depth >= r->frame_room) {
        void *larger = retab_text_grow(r->frames, &r->frame_room, r->depth + 1, sizeof *r->frames);
        if (larger == NULL) {
            luaL_error(L, "not enough memory");
        }
        r->frames = larger;
    }
    struct frame *const frame = &r->frames[r->depth++];
    *frame = (struct frame){{place, 0, 0, 0, 0}, 0, 0, selection, kind};
    *opened = 1;
    if (place == NULL) {
        lua_createtable(L, 0, 0);
    } else if (kind == '{') {
        begin_object(L, r, place, frame);
    } else {
        /* an element takes two bytes at least, so a small text never gets the table of a large one */
        const size_t most = (size_t)(r->text.end - p) / 2 + 1;
        const size_t expected = place->elements < most ? place->elements : most;
        lua_createtable(L, (int)(expected < ELEMENTS_AHEAD ? expected : ELEMENTS_AHEAD), 0);
    }
    return p;
}

/* The object is not what its constructor makes: puts a table with the values so far in the place of constructor and
 * values, below the `above` values on top. */
static void drop_constructor(lua_State *L, struct retab_json *r, struct frame *frame, int above)
{
    struct retab_place *const place = frame->object.at;
    const int count = (int)frame->count, base = lua_gettop(L) - above - count;
    lua_createtable(L, 0, (int)place->members);
    frame->constructed = 0;
    frame->count = 0;
    for (int i = 0; i < count; i++) {
        if (!lua_isnil(L, base + 1 + i)) {
            push_known_key(L, r, &place->children[i]);
            lua_pushvalue(L, base + 1 + i);
            lua_rawset(L, -3);
            frame->count++;
        }
    }
    lua_replace(L, base);
    for (int i = 0; i < count; i++) {
        lua_remove(L, base + 1);
    }
    retab_place_judge_constructor(place, 0);
}

/* Completes the table on top. */
static void close_object(lua_State *L, struct retab_json *r, struct frame *frame)
{
    struct retab_place *const place = frame->object.at;
    if (frame->constructed > 0) {
        if (frame->count == frame->constructed) {
            lua_call(L, (int)frame->count, 1);
            retab_place_judge_constructor(place, 1);
            return;
        }
        drop_constructor(L, r, frame, 0);
    } else if (frame->selection == RETAB_FIELDS_ALL && place->constructed == 0) {
        retab_place_count_alike(L, &r->places, place, frame->object.strays == 0 ? frame->object.next : 0, frame->count);
    }
    place->members = (unsigned)(frame->count < RETAB_PLACE_KEYS ? frame->count : RETAB_PLACE_KEYS);
}

/* Stores the value on top in the frame's table, below it (and below its key, in an object). */
static inline void store(lua_State *L, struct frame *frame, int absent, int repeated, int dense)
{
    if (frame->constructed > 0) {
        frame->count++; /* it stays where it is */
    } else if (frame->kind == '[') {
        frame->count += !(absent && dense);
        if (absent) {
            lua_pop(L, 1);
        } else {
            lua_rawseti(L, -2, RETAB_INDEX(frame->count));
        }
    } else if (absent && !repeated) {
        lua_pop(L, 2); /* storing the nil would take a slot on 5.1 */
    } else {
        frame->count++;
        lua_rawset(L, -3);
    }
}

/* Behind a value of the innermost container. more: behind a comma; else the container was closed, and its table is
 * the value on top. */
static inline const char *advance(lua_State *L, struct retab_json *r, const char *p, int *more)
{
    struct frame *frame = &r->frames[r->depth - 1];
    p = retab_text_space(p);
    *more = *p == ',';
    if (*more) {
        return retab_text_space(p + 1);
    }
    if (*p != RETAB_CLOSING(frame->kind)) {
        return fail(r, p, frame->kind == '{' ? "expected ',' or '}'" : "expected ',' or ']'");
    }
    r->depth--;
    if (frame->object.at != NULL && frame->kind == '[') {
        frame->object.at->elements = frame->count;
    } else if (frame->object.at != NULL) {
        close_object(L, r, frame);
    }
    return p + 1;
}

/* ---- members --------------------------------------------------------------------------------------- */

/* Where the next value stands, what of it is selected, and whether its key may have come before. */
struct next {
    struct retab_place *place;
    int selection, repeated;
};

/* Goes to the next value of an object of which everything is selected, its key on the stack. */
static inline const char *next_member(lua_State *L, struct retab_json *r, const char *p, struct frame *frame,
                                      struct next *next)
{
    struct retab_json_object *const object = &frame->object;
    struct retab_place *const place = expected_key(r, object, p);
    next->selection = RETAB_FIELDS_ALL;
    if (place != NULL && object->next == object->met && !object->at->map) { /* nearly always */
        next->place = place;
        next->repeated = 0;
        object->next = ++object->met;
        if (object->next > frame->constructed) {
            if (frame->constructed > 0) {
                drop_constructor(L, r, frame, 0);
            }
            push_known_key(L, r, place);
        }
        return retab_text_space(p + place->quoted_length);
    }
    struct key key;
    p = read_key(L, r, p, object, &key);
    if (p == NULL) {
        return NULL;
    }
    next->place = key.place;
    next->repeated = key.repeated;
    if (frame->constructed > 0) {
        if (object->strays == 0 && object->next <= frame->constructed && !key.pushed) {
            return p;
        }
        drop_constructor(L, r, frame, key.pushed);
    }
    push_key(L, r, &key);
    return p;
}

/* Notes where a key was met, for the next object at its place. Only keys that follow each other as their places
 * do are of use there. */
static inline void note_start(struct retab_json_object *object, const struct key *key, const char *start,
                              unsigned expected)
{
    struct retab_place *const place = key->place;
    if (place == NULL || place->key == NULL) {
        if (object->at != NULL) {
            object->at->object = 0;
        }
        return;
    }
    place->start = start;
    place->met_in = object->next == expected + 1 ? object->at->object : 0;
}

/* Passes over members of which nothing is selected, as far as their text is, byte for byte, that of the object
 * before: what was valid there is valid here. With three fields of a run selected, most of a run is passed over
 * in three comparisons: 0.7x of the time without this. */
static const char *skip_alike(struct retab_json *r, const char *p, struct retab_json_object *object, int selection)
{
    struct retab_place *const at = object->at;
    const unsigned from = object->next;
    if (at == NULL || at->previous <= r->text_objects || from >= at->keys) {
        return p;
    }
    struct retab_place *const children = at->children;
    const char *const before = children[from].start;
    unsigned to = from;
    while (to + 1 < at->keys && children[to].met_in == at->previous && children[to + 1].met_in == at->previous &&
           children[to].selection == RETAB_FIELDS_NONE && children[to].within == selection &&
           children[to].generation == r->fields.generation) {
        to++;
    }
    if (to == from) {
        return p;
    }
    size_t most = (size_t)(children[to].start - before);
    most = most < (size_t)(r->text.end - p) ? most : (size_t)(r->text.end - p);
    const size_t common = retab_text_common(p, before, most);
    while (to > from && (size_t)(children[to].start - before) > common) {
        to--;
    }
    const char *const behind = p + (children[to].start - before);
    for (unsigned i = from; i < to; i++) {
        children[i].start += p - before;
        children[i].met_in = at->object;
    }
    object->next = to;
    object->met = object->met > to ? object->met : to;
    return retab_text_space(behind); /* there may be more of it here */
}

/* Goes to the next value that is to be built of an object of which a part is selected, its key on the stack. more:
 * there is one; else the object was closed. */
static const char *next_selected(lua_State *L, struct retab_json *r, const char *p, struct frame *frame,
                                 struct next *next, int *more)
{
    for (*more = 1; *more;) {
        struct key key;
        const char *const start = p = skip_alike(r, p, &frame->object, frame->selection);
        const unsigned expected = frame->object.next;
        p = read_key(L, r, p, &frame->object, &key);
        if (p == NULL) {
            return NULL;
        }
        note_start(&frame->object, &key, start, expected);
        next->place = key.place;
        next->repeated = key.repeated;
        next->selection = select_key(r, frame->selection, &key);
        const int container = *p == '{' || *p == '[';
        if (next->selection == RETAB_FIELDS_ALL || (next->selection != RETAB_FIELDS_NONE && container)) {
            push_key(L, r, &key);
            return p;
        }
        if (next->selection != RETAB_FIELDS_NONE && key.repeated) {
            push_key(L, r, &key); /* the last value counts, and of this one nothing is selected */
            lua_pushnil(L);
            lua_rawset(L, -3);
        } else {
            lua_pop(L, key.pushed);
        }
        r->text.p = p;
        if (retab_text_skip(&r->text, r->max_depth - r->depth) != 0) {
            return NULL;
        }
        p = advance(L, r, r->text.p, more);
        if (p == NULL) {
            return NULL;
        }
    }
    return p;
}

/* Goes to the next value of the innermost container that is to be built. more: there is one; else it was closed. */
static inline const char *next_value(lua_State *L, struct retab_json *r, const char *p, struct next *next, int *more)
{
    struct frame *const frame = &r->frames[r->depth - 1];
    if (frame->kind == '[') {
        next->place = retab_place_element(L, &r->places, frame->object.at);
        next->selection = frame->selection;
        return p;
    }
    return frame->selection == RETAB_FIELDS_ALL ? next_member(L, r, p, frame, next)
                                                : next_selected(L, r, p, frame, next, more);
}

/* Pushes the value at `p`. One loop and an array of frames: no depth of nesting takes C stack. */
static const char *build(lua_State *L, struct retab_json *r, const char *p, struct retab_place *place, int selection)
{
    const size_t outside = r->depth;
    struct next next = {place, selection, 0};
    for (;;) {
        int absent = 0, more = 0;
        switch (*p) {
        case '"':
            p = push_string(L, r, p, next.place);
            break;
        case '{':
        case '[':
            p = open_container(L, r, p, next.place, next.selection, &more);
            break;
        case 't':
            lua_pushboolean(L, 1);
            p = read_literal(r, p, "true");
            break;
        case 'f':
            lua_pushboolean(L, 0);
            p = read_literal(r, p, "false");
            break;
        case 'n':
            absent = r->null == 0;
            p = push_null(L, r, p);
            break;
        default:
            p = push_number(L, r, p);
        }
        while (p != NULL) {
            if (!more) { /* the value is complete, on top */
                if (r->depth == outside) {
                    return p;
                }
                store(L, &r->frames[r->depth - 1], absent, next.repeated, r->depth == r->dense);
                absent = 0;
                p = advance(L, r, p, &more);
            }
            if (more && p != NULL) {
                p = next_value(L, r, p, &next, &more);
                if (more) {
                    break;
                }
            }
        }
        if (p == NULL) {
            return NULL;
        }
    }
}

/* ---- the interface --------------------------------------------------------------------------------- */

struct retab_place *retab_json_root(struct retab_json *r)
{
    return &r->places.root;
}

char retab_json_peek(struct retab_json *r)
{
    r->text.p = retab_text_space(r->text.p);
    return *r->text.p != '\0' && strchr("{[\"tfn", *r->text.p) != NULL ? *r->text.p : '0';
}

const char *retab_json_kind(char kind)
{
    switch (kind) {
    case '{':
        return "an object";
    case '[':
        return "an array";
    case '"':
        return "a string";
    case 't':
    case 'f':
        return "a boolean";
    case 'n':
        return "null";
    default:
        return "a number";
    }
}

int retab_json_value(lua_State *L, struct retab_json *r, struct retab_place *place, int flags)
{
    const int selection = (flags & RETAB_JSON_SELECT) != 0 ? RETAB_FIELDS_ROOT : RETAB_FIELDS_ALL;
    r->dense = (flags & RETAB_JSON_DENSE) != 0 ? r->depth + 1 : 0;
    const char *const behind = build(L, r, retab_text_space(r->text.p), place, selection);
    if (behind == NULL) {
        return -1;
    }
    r->text.p = behind;
    return 0;
}

int retab_json_end(struct retab_json *r)
{
    r->text.p = retab_text_space(r->text.p);
    return r->text.p == r->text.end ? 0 : retab_text_fail(&r->text, r->text.p, "bytes after the end of the value");
}

void retab_json_object(struct retab_json *r, struct retab_place *at, struct retab_json_object *object)
{
    *object = (struct retab_json_object){at, 0, 0, 0, 0};
    r->text.p = retab_text_space(r->text.p) + 1;
    r->depth++;
}

int retab_json_member(lua_State *L, struct retab_json *r, struct retab_json_object *object, struct retab_place **place)
{
    struct key key;
    const char *p = retab_text_space(r->text.p);
    if (*p == '}') {
        r->text.p = p + 1;
        r->depth--;
        return 0;
    }
    if (object->begun && *p != ',') {
        return retab_text_fail(&r->text, p, "expected ',' or '}'");
    }
    p = read_key(L, r, retab_text_space(p + object->begun), object, &key);
    if (p == NULL) {
        return -1;
    }
    object->begun = 1;
    r->text.p = p;
    push_key(L, r, &key);
    *place = key.place;
    return 1;
}

const char *retab_json_message(const struct retab_json *r)
{
    return r->text.message;
}

size_t retab_json_position(const struct retab_json *r)
{
    return (size_t)(r->text.wrong - r->text.start) + 1;
}

void retab_json_options(lua_State *L, int index, struct retab_json_options *options)
{
    static const char *const names[] = {"null", "fields", "max_depth", NULL};
    *options = (struct retab_json_options){0, 0, RETAB_JSON_DEPTH};
    if (lua_isnoneornil(L, index)) {
        return;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        int known = 0;
        for (int i = 0; names[i] != NULL && lua_type(L, -2) == LUA_TSTRING; i++) {
            known = known || strcmp(lua_tostring(L, -2), names[i]) == 0;
        }
        if (!known) {
            luaL_error(L, "unknown option '%s': null, fields and max_depth are allowed",
                       lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : luaL_typename(L, -2));
        }
    }
    lua_getfield(L, index, "null");
    options->null = lua_isnil(L, -1) ? 0 : lua_gettop(L);
    lua_getfield(L, index, "fields");
    if (!lua_isnil(L, -1)) {
        options->fields = lua_gettop(L);
        retab_fields_check(L, options->fields);
    }
    lua_getfield(L, index, "max_depth");
    if (!lua_isnil(L, -1)) {
        const lua_Number depth = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
        if (!(depth >= 1 && depth <= RETAB_JSON_DEEPEST) || floor((double)depth) != (double)depth) {
            luaL_error(L, "max_depth is a whole number from 1 to %d", RETAB_JSON_DEEPEST);
        }
        options->max_depth = (size_t)depth;
    }
}

/* core.decode(text [, options]) -> value | nil, message, position */
static int decode(lua_State *L)
{
    struct retab_json_options options;
    size_t length;
    luaL_checktype(L, 1, LUA_TSTRING);
    const char *text = lua_tolstring(L, 1, &length);
    lua_settop(L, 2);
    retab_json_options(L, 2, &options);
    struct retab_json *r = retab_json_checkout(L);
    const int reader = lua_gettop(L);
    retab_json_begin(L, r, reader, text, length, &options);
    if (retab_json_value(L, r, &r->places.root, options.fields != 0 ? RETAB_JSON_SELECT : 0) == 0 &&
        retab_json_end(r) == 0) {
        retab_json_checkin(L, reader);
        return 1;
    }
    lua_settop(L, reader);
    lua_pushnil(L);
    lua_pushstring(L, retab_json_message(r));
    lua_pushinteger(L, (lua_Integer)retab_json_position(r));
    retab_json_checkin(L, reader);
    return 3;
}

void retab_json_register(lua_State *L)
{
    retab_json_new(L);
    lua_pushcclosure(L, decode, 1);
    lua_setfield(L, -2, "decode");
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
}
