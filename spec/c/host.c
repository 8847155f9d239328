/* The stand-alone interpreter of Lua 5.4, as far as specs need it: for builds with sanitizers, which must be part of
 * the program itself. It is stricter in two ways: os.exit closes the state, so that memory that is left is a leak, and
 * an error in a finalizer makes the program fail.
 *
 *     host [-e CHUNK]... [SCRIPT [ARG...]]
 *
 * With RETAB_HOST_STRESS=n in the environment, the allocation of every n-th object fails once: Lua then collects all
 * garbage at that point and tries again. Such a collection runs no finalizers; spec/hostile.lua runs them. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct host {
    long every, left; /* of the objects; every 0: none fails */
    int finalizer_failed;
};

static void *memory(void *context, void *block, size_t old_size, size_t size)
{
    struct host *host = context;
    if (size == 0) {
        free(block);
        return NULL;
    }
    /* for a new object, and only then, old_size is its type */
    if (host->every > 0 && block == NULL && old_size != 0 && --host->left == 0) {
        host->left = host->every;
        return NULL;
    }
    return realloc(block, size);
}

/* By itself Lua warns only of errors in finalizers. A message that begins with @ is a control message. */
static void warn(void *context, const char *message, int to_be_continued)
{
    struct host *host = context;
    if (*message != '@') {
        host->finalizer_failed = 1;
        fprintf(stderr, "%s%s", message, to_be_continued ? "" : "\n");
    }
}

static int trace(lua_State *L)
{
    const char *message = lua_tostring(L, 1);
    luaL_traceback(L, L, message != NULL ? message : luaL_tolstring(L, 1, NULL), 1);
    return 1;
}

/* os.exit([code]): the state is closed whatever the second argument says. */
static int exit_closing(lua_State *L)
{
    lua_settop(L, 1);
    lua_pushboolean(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 2, 0);
    return 0;
}

/* Calls the chunk on top with the arguments from `from` on. */
static void run(lua_State *L, int count, char **arguments, int from)
{
    luaL_checkstack(L, count, "arguments");
    for (int i = from; i < count; i++) {
        lua_pushstring(L, arguments[i]);
    }
    lua_call(L, count > from ? count - from : 0, 0);
}

static int main_chunk(lua_State *L)
{
    const int count = (int)lua_tointeger(L, 1);
    char **arguments = lua_touserdata(L, 2);
    int script = 1;
    luaL_openlibs(L);
    lua_getglobal(L, "os");
    lua_getfield(L, -1, "exit");
    lua_pushcclosure(L, exit_closing, 1);
    lua_setfield(L, -2, "exit");
    while (script + 1 < count && strcmp(arguments[script], "-e") == 0) {
        script += 2;
    }
    lua_newtable(L);
    for (int i = 0; i < count; i++) {
        lua_pushstring(L, arguments[i]);
        lua_rawseti(L, -2, i - script);
    }
    lua_setglobal(L, "arg");
    for (int i = 1; i < script; i += 2) {
        if (luaL_loadbuffer(L, arguments[i + 1], strlen(arguments[i + 1]), "=(command line)") != LUA_OK) {
            return lua_error(L);
        }
        run(L, 0, arguments, 0);
    }
    if (script < count || script == 1) {
        if (luaL_loadfile(L, script < count && strcmp(arguments[script], "-") != 0 ? arguments[script] : NULL) !=
            LUA_OK) {
            return lua_error(L);
        }
        run(L, count, arguments, script + 1);
    }
    return 0;
}

int main(int count, char **arguments)
{
    static struct host host;
    const char *stress = getenv("RETAB_HOST_STRESS");
    lua_State *L = lua_newstate(memory, &host);
    if (L == NULL) {
        fprintf(stderr, "not enough memory\n");
        return EXIT_FAILURE;
    }
    host.every = host.left = stress != NULL ? atol(stress) : 0;
    lua_setwarnf(L, warn, &host);
    lua_pushcfunction(L, trace);
    lua_pushcfunction(L, main_chunk);
    lua_pushinteger(L, count);
    lua_pushlightuserdata(L, arguments);
    const int code = lua_pcall(L, 2, 0, 1);
    if (code != LUA_OK) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
    }
    lua_close(L);
    return code == LUA_OK && !host.finalizer_failed ? EXIT_SUCCESS : EXIT_FAILURE;
}
