#define _DEFAULT_SOURCE /* usleep */

#include "exhaust.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "heap.h"

/* So many failures in a row stand for all allocations that follow. */
#define ALL 1000000000L

/* For how long another thread may still hold blocks of a library, in milliseconds. */
#define PATIENCE 5000

#define ARGUMENTS "retab.exhaust"

/* ---- Lua's memory ------------------------------------------------------------------------------------ */

static struct {
    long left, to_fail;
    size_t bytes;
    int failed;
} account = {-1, 0, 0, 0};

static void fail_lua(long before, long failures)
{
    account.left = before;
    account.to_fail = failures;
    account.failed = 0;
}

static int lua_failed(void)
{
    return account.failed;
}

static long lua_blocks(void)
{
    return (long)account.bytes;
}

static int fails(void)
{
    if (account.left < 0 || account.left-- > 0) {
        return 0;
    }
    account.left = --account.to_fail > 0 ? 0 : -1;
    account.failed = 1;
    return 1;
}

static void *lua_memory(void *context, void *block, size_t old_size, size_t size)
{
    const size_t old = block != NULL ? old_size : 0;
    (void)context;
    if (size == 0) {
        heap_system_free(block);
        account.bytes -= old;
        return NULL;
    }
    if (size > old && fails()) {
        return NULL;
    }
    void *moved = heap_system_realloc(block, size);
    CHECK(moved != NULL, "there is memory");
    account.bytes += size - old;
    return moved;
}

static const struct exhaust_allocator own[] = {{"Lua", fail_lua, lua_failed, lua_blocks, 0},
                                               {"the C heap", heap_fail, heap_failed, heap_blocks, 0},
                                               {NULL, NULL, NULL, NULL, 0}};

/* ---- a state ----------------------------------------------------------------------------------------- */

struct test {
    lua_CFunction open;
    const struct exhaust_scenario *scenarios;
    size_t count;
    const struct exhaust_allocator *allocators;
};

static lua_State *new_state(void)
{
    luaL_Buffer large;
    lua_State *L = lua_newstate(lua_memory, NULL);
    CHECK(L != NULL, "a new state");
    luaL_openlibs(L);
    /* Lua 5.4.4 keeps half a metatable for its large buffers if memory runs out while it makes that */
    (void)luaL_buffinitsize(L, &large, 2 * LUAL_BUFFERSIZE);
    luaL_pushresultsize(&large, 0);
    lua_pop(L, 1);
    return L;
}

static void check_freed(const struct exhaust_allocator *allocator, const char *name, long before)
{
    for (int i = 0; allocator->foreign && i < PATIENCE && allocator->blocks() != 0; i++) {
        (void)usleep(1000);
    }
    CHECK(allocator->blocks() == 0, "%s, %ld: %ld of %s are left", name, before, allocator->blocks(), allocator->name);
}

static void close_state(lua_State *L, const struct test *test, const char *name, long before)
{
    lua_close(L);
    for (const struct exhaust_allocator *a = own; a->name != NULL; a++) {
        check_freed(a, name, before);
    }
    for (const struct exhaust_allocator *a = test->allocators; a != NULL && a->name != NULL; a++) {
        check_freed(a, name, before);
    }
}

/* Calls `open`, and keeps what it returns in the registry. */
static int open_modules(lua_State *L)
{
    lua_CFunction open = lua_tocfunction(L, 1);
    lua_newtable(L);
    lua_pushcfunction(L, open);
    lua_call(L, 0, LUA_MULTRET);
    for (int i = lua_gettop(L) - 2; i > 0; i--) {
        lua_rawseti(L, 2, i);
    }
    lua_setfield(L, LUA_REGISTRYINDEX, ARGUMENTS);
    return 0;
}

static void push_open(lua_State *L, const struct test *test)
{
    lua_pushcfunction(L, open_modules);
    lua_pushcfunction(L, test->open);
}

/* Pushes the function of a scenario and its arguments, so that the call itself needs no memory. Returns how many. */
static int push(lua_State *L, const struct exhaust_scenario *scenario)
{
    CHECK(luaL_loadbuffer(L, scenario->code, strlen(scenario->code), scenario->name) == LUA_OK, "%s",
          lua_tostring(L, -1));
    lua_getfield(L, LUA_REGISTRYINDEX, ARGUMENTS);
    const int table = lua_gettop(L), count = (int)lua_rawlen(L, table);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, table, i);
    }
    lua_remove(L, table);
    return count;
}

static const char *error_text(lua_State *L)
{
    const char *text = lua_tostring(L, -1);
    return text != NULL ? text : "no text";
}

/* ---- each allocation in turn -------------------------------------------------------------------------- */

/* Runs a scenario in a new state where the allocations after the first `before` fail. Returns nonzero if one failed. */
static int run(const struct test *test, const struct exhaust_scenario *scenario,
               const struct exhaust_allocator *allocator, long before, long failures)
{
    lua_State *L = new_state();
    push_open(L, test);
    CHECK(lua_pcall(L, 1, 0, 0) == LUA_OK, "%s", error_text(L));
    lua_pushboolean(L, allocator != own);
    lua_setglobal(L, "FAILING");
    int count = push(L, scenario);
    allocator->fail(before, failures);
    int code = lua_pcall(L, count, 0, 0);
    const int failed = allocator->failed();
    allocator->fail(-1, 0);
    CHECK(code == LUA_OK || failed, "%s: %s", scenario->name, error_text(L));
    CHECK(allocator != own || code == LUA_OK || code == LUA_ERRMEM, "%s, %ld: %s", scenario->name, before,
          error_text(L));
    CHECK(code == LUA_OK || strcmp(error_text(L), "not enough memory") == 0, "%s, %ld: %s", scenario->name, before,
          error_text(L));
    lua_settop(L, 0);
    count = push(L, scenario);
    code = lua_pcall(L, count, 0, 0);
    CHECK(code == LUA_OK, "%s, %ld: not once more: %s", scenario->name, before, error_text(L));
    close_state(L, test, scenario->name, before);
    return failed;
}

static void fail_each(const struct test *test, const struct exhaust_scenario *scenario,
                      const struct exhaust_allocator *allocator)
{
    long count = 0;
    for (long before = 0; run(test, scenario, allocator, before, ALL); before++) {
        CHECK(run(test, scenario, allocator, before, 1), "%s: allocation %ld again", scenario->name, before);
        count++;
    }
    printf("%s: %ld allocations of %s\n", scenario->name, count, allocator->name);
}

/* The modules are opened with too little memory. */
static void fail_opening(const struct test *test, const struct exhaust_allocator *allocator)
{
    int failed = 1;
    for (long before = 0; failed; before++) {
        lua_State *L = new_state();
        push_open(L, test);
        allocator->fail(before, ALL);
        const int code = lua_pcall(L, 1, 0, 0);
        failed = allocator->failed();
        allocator->fail(-1, 0);
        CHECK(code == LUA_OK || failed, "%s", error_text(L));
        lua_settop(L, 0);
        push_open(L, test);
        CHECK(lua_pcall(L, 1, 0, 0) == LUA_OK, "once more: %s", error_text(L));
        for (size_t i = 0; i < test->count; i++) {
            const int count = push(L, &test->scenarios[i]);
            CHECK(lua_pcall(L, count, 0, 0) == LUA_OK, "%s, opened again: %s", test->scenarios[i].name, error_text(L));
        }
        close_state(L, test, "open", before);
    }
}

static void test_allocator(const struct test *test, const struct exhaust_allocator *allocator)
{
    fail_opening(test, allocator);
    for (size_t i = 0; i < test->count; i++) {
        fail_each(test, &test->scenarios[i], allocator);
    }
}

void exhaust(lua_CFunction open, const struct exhaust_scenario *scenarios, size_t count,
             const struct exhaust_allocator *allocators)
{
    const struct test test = {open, scenarios, count, allocators};
    for (const struct exhaust_allocator *a = own; a->name != NULL; a++) {
        test_allocator(&test, a);
    }
    for (const struct exhaust_allocator *a = allocators; a != NULL && a->name != NULL; a++) {
        test_allocator(&test, a);
    }
}
