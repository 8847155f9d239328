/* Counts the calls of the C heap: those of the library's own sources, which are linked into this program with wrapped
 * allocators, and those of libcurl. Lua's own memory is not counted.
 *
 *     allocations SCRIPT ARG...      -- runs a Lua script with a global `allocations() -> ours, libcurl's` */
#include <curl/curl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int luaopen_retab_core(lua_State *L);
int luaopen_retab_curl(lua_State *L);

/* The linker replaces x with __wrap_x; __real_x is the original. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *text);

static long ours, libcurls;

void *__wrap_malloc(size_t size)
{
    ours++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    ours++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    ours++;
    return __real_realloc(block, size);
}

char *__wrap_strdup(const char *text)
{
    ours++;
    return __real_strdup(text);
}

static void *libcurl_malloc(size_t size)
{
    libcurls++;
    return __real_malloc(size);
}

static void *libcurl_realloc(void *block, size_t size)
{
    libcurls++;
    return __real_realloc(block, size);
}

static char *libcurl_strdup(const char *text)
{
    libcurls++;
    return __real_strdup(text);
}

static void *libcurl_calloc(size_t count, size_t size)
{
    libcurls++;
    return __real_calloc(count, size);
}

static void *lua_memory(void *context, void *block, size_t old_size, size_t size)
{
    (void)context;
    (void)old_size;
    if (size == 0) {
        free(block);
        return NULL;
    }
    return __real_realloc(block, size);
}

static int allocations(lua_State *L)
{
    lua_pushinteger(L, ours);
    lua_pushinteger(L, libcurls);
    return 2;
}

static void preload(lua_State *L, const char *name, lua_CFunction open)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    lua_pushcfunction(L, open);
    lua_setfield(L, -2, name);
    lua_pop(L, 2);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: allocations SCRIPT ARG...\n");
        return 2;
    }
    curl_global_init_mem(CURL_GLOBAL_DEFAULT, libcurl_malloc, free, libcurl_realloc, libcurl_strdup, libcurl_calloc);
    lua_State *L = lua_newstate(lua_memory, NULL);
    luaL_openlibs(L);
    preload(L, "retab.core", luaopen_retab_core);
    preload(L, "retab.curl", luaopen_retab_curl);
    lua_register(L, "allocations", allocations);
    int failed = luaL_loadfile(L, argv[1]);
    for (int i = 2; i < argc && !failed; i++) {
        lua_pushstring(L, argv[i]);
    }
    if (failed || lua_pcall(L, argc - 2, 0, 0) != LUA_OK) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        return 1;
    }
    lua_close(L);
    curl_global_cleanup();
    return 0;
}
