/* The floor of every decoder that builds Lua tables through the C API: the same tables are built from a recorded plan,
 * and no text is read. Its time is Lua's own.
 *
 *     local plan = floor.record(value)      -- of tables, strings, numbers and booleans
 *     local copy = floor.build(plan)
 *
 * The plan has the exact sizes of tables, keys as Lua strings, the lengths of strings, and numbers as numbers. */
#include <stdlib.h>
#include <string.h>

#include "../csrc/compat.h"

#define PLAN "retab.bench.plan"

enum kind { OPEN, CLOSE, STRING, INTEGER, NUMBER, BOOLEAN };

/* A step of the plan. `at` is the number of the value's key, or the negative of its array index. */
struct step {
    unsigned char kind, outermost;
    int at;
    union {
        struct {
            int elements, members;
        } table;
        struct {
            size_t from, length;
        } string;
        lua_Integer integer;
        lua_Number number;
        int boolean;
    } value;
};

struct plan {
    struct step *steps;
    size_t count, room;
    char *bytes; /* of all strings */
    size_t length, bytes_room;
    int depth, deepest;
};

static void *grow(lua_State *L, void *block, size_t *room, size_t need, size_t size)
{
    if (need <= *room) {
        return block;
    }
    const size_t wanted = need * 2;
    void *larger = realloc(block, wanted * size);
    if (larger == NULL) {
        luaL_error(L, "not enough memory");
    }
    *room = wanted;
    return larger;
}

static struct step *add(lua_State *L, struct plan *plan, enum kind kind, int at)
{
    plan->steps = grow(L, plan->steps, &plan->room, plan->count + 1, sizeof *plan->steps);
    struct step *step = &plan->steps[plan->count++];
    memset(step, 0, sizeof *step);
    step->kind = (unsigned char)kind;
    step->at = at;
    step->outermost = plan->depth == 0;
    return step;
}

/* Returns the number of the key at `index`. The table at 2 has all keys by number and by name. */
static int key_number(lua_State *L, int index)
{
    lua_pushvalue(L, index);
    lua_rawget(L, 2);
    int number = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    if (number == 0) {
        number = (int)lua_rawlen(L, 2) + 1;
        lua_pushvalue(L, index);
        lua_rawseti(L, 2, RETAB_INDEX(number));
        lua_pushvalue(L, index);
        lua_pushinteger(L, number);
        lua_rawset(L, 2);
    }
    return number;
}

static void record_value(lua_State *L, struct plan *plan, int at);

/* Counts the elements and members of the table on top. */
static void record_table(lua_State *L, struct plan *plan, int at)
{
    const int table = lua_gettop(L);
    const int elements = (int)lua_rawlen(L, table);
    const size_t opened = plan->count;
    (void)add(L, plan, OPEN, at);
    luaL_checkstack(L, 8, "plan");
    plan->depth++;
    plan->deepest = plan->depth > plan->deepest ? plan->depth : plan->deepest;
    for (int i = 1; i <= elements; i++) {
        lua_rawgeti(L, table, RETAB_INDEX(i));
        record_value(L, plan, -i);
        lua_pop(L, 1);
    }
    int members = 0;
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING) {
            record_value(L, plan, key_number(L, lua_gettop(L) - 1));
            members++;
        }
    }
    plan->depth--;
    plan->steps[opened].value.table.elements = elements;
    plan->steps[opened].value.table.members = members;
    (void)add(L, plan, CLOSE, at);
}

static void record_string(lua_State *L, struct plan *plan, int at)
{
    size_t length;
    const char *bytes = lua_tolstring(L, -1, &length);
    struct step *step = add(L, plan, STRING, at);
    step->value.string.from = plan->length;
    step->value.string.length = length;
    plan->bytes = grow(L, plan->bytes, &plan->bytes_room, plan->length + length + 1, 1);
    memcpy(plan->bytes + plan->length, bytes, length);
    plan->length += length;
}

/* Records the value on top. */
static void record_value(lua_State *L, struct plan *plan, int at)
{
    switch (lua_type(L, -1)) {
    case LUA_TTABLE:
        record_table(L, plan, at);
        break;
    case LUA_TSTRING:
        record_string(L, plan, at);
        break;
    case LUA_TNUMBER:
#if RETAB_HAS_INTEGERS
        if (lua_isinteger(L, -1)) {
            add(L, plan, INTEGER, at)->value.integer = lua_tointeger(L, -1);
            break;
        }
#endif
        add(L, plan, NUMBER, at)->value.number = lua_tonumber(L, -1);
        break;
    case LUA_TBOOLEAN:
        add(L, plan, BOOLEAN, at)->value.boolean = lua_toboolean(L, -1);
        break;
    default:
        luaL_error(L, "a plan has no %s", luaL_typename(L, -1));
    }
}

/* floor.record(value) -> plan */
static int record(lua_State *L)
{
    lua_settop(L, 1);
    lua_newtable(L);
    struct plan *plan = lua_newuserdatauv(L, sizeof *plan, 1);
    memset(plan, 0, sizeof *plan);
    luaL_getmetatable(L, PLAN);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, 1);
    record_value(L, plan, 0);
    lua_pop(L, 1);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 3, 1);
    return 1;
}

static inline void store(lua_State *L, const struct step *step)
{
    if (step->outermost) {
        return;
    }
    if (step->at < 0) {
        lua_rawseti(L, -2, RETAB_INDEX(-step->at));
    } else {
        lua_rawset(L, -3);
    }
}

/* floor.build(plan) -> value */
static int build(lua_State *L)
{
    const struct plan *plan = luaL_checkudata(L, 1, PLAN);
    lua_settop(L, 1);
    luaL_checkstack(L, plan->deepest * 2 + 8, "plan");
    lua_getiuservalue(L, 1, 1);
    for (const struct step *step = plan->steps, *end = step + plan->count; step < end; step++) {
        if (step->at > 0 && step->kind != CLOSE) {
            lua_rawgeti(L, 2, RETAB_INDEX(step->at));
        }
        switch ((enum kind)step->kind) {
        case OPEN:
            lua_createtable(L, step->value.table.elements, step->value.table.members);
            continue;
        case CLOSE:
            break;
        case STRING:
            lua_pushlstring(L, plan->bytes + step->value.string.from, step->value.string.length);
            break;
        case INTEGER:
            lua_pushinteger(L, step->value.integer);
            break;
        case NUMBER:
            lua_pushnumber(L, step->value.number);
            break;
        case BOOLEAN:
            lua_pushboolean(L, step->value.boolean);
        }
        store(L, step);
    }
    return 1;
}

static int collect(lua_State *L)
{
    struct plan *plan = luaL_checkudata(L, 1, PLAN);
    free(plan->steps);
    free(plan->bytes);
    memset(plan, 0, sizeof *plan);
    return 0;
}

RETAB_EXPORT int luaopen_bench_floor(lua_State *L);

RETAB_EXPORT int luaopen_bench_floor(lua_State *L)
{
    if (luaL_newmetatable(L, PLAN)) {
        lua_pushcfunction(L, collect);
        lua_setfield(L, -2, "__gc");
    }
    lua_newtable(L);
    lua_pushcfunction(L, record);
    lua_setfield(L, -2, "record");
    lua_pushcfunction(L, build);
    lua_setfield(L, -2, "build");
    return 1;
}
