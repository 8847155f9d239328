/* A program that carries Lua and both C modules of retab, and runs scripts in a sandbox: without io, os and debug, with
 * a limit of memory, and with `require` for the library only.
 *
 *     cc -o sandbox examples/embed/sandbox.c csrc/core/[a-z]*.c csrc/curl/[a-z]*.c \
 *       $(pkg-config --cflags --libs lua5.4 libcurl) -lm
 *     RETAB_API_KEY=... ./sandbox lua examples/embed/runs.lua exp_abc
 *
 * The first argument is the directory that holds the library's Lua files, here `lua` of the checkout. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

/* The two C modules are linked into the program: a header is not needed for the functions that open them. */
int luaopen_retab_core(lua_State *L);
int luaopen_retab_curl(lua_State *L);

/* It bounds the memory of Lua. The option max_body_bytes bounds what libcurl receives, which is outside of it. */
#define MEMORY_LIMIT ((size_t)64 * 1024 * 1024)

struct budget {
    size_t used, limit;
};

/* An allocator with a limit (lua_Alloc). Where it returns NULL, Lua collects its garbage, tries once more, and then
 * raises "not enough memory", which leaves the state usable. */
static void *allocate(void *context, void *block, size_t old_size, size_t size)
{
    struct budget *budget = context;
    if (block == NULL) {
        old_size = 0; /* for a new block it is the type of the object */
    }
    if (size == 0) {
        free(block);
        budget->used -= old_size;
        return NULL;
    }
    if (size > old_size && size - old_size > budget->limit - budget->used) {
        return NULL;
    }
    void *moved = realloc(block, size);
    if (moved != NULL) {
        budget->used = budget->used - old_size + size;
    }
    return moved;
}

/* Opens the libraries that can reach neither files nor other programs, and the two modules of retab. */
static void open_libraries(lua_State *L, const char *directory)
{
    static const luaL_Reg libraries[] = {{LUA_GNAME, luaopen_base},          {LUA_LOADLIBNAME, luaopen_package},
                                         {LUA_COLIBNAME, luaopen_coroutine}, {LUA_TABLIBNAME, luaopen_table},
                                         {LUA_STRLIBNAME, luaopen_string},   {LUA_MATHLIBNAME, luaopen_math},
                                         {LUA_UTF8LIBNAME, luaopen_utf8},    {NULL, NULL}};
    for (const luaL_Reg *library = libraries; library->name != NULL; library++) {
        luaL_requiref(L, library->name, library->func, 1);
        lua_pop(L, 1);
    }
    /* `require "retab.core"` calls what is in package.preload: no shared object is looked for. */
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_retab_core);
    lua_setfield(L, -2, "retab.core");
    lua_pushcfunction(L, luaopen_retab_curl);
    lua_setfield(L, -2, "retab.curl");
    lua_getglobal(L, "package");
    lua_pushfstring(L, "%s/?.lua;%s/?/init.lua", directory, directory);
    lua_setfield(L, -2, "path");
    lua_pop(L, 2);
}

/* Takes away what could read files or load machine code. `require` keeps two ways to find a module: package.preload,
 * and the library's directory, which no script can change. */
static const char restrict_globals[] = "local searchers = package.searchers\n"
                                       "searchers[3], searchers[4] = nil, nil\n" /* shared objects */
                                       "package.loaded.package = nil\n"          /* which `require` would return */
                                       "package, dofile, loadfile = nil, nil, nil\n"
                                       "local load = load\n" /* text only: bytecode can crash Lua */
                                       "function _G.load(chunk, name, _, ...) return load(chunk, name, 't', ...) end\n";

/* main's part under lua_pcall. The arguments are the directory, the script, and those of the script. */
static int run(lua_State *L)
{
    const int last = lua_gettop(L);
    open_libraries(L, luaL_checkstring(L, 1));
    if (luaL_dostring(L, restrict_globals) || luaL_loadfilex(L, luaL_checkstring(L, 2), "t")) {
        return lua_error(L);
    }
    /* The script gets the key and the base URL as arguments: a sandbox has no environment variables. */
    luaL_checkstack(L, last, NULL);
    lua_pushstring(L, getenv("RETAB_API_KEY"));
    lua_pushstring(L, getenv("RETAB_API_BASE_URL"));
    for (int i = 3; i <= last; i++) {
        lua_pushvalue(L, i);
    }
    lua_call(L, last, 0);
    return 0;
}

/* Makes a string of what a script raised. An error object of retab has __tostring. */
static int describe(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s LUA_DIRECTORY SCRIPT [ARGUMENT...]\n", argv[0]);
        return 2;
    }
    struct budget budget = {0, MEMORY_LIMIT};
    lua_State *L = lua_newstate(allocate, &budget);
    if (L == NULL) {
        fprintf(stderr, "%s: not enough memory\n", argv[0]);
        return 1;
    }
    luaL_checkstack(L, argc + 1, NULL);
    lua_pushcfunction(L, describe);
    lua_pushcfunction(L, run);
    for (int i = 1; i < argc; i++) {
        lua_pushstring(L, argv[i]);
    }
    const int status = lua_pcall(L, argc - 1, 0, 1);
    if (status != LUA_OK) {
        const char *message = lua_tostring(L, -1);
        fprintf(stderr, "%s: %s\n", argv[0], message != NULL ? message : "an error without a message");
    }
    lua_close(L);
    return status == LUA_OK ? 0 : 1;
}
