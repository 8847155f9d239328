/* How it is fast, beside one pass and no copies: a document is read as if it were like the one before.
 * At each place the next key is compared with the one that came next last time (no hashing: its Lua
 * string is there already), tables are made as large as their predecessors became, and a string that
 * repeats under its key is pushed as the Lua string that it was. */
#include "json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "constructor.h"
#include "fields.h"
#include "number.h"
#include "text.h"

#define READER "retab.json"

/* What is learnt is bounded. An object with more keys than this is a map: its keys are data. */
#define KEYS_PER_PLACE 64
#define PLACES 2048
#define LEARNT_DEPTH 32

/* Longer strings hardly repeat, and comparing them costs what interning saves. */
#define REPEATED_LENGTH 64

/* A place starts with this trust in repetition, earns one for a string that repeats and loses one for
 * another; with none left it rests for as many strings as REST says. */
#define TRUST 8
#define TRUST_LIMIT 32
#define REST (-256)

/* After so many objects in a row with the same keys in the same order, a place gets a constructor for them: it costs
 * what it saves with a few hundred objects. It goes when it is not trusted any more, like the last string; but one
 * miss costs as much as several hits save. */
#define CONSTRUCTOR_AFTER 256
#define CONSTRUCTOR_MISS 4
#define CONSTRUCTORS 64

/* The Lua stack is grown for this many containers at a time, of three slots each: table, key, value. */
#define STACK_STRIDE 16
#define STACK_ROOM (STACK_STRIDE * 3 + LUA_MINSTACK)

/* The most elements that an array's table is made for before they are seen. */
#define ELEMENTS_AHEAD ((size_t)1 << 20)

struct retab_json_place {
    const char *key; /* the bytes of the Lua string anchors[anchor]; NULL for elements */
    size_t key_length;
    const char *last; /* of anchors[anchor + 1], the last string here; NULL for none */
    size_t last_length;
    int anchor;
    int trust;
    int escaped;   /* the key was met with escapes: it may not stand in a text as it is */
    int selection; /* of this key within `within`, by the fields of `generation` */
    int within;
    unsigned generation;
    unsigned depth;
    /* for skip_alike: */
    const char *start;         /* of this key in the object `met_in` */
    uint64_t met_in;           /* the number of the object in which this key was met behind its elder sibling; or 0 */
    uint64_t object, previous; /* as an object: the numbers of the last two here */
    int map;                   /* as an object, it has had too many keys to know them */
    size_t elements;           /* of the last array here */
    unsigned members;          /* of the last object here */
    unsigned alike;            /* how many objects in a row had just the first `alike_keys` keys, in order */
    unsigned alike_keys;
    unsigned constructed; /* the keys of the constructor anchors[constructor]; 0: there is none */
    int constructor, constructor_trust;
    unsigned keys; /* of `children`: the keys in the order in which they were met */
    size_t key_room;
    struct retab_json_place *children;
    struct retab_json_place *element; /* of arrays, and of maps */
};

/* A container that is being built; its table is on the Lua stack. */
struct frame {
    struct retab_json_object object; /* of an array, only `at` is used */
    size_t count;
    unsigned constructed; /* for so many values a constructor is on the Lua stack, in the place of the table */
    int selection;
    char kind;
};

struct retab_json {
    struct retab_text text;
    struct retab_fields fields;
    struct frame *frames;
    size_t depth, frame_room, max_depth;
    size_t dense;                   /* the depth of the array that gets no holes; 0 for none */
    uint64_t objects, text_objects; /* how many were opened so far, and before this text */
    int anchors, null;              /* stack indices; the anchors are a table, the reader's user value */
    struct retab_json_place root;
    unsigned places, constructors;
    int anchored;
    int finalized; /* other finalizers may decode still, while the Lua state is closed */
};

/* ---- the reader ------------------------------------------------------------------------------------ */

static void start_place(struct retab_json_place *place, int anchor, unsigned depth)
{
    memset(place, 0, sizeof *place);
    place->anchor = anchor;
    place->depth = depth;
    place->trust = TRUST;
}

/* Recursion goes as deep as what is learnt, LEARNT_DEPTH at most. */
static void free_place(struct retab_json_place *place)
{
    for (unsigned i = 0; i < place->keys; i++) {
        free_place(&place->children[i]);
    }
    free(place->children);
    if (place->element != NULL) {
        free_place(place->element);
        free(place->element);
    }
}

static int collect(lua_State *L)
{
    struct retab_json *r = luaL_checkudata(L, 1, READER);
    free_place(&r->root);
    free(r->frames);
    retab_text_free(&r->text);
    retab_fields_free(&r->fields);
    memset(r, 0, sizeof *r);
    r->finalized = 1;
    return 0;
}

/* Forgets all that was learnt. The reader is at `index`. */
static void start_learning(lua_State *L, struct retab_json *r, int index)
{
    lua_newtable(L);
    lua_setiuservalue(L, index, 1);
    free_place(&r->root);
    start_place(&r->root, 1, 0);
    r->anchored = 2;
    r->places = r->constructors = 0;
}

void retab_json_new(lua_State *L)
{
    struct retab_json *r = lua_newuserdatauv(L, sizeof *r, 1);
    memset(r, 0, sizeof *r);
    luaL_newmetatable(L, READER); /* filled also where it is there: memory may have run out in the middle of it */
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    start_learning(L, r, lua_gettop(L));
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
    if (r->places >= PLACES || r->finalized) {
        start_learning(L, r, index);
    }
    lua_getiuservalue(L, index, 1);
    r->anchors = lua_gettop(L);
    if (options->fields != 0) {
        retab_fields_compile(L, &r->fields, options->fields);
    }
}

static int fail(struct retab_json *r, const char *message)
{
    return retab_text_fail(&r->text, r->text.p, message);
}

static void *grow(lua_State *L, void *block, size_t *room, size_t need, size_t size)
{
    void *larger = retab_text_grow(block, room, need, size);
    if (larger == NULL) {
        luaL_error(L, "not enough memory");
    }
    return larger;
}

/* ---- strings and numbers --------------------------------------------------------------------------- */

/* Keeps the string on top as the last one at `place`, for as long as strings repeat there. */
static void remember(lua_State *L, struct retab_json *r, struct retab_json_place *place)
{
    if (place->trust < 0) {
        place->trust++;
    } else if (place->last != NULL && --place->trust <= 0) {
        place->trust = REST;
        place->last = NULL;
    } else {
        lua_pushvalue(L, -1);
        lua_rawseti(L, r->anchors, place->anchor + 1);
        place->last = lua_tolstring(L, -1, &place->last_length);
    }
}

static int push_string(lua_State *L, struct retab_json *r, struct retab_json_place *place)
{
    const char *from = r->text.p + 1, *bytes = from;
    if (place != NULL && place->last != NULL) {
        const size_t length = place->last_length;
        if ((size_t)(r->text.end - from) > length && from[length] == '"' &&
            retab_text_same(from, place->last, length)) {
            lua_rawgeti(L, r->anchors, place->anchor + 1);
            place->trust += place->trust < TRUST_LIMIT;
            r->text.p = from + length + 1;
            return 0;
        }
    }
    const char *close = retab_text_plain(from, r->text.end);
    size_t length = (size_t)(close - from);
    if (*close == '"') { /* nearly always */
        r->text.p = close + 1;
    } else if (retab_text_decode(&r->text, &bytes, &length) != 0) {
        return -1;
    }
    lua_pushlstring(L, bytes, length);
    if (place != NULL && length <= REPEATED_LENGTH && r->text.p == from + length + 1) {
        remember(L, r, place); /* it stands in the text as it is */
    }
    return 0;
}

static int push_number(lua_State *L, struct retab_json *r)
{
    struct retab_number number;
    if (retab_number_read(&r->text, &number) != 0) {
        return -1;
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
    return 0;
}

/* ---- keys ------------------------------------------------------------------------------------------ */

struct key {
    const char *bytes;
    size_t length;
    int pushed;   /* it had escapes, and its bytes are those of the string on the Lua stack */
    int repeated; /* it may have come before in this object */
    struct retab_json_place *place;
};

/* Adds the key to those that are known at `at`, unless no more is learnt. Whether it was added.
 * A place's children move when they grow, but never while one of them is being read. */
static int learn_key(lua_State *L, struct retab_json *r, struct retab_json_place *at, const struct key *key)
{
    if (at->keys == KEYS_PER_PLACE) {
        at->map = 1;
    }
    if (at->map || at->depth >= LEARNT_DEPTH || r->places >= PLACES) {
        return 0;
    }
    if (at->keys == at->key_room) {
        at->children = grow(L, at->children, &at->key_room, (size_t)at->keys + 1, sizeof *at->children);
    }
    struct retab_json_place *place = &at->children[at->keys];
    start_place(place, r->anchored + 1, at->depth + 1);
    lua_pushlstring(L, key->bytes, key->length);
    lua_pushvalue(L, -1);
    lua_rawseti(L, r->anchors, place->anchor);
    place->escaped = key->pushed;
    place->key = lua_tolstring(L, -1, &place->key_length);
    lua_pop(L, 1);
    r->anchored += 2;
    r->places++;
    at->keys++;
    return 1;
}

/* The one place of all elements of the arrays, or of all values of the maps, at `at`. */
static struct retab_json_place *element_place(lua_State *L, struct retab_json *r, struct retab_json_place *at)
{
    if (at == NULL || at->element != NULL || at->depth >= LEARNT_DEPTH || r->places >= PLACES) {
        return at == NULL ? NULL : at->element;
    }
    size_t none = 0;
    at->element = grow(L, NULL, &none, 1, sizeof *at->element);
    start_place(at->element, r->anchored + 1, at->depth + 1);
    r->anchored += 2;
    r->places++;
    return at->element;
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
    struct retab_json_place *const at = object->at;
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
    if (learn_key(L, r, at, key)) {
        found(object, at->keys - 1, key);
        return;
    }
    object->strays++;
    if (at->map) {
        key->place = element_place(L, r, at);
    }
}

/* Reads a key and its colon, up to the value. */
static int read_key(lua_State *L, struct retab_json *r, struct retab_json_object *object, struct key *key)
{
    const char *const from = r->text.p + 1;
    if (*r->text.p != '"') {
        return fail(r, "expected a string as key");
    }
    key->place = NULL;
    key->repeated = 1;
    key->pushed = 0;
    if (object->at != NULL && object->next < object->at->keys) {
        const struct retab_json_place *expected = &object->at->children[object->next];
        const size_t length = expected->key_length;
        if (!expected->escaped && (size_t)(r->text.end - from) > length && from[length] == '"' &&
            retab_text_same(from, expected->key, length)) {
            key->bytes = expected->key;
            key->length = length;
            found(object, object->next, key);
            r->text.p = from + length + 1;
        }
    }
    if (key->place == NULL) {
        const char *close = retab_text_plain(from, r->text.end);
        key->bytes = from;
        key->length = (size_t)(close - from);
        if (*close == '"') {
            r->text.p = close + 1;
        } else {
            if (retab_text_decode(&r->text, &key->bytes, &key->length) != 0) {
                return -1;
            }
            lua_pushlstring(L, key->bytes, key->length); /* the scratch will be used again */
            key->bytes = lua_tolstring(L, -1, NULL);
            key->pushed = 1;
        }
        find_key(L, r, object, key);
    }
    r->text.p = retab_text_space(r->text.p);
    if (*r->text.p != ':') {
        return fail(r, "expected ':' after a key");
    }
    r->text.p = retab_text_space(r->text.p + 1);
    return 0;
}

static inline void push_key(lua_State *L, struct retab_json *r, const struct key *key)
{
    if (key->pushed) {
        return;
    }
    if (key->place != NULL && key->place->key != NULL) {
        lua_rawgeti(L, r->anchors, key->place->anchor);
    } else {
        lua_pushlstring(L, key->bytes, key->length);
    }
}

/* What is selected of the key's value; a place remembers it. Below a map, objects of many keys are one place. */
static int select_key(const struct retab_json *r, int selection, const struct key *key)
{
    struct retab_json_place *place = key->place;
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

/* ---- values ---------------------------------------------------------------------------------------- */

/* Opens the container at the cursor and pushes its table. 1: something is in it; 0: nothing, it is closed; -1. */
static int open_container(lua_State *L, struct retab_json *r, struct retab_json_place *place, int selection)
{
    const char kind = *r->text.p;
    if (r->depth >= r->max_depth) {
        return fail(r, "nested too deeply");
    }
    if (r->depth % STACK_STRIDE == 0 && !lua_checkstack(L, STACK_ROOM)) {
        return fail(r, "nested too deeply for the stack of this Lua");
    }
    r->text.p = retab_text_space(r->text.p + 1);
    if (*r->text.p == RETAB_CLOSING(kind)) {
        r->text.p++;
        lua_createtable(L, 0, 0);
        return 0;
    }
    if (r->depth >= r->frame_room) {
        r->frames = grow(L, r->frames, &r->frame_room, r->depth + 1, sizeof *r->frames);
    }
    struct frame *const frame = &r->frames[r->depth++];
    *frame = (struct frame){{place, 0, 0, 0, 0}, 0, 0, selection, kind};
    if (place == NULL) {
        lua_createtable(L, 0, 0);
    } else if (kind == '{') {
        if (place->constructed > 0 && selection == RETAB_FIELDS_ALL &&
            lua_checkstack(L, (int)place->constructed + STACK_ROOM)) {
            frame->constructed = place->constructed;
            lua_rawgeti(L, r->anchors, place->constructor);
        } else {
            lua_createtable(L, 0, (int)place->members);
        }
        place->previous = place->object;
        place->object = ++r->objects;
    } else {
        /* an element takes two bytes at least, so a small text never gets the table of a large one */
        const size_t most = (size_t)(r->text.end - r->text.p) / 2 + 1;
        const size_t expected = place->elements < most ? place->elements : most;
        lua_createtable(L, (int)(expected < ELEMENTS_AHEAD ? expected : ELEMENTS_AHEAD), 0);
    }
    return 1;
}

/* Counts the objects in a row that have the same keys, and makes their place a constructor after enough of them. */
static void count_alike(lua_State *L, struct retab_json *r, const struct frame *frame)
{
    struct retab_json_place *const place = frame->object.at;
    const unsigned keys = frame->object.next;
    if (frame->object.strays > 0 || keys != place->alike_keys || frame->count * 2 < keys) {
        place->alike_keys = keys;
        place->alike = 0;
        return;
    }
    place->alike++;
    if (place->alike < CONSTRUCTOR_AFTER || keys < RETAB_CONSTRUCTOR_LEAST || r->constructors == CONSTRUCTORS) {
        return;
    }
    struct retab_constructor_key names[RETAB_CONSTRUCTOR_MOST];
    for (unsigned i = 0; i < keys; i++) {
        names[i] = (struct retab_constructor_key){place->children[i].key, place->children[i].key_length};
    }
    retab_constructor_push(L, names, keys);
    if (place->constructor == 0) {
        place->constructor = ++r->anchored;
        r->constructors++;
    }
    lua_rawseti(L, r->anchors, place->constructor);
    place->constructed = keys;
    place->constructor_trust = TRUST;
    place->alike = 0;
}

/* The object is not as its constructor wants it: puts a table with the values so far in the place of constructor and
 * values, below the `above` values on top. */
static void give_up_constructor(lua_State *L, struct retab_json *r, struct frame *frame, int above)
{
    struct retab_json_place *const place = frame->object.at;
    const int count = (int)frame->count, base = lua_gettop(L) - above - count;
    lua_createtable(L, 0, (int)place->members);
    frame->constructed = 0;
    frame->count = 0;
    for (int i = 0; i < count; i++) {
        lua_pushvalue(L, base + 1 + i);
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            continue;
        }
        lua_rawgeti(L, r->anchors, place->children[i].anchor);
        lua_insert(L, -2);
        lua_rawset(L, -3);
        frame->count++;
    }
    lua_replace(L, base);
    for (int i = 0; i < count; i++) {
        lua_remove(L, base + 1);
    }
    place->constructor_trust -= CONSTRUCTOR_MISS;
    if (place->constructor_trust <= 0) {
        place->constructed = 0;
    }
}

/* Completes the object on top. */
static void close_object(lua_State *L, struct retab_json *r, struct frame *frame)
{
    struct retab_json_place *const place = frame->object.at;
    if (frame->constructed > 0) {
        if (frame->count == frame->constructed) {
            lua_call(L, (int)frame->count, 1);
            place->constructor_trust += place->constructor_trust < TRUST_LIMIT;
            return;
        }
        give_up_constructor(L, r, frame, 0);
    } else if (frame->selection == RETAB_FIELDS_ALL && place->constructed == 0) {
        count_alike(L, r, frame);
    }
    place->members = (unsigned)(frame->count < KEYS_PER_PLACE ? frame->count : KEYS_PER_PLACE);
}

/* Stores the value on top in the frame's table, below it (and below its key, in an object). */
static inline void store(lua_State *L, struct frame *frame, int absent, int repeated, int dense)
{
    if (frame->constructed > 0) {
        frame->count++;
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

/* Behind a value of the innermost container. 1: behind a comma; 0: the container was closed, and its
 * table is the value on top; -1. */
static inline int advance(lua_State *L, struct retab_json *r)
{
    struct frame *frame = &r->frames[r->depth - 1];
    struct retab_json_place *place = frame->object.at;
    r->text.p = retab_text_space(r->text.p);
    if (*r->text.p == ',') {
        r->text.p = retab_text_space(r->text.p + 1);
        return 1;
    }
    if (*r->text.p != RETAB_CLOSING(frame->kind)) {
        return fail(r, frame->kind == '{' ? "expected ',' or '}'" : "expected ',' or ']'");
    }
    r->text.p++;
    r->depth--;
    if (place != NULL && frame->kind == '[') {
        place->elements = frame->count;
    } else if (place != NULL) {
        close_object(L, r, frame);
    }
    return 0;
}

/* Where the next value stands, what of it is selected, and whether its key may have come before. */
struct next {
    struct retab_json_place *place;
    int selection, repeated;
};

/* Notes where a key was met, for the next object at its place. Only keys that follow each other as their places
 * do are of use there. */
static inline void note_start(struct retab_json_object *object, const struct key *key, const char *start,
                              unsigned expected)
{
    struct retab_json_place *const place = key->place;
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
static void skip_alike(struct retab_json *r, struct retab_json_object *object, int selection)
{
    struct retab_json_place *const at = object->at;
    const unsigned from = object->next;
    if (at == NULL || at->previous <= r->text_objects || from >= at->keys) {
        return;
    }
    struct retab_json_place *const children = at->children;
    const char *const before = children[from].start;
    unsigned to = from;
    while (to + 1 < at->keys && children[to].met_in == at->previous && children[to + 1].met_in == at->previous &&
           children[to].selection == RETAB_FIELDS_NONE && children[to].within == selection &&
           children[to].generation == r->fields.generation) {
        to++;
    }
    if (to == from) {
        return;
    }
    size_t most = (size_t)(children[to].start - before);
    most = most < (size_t)(r->text.end - r->text.p) ? most : (size_t)(r->text.end - r->text.p);
    const size_t common = retab_text_common(r->text.p, before, most);
    while (to > from && (size_t)(children[to].start - before) > common) {
        to--;
    }
    const char *const behind = r->text.p + (children[to].start - before);
    for (unsigned i = from; i < to; i++) {
        children[i].start += r->text.p - before;
        children[i].met_in = at->object;
    }
    r->text.p = retab_text_space(behind); /* there may be more of it here */
    object->next = to;
    object->met = object->met > to ? object->met : to;
}

/* Goes to the next value of the innermost container that is to be built, its key on the stack.
 * 1: there is one; 0: the container was closed; -1. */
static int next_value(lua_State *L, struct retab_json *r, struct next *next)
{
    struct frame *frame = &r->frames[r->depth - 1];
    if (frame->kind == '[') {
        next->place = element_place(L, r, frame->object.at);
        next->selection = frame->selection;
        return 1;
    }
    for (;;) {
        struct key key;
        if (frame->selection != RETAB_FIELDS_ALL) {
            skip_alike(r, &frame->object, frame->selection);
        }
        const char *const start = r->text.p;
        const unsigned expected = frame->object.next;
        if (read_key(L, r, &frame->object, &key) != 0) {
            return -1;
        }
        if (frame->constructed > 0) {
            if (expected < frame->constructed && key.place == &frame->object.at->children[expected] && !key.pushed) {
                next->place = key.place;
                next->selection = RETAB_FIELDS_ALL;
                return 1;
            }
            give_up_constructor(L, r, frame, key.pushed);
        }
        if (frame->selection != RETAB_FIELDS_ALL) {
            note_start(&frame->object, &key, start, expected);
        }
        next->place = key.place;
        next->repeated = key.repeated;
        next->selection = select_key(r, frame->selection, &key);
        const int container = *r->text.p == '{' || *r->text.p == '[';
        if (next->selection == RETAB_FIELDS_ALL || (next->selection != RETAB_FIELDS_NONE && container)) {
            push_key(L, r, &key);
            return 1;
        }
        if (next->selection != RETAB_FIELDS_NONE && key.repeated) {
            push_key(L, r, &key); /* the last value counts, and of this one nothing is selected */
            lua_pushnil(L);
            lua_rawset(L, -3);
        } else {
            lua_pop(L, key.pushed);
        }
        if (retab_text_skip(&r->text, r->max_depth - r->depth) != 0) {
            return -1;
        }
        const int more = advance(L, r);
        if (more != 1) {
            return more;
        }
    }
}

static int push_null(lua_State *L, struct retab_json *r)
{
    if (r->null == 0) {
        lua_pushnil(L);
    } else {
        lua_pushvalue(L, r->null);
    }
    return retab_text_literal(&r->text, "null");
}

/* Pushes the value at the cursor. One loop and an array of frames: no depth of nesting takes C stack. */
static int build(lua_State *L, struct retab_json *r, struct retab_json_place *place, int selection)
{
    const size_t outside = r->depth;
    struct next next = {place, selection, 0};
    for (;;) {
        int absent = 0, more = 0;
        switch (*r->text.p) {
        case '"':
            more = push_string(L, r, next.place);
            break;
        case '{':
        case '[':
            more = open_container(L, r, next.place, next.selection);
            break;
        case 't':
            lua_pushboolean(L, 1);
            more = retab_text_literal(&r->text, "true");
            break;
        case 'f':
            lua_pushboolean(L, 0);
            more = retab_text_literal(&r->text, "false");
            break;
        case 'n':
            absent = r->null == 0;
            more = push_null(L, r);
            break;
        default:
            more = push_number(L, r);
        }
        for (;;) {
            if (more == 0) { /* the value is complete, on top */
                if (r->depth == outside) {
                    return 0;
                }
                store(L, &r->frames[r->depth - 1], absent, next.repeated, r->depth == r->dense);
                absent = 0;
                more = advance(L, r);
            }
            if (more == 1) {
                more = next_value(L, r, &next);
                if (more == 1) {
                    break;
                }
            }
            if (more < 0) {
                return -1;
            }
        }
    }
}

/* ---- the interface --------------------------------------------------------------------------------- */

struct retab_json_place *retab_json_root(struct retab_json *r)
{
    return &r->root;
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

int retab_json_value(lua_State *L, struct retab_json *r, struct retab_json_place *place, int flags)
{
    r->text.p = retab_text_space(r->text.p);
    r->dense = (flags & RETAB_JSON_DENSE) != 0 ? r->depth + 1 : 0;
    return build(L, r, place, (flags & RETAB_JSON_SELECT) != 0 ? RETAB_FIELDS_ROOT : RETAB_FIELDS_ALL);
}

int retab_json_end(struct retab_json *r)
{
    r->text.p = retab_text_space(r->text.p);
    return r->text.p == r->text.end ? 0 : fail(r, "bytes after the end of the value");
}

void retab_json_object(struct retab_json *r, struct retab_json_place *at, struct retab_json_object *object)
{
    *object = (struct retab_json_object){at, 0, 0, 0, 0};
    r->text.p = retab_text_space(r->text.p) + 1;
    r->depth++;
}

int retab_json_member(lua_State *L, struct retab_json *r, struct retab_json_object *object,
                      struct retab_json_place **place)
{
    struct key key;
    r->text.p = retab_text_space(r->text.p);
    if (*r->text.p == '}') {
        r->text.p++;
        r->depth--;
        return 0;
    }
    if (object->begun && *r->text.p != ',') {
        return fail(r, "expected ',' or '}'");
    }
    r->text.p = retab_text_space(r->text.p + object->begun);
    object->begun = 1;
    if (read_key(L, r, object, &key) != 0) {
        return -1;
    }
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
    if (retab_json_value(L, r, &r->root, options.fields != 0 ? RETAB_JSON_SELECT : 0) == 0 && retab_json_end(r) == 0) {
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
