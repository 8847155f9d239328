#include "place.h"

#include <stdlib.h>
#include <string.h>

#include "constructor.h"
#include "text.h"

#define PLACES 2048
#define DEPTH 32

/* The anchors of a place: its key, its last string, its quoted key. */
#define ANCHORS 3

/* A place starts with this trust in repetition, earns one for a string that repeats and loses one for
 * another; with none left it rests for as many strings as REST says. */
#define TRUST 8
#define REST (-256)

/* A constructor costs what it saves with a few hundred objects; and a miss, what it saves with a few. */
#define CONSTRUCTOR_AFTER 256
#define CONSTRUCTOR_MISS 4
#define CONSTRUCTOR_TRUST 32 /* at most; at first it is TRUST */
#define CONSTRUCTORS 64

_Static_assert(RETAB_PLACE_KEYS <= RETAB_CONSTRUCTOR_MOST, "an object of known keys can have a constructor");

static void start(struct retab_places *places, struct retab_place *place, unsigned depth)
{
    memset(place, 0, sizeof *place);
    place->anchor = places->anchored + 1;
    place->quoted_length = SIZE_MAX;
    place->depth = depth;
    place->trust = TRUST;
    places->anchored += ANCHORS;
}

/* Recursion goes as deep as what is learnt, DEPTH at most. */
static void free_place(struct retab_place *place)
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

void retab_places_free(struct retab_places *places)
{
    free_place(&places->root);
    memset(places, 0, sizeof *places);
}

void retab_places_start(lua_State *L, struct retab_places *places, int index)
{
    lua_newtable(L);
    lua_setiuservalue(L, index, 1);
    retab_places_free(places);
    start(places, &places->root, 0);
}

void retab_places_begin(lua_State *L, struct retab_places *places, int index)
{
    if (places->count >= PLACES || places->anchored == 0) {
        retab_places_start(L, places, index);
    }
    lua_getiuservalue(L, index, 1);
    places->anchors = lua_gettop(L);
}

/* Whether there may be one more place below `at`. */
static int may_learn(const struct retab_places *places, const struct retab_place *at)
{
    return at->depth < DEPTH && places->count < PLACES;
}

/* Anchors the string on top, and pops it: its bytes stay. */
static const char *keep(lua_State *L, const struct retab_places *places, int anchor, size_t *length)
{
    const char *bytes = lua_tolstring(L, -1, length);
    lua_rawseti(L, places->anchors, RETAB_INDEX(anchor));
    return bytes;
}

struct retab_place *retab_place_add(lua_State *L, struct retab_places *places, struct retab_place *at, const char *key,
                                    size_t length, int escaped)
{
    if (at->keys == RETAB_PLACE_KEYS) {
        at->map = 1;
    }
    if (at->map || !may_learn(places, at)) {
        return NULL;
    }
    if (at->keys == at->key_room) {
        void *larger = retab_text_grow(at->children, &at->key_room, (size_t)at->keys + 1, sizeof *at->children);
        if (larger == NULL) {
            luaL_error(L, "not enough memory");
        }
        at->children = larger;
    }
    struct retab_place *place = &at->children[at->keys];
    start(places, place, at->depth + 1);
    lua_pushlstring(L, key, length);
    place->key = keep(L, places, place->anchor, &place->key_length);
    if (!escaped) {
        lua_pushliteral(L, "\"");
        lua_pushlstring(L, key, length);
        lua_pushliteral(L, "\":");
        lua_concat(L, 3);
        place->quoted = keep(L, places, place->anchor + 2, &place->quoted_length);
    }
    places->count++;
    at->keys++;
    return place;
}

struct retab_place *retab_place_element(lua_State *L, struct retab_places *places, struct retab_place *at)
{
    if (at == NULL || at->element != NULL || !may_learn(places, at)) {
        return at == NULL ? NULL : at->element;
    }
    at->element = malloc(sizeof *at->element);
    if (at->element == NULL) {
        luaL_error(L, "not enough memory");
    }
    start(places, at->element, at->depth + 1);
    places->count++;
    return at->element;
}

void retab_place_remember(lua_State *L, struct retab_places *places, struct retab_place *place)
{
    if (place->trust < 0) {
        place->trust++;
    } else if (place->last != NULL && --place->trust <= 0) {
        place->trust = REST;
        place->last = NULL;
    } else {
        lua_pushvalue(L, -1);
        place->last = keep(L, places, place->anchor + 1, &place->last_length);
    }
}

/* Makes the constructor of the first `keys` children. A key with escapes is a string on the stack before it is known:
 * no object that has one fits. */
static void construct(lua_State *L, struct retab_places *places, struct retab_place *place, unsigned keys)
{
    struct retab_constructor_key names[RETAB_PLACE_KEYS];
    for (unsigned i = 0; i < keys; i++) {
        if (place->children[i].quoted == NULL) {
            return;
        }
        names[i] = (struct retab_constructor_key){place->children[i].key, place->children[i].key_length};
    }
    retab_constructor_push(L, names, keys);
    if (place->constructor == 0) {
        place->constructor = ++places->anchored;
        places->constructors++;
    }
    lua_rawseti(L, places->anchors, RETAB_INDEX(place->constructor));
    place->constructed = keys;
    place->constructor_trust = TRUST;
}

void retab_place_count_alike(lua_State *L, struct retab_places *places, struct retab_place *place, unsigned keys,
                             size_t values)
{
    /* a table is made for all keys: it is not to be half empty */
    if (keys == 0 || keys != place->alike_keys || values * 2 < keys) {
        place->alike_keys = keys;
        place->alike = 0;
        return;
    }
    place->alike++;
    if (place->alike >= CONSTRUCTOR_AFTER && keys >= RETAB_CONSTRUCTOR_LEAST && places->constructors < CONSTRUCTORS) {
        place->alike = 0;
        construct(L, places, place, keys);
    }
}

void retab_place_judge_constructor(struct retab_place *place, int fitted)
{
    if (fitted) {
        place->constructor_trust += place->constructor_trust < CONSTRUCTOR_TRUST;
        return;
    }
    place->constructor_trust -= CONSTRUCTOR_MISS;
    if (place->constructor_trust <= 0) {
        place->constructed = 0;
    }
}
