/* Bytes to Lua values: a strict RFC 8259 decoder that learns the documents it reads.
 *
 * A reader (struct retab_json) is a userdata. It owns all memory that decoding needs beside the Lua
 * values themselves, and what it has learnt: the keys of the objects at each place of a document, the
 * sizes of the tables, the last string under each key; and Lua functions that make tables which are alike
 * (constructor.h), the only Lua code that runs during a decode, but for finalizers and hooks. A second
 * document of the same kind is read without one allocation on the C heap.
 *
 * Use: retab_json_checkout and retab_json_begin; then retab_json_value, or the members of the root
 * object one by one with retab_json_object and retab_json_member; then retab_json_end and
 * retab_json_checkin. A Lua error in between (no memory) drops the reader, which the collector frees.
 *
 * Functions that read give 0 (or what they say), or -1 with the reader's message and position set and
 * any number of values left on the Lua stack: the caller resets its top. */
#ifndef RETAB_JSON_H
#define RETAB_JSON_H

#include <stddef.h>

#include "../compat.h"

/* How many containers may be open at once, and the most that a caller may ask for. */
#define RETAB_JSON_DEPTH 128
#define RETAB_JSON_DEEPEST 1000000

struct retab_json;

/* Where a value stands, and what is known of the values met there (place.h). NULL: nothing is to be learnt. */
struct retab_place;

/* Where the reading of an object stands: the place of the key that is expected next, how many places (in
 * their order) may have been met, how many keys were not the expected ones, and whether the first was read. */
struct retab_json_object {
    struct retab_place *at;
    unsigned next, met, strays;
    int begun;
};

/* null: the absolute stack index of the value that JSON null becomes, 0 for nil. fields: the absolute index of
 * an array of paths, 0 for everything. */
struct retab_json_options {
    int null, fields;
    size_t max_depth;
};

/* Pushes a reader: the one in the calling function's first upvalue, or a new one where that is out.
 * A finalizer that decodes in the middle of a decode thereby gets a reader of its own. */
struct retab_json *retab_json_checkout(lua_State *L);

/* Gives the reader at `index` back. */
void retab_json_checkin(lua_State *L, int index);

/* Reads the options table at the absolute `index`, or none; pushes what the options refer to. Raises for an
 * unknown name or a wrong value. */
void retab_json_options(lua_State *L, int index, struct retab_json_options *options);

/* Starts on `text`, which has to stay alive and to end in a NUL, as Lua's strings do.
 * index: the reader's, absolute. */
void retab_json_begin(lua_State *L, struct retab_json *reader, int index, const char *text, size_t length,
                      const struct retab_json_options *options);

/* The place of the whole document. */
struct retab_place *retab_json_root(struct retab_json *reader);

/* What retab_json_value is to do with a value: build only what the fields name; as an array, close up where a
 * null becomes nil, so that the table has no holes. */
#define RETAB_JSON_SELECT 1 /* paths pass through arrays: the scalars in these keep their places */
#define RETAB_JSON_DENSE 2

/* Pushes the next value, which stands at `place`. */
int retab_json_value(lua_State *L, struct retab_json *reader, struct retab_place *place, int flags);

/* Only white space may follow. */
int retab_json_end(struct retab_json *reader);

/* The kind of the next value, by its first byte: one of { [ " t f n, 0 for a number, and for anything else. */
char retab_json_peek(struct retab_json *reader);

/* A kind that retab_json_peek gives in English: "an object", "a number". */
const char *retab_json_kind(char kind);

/* Enters the object that retab_json_peek saw at `at`. */
void retab_json_object(struct retab_json *reader, struct retab_place *at, struct retab_json_object *object);

/* On 1 the key of the next member is pushed and `*place` is where its value stands; 0: the object is over. */
int retab_json_member(lua_State *L, struct retab_json *reader, struct retab_json_object *object,
                      struct retab_place **place);

/* What was wrong, and its 1-based byte. */
const char *retab_json_message(const struct retab_json *reader);
size_t retab_json_position(const struct retab_json *reader);

/* Pushes a new reader, for the first upvalue of a function that is to check it out. */
void retab_json_new(lua_State *L);

/* Adds `decode` and `null` to the table on top. */
void retab_json_register(lua_State *L);

#endif
