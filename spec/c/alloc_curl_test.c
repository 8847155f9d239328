/* What retab.curl does if there is not enough memory: each allocation fails in turn, of Lua, of our own C code, and of
 * libcurl. Each time the call raises or fails as documented, nothing leaks, and the same state works afterwards. */
#define _DEFAULT_SOURCE /* usleep */

#include <arpa/inet.h>
#include <curl/curl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "heap.h"

int luaopen_retab_curl(lua_State *L);

/* How many allocations fail in a row, for all that follow. */
#define ALL 1000000000L

/* Milliseconds. */
#define PATIENCE 5000

/* ---- Lua's memory and libcurl's ------------------------------------------------------------------------------ */

/* What an allocator counts, and when it fails, as in heap.h. libcurl has a thread for names. */
struct account {
    _Atomic long blocks, left, to_fail;
    size_t bytes;
    _Atomic int failed;
};

static void fail_at(struct account *account, long before, long failures)
{
    account->left = before;
    account->to_fail = failures;
    account->failed = 0;
}

static int fails(struct account *account)
{
    if (account->left < 0 || account->left-- > 0) {
        return 0;
    }
    account->left = --account->to_fail > 0 ? 0 : -1;
    account->failed = 1;
    return 1;
}

static void *lua_memory(void *context, void *block, size_t old_size, size_t size)
{
    struct account *account = context;
    const size_t old = block != NULL ? old_size : 0;
    if (size == 0) {
        heap_system_free(block);
        account->bytes -= old;
        return NULL;
    }
    if (size > old && fails(account)) {
        return NULL;
    }
    void *moved = heap_system_realloc(block, size);
    CHECK(moved != NULL, "there is memory");
    account->bytes += size - old;
    return moved;
}

static struct account curl_account = {.left = -1};

static void *libcurl_malloc(size_t size)
{
    void *block = fails(&curl_account) ? NULL : heap_system_realloc(NULL, size);
    curl_account.blocks += block != NULL;
    return block;
}

static void libcurl_free(void *block)
{
    curl_account.blocks -= block != NULL;
    heap_system_free(block);
}

static void *libcurl_realloc(void *block, size_t size)
{
    void *moved = fails(&curl_account) ? NULL : heap_system_realloc(block, size);
    curl_account.blocks += block == NULL && moved != NULL;
    return moved;
}

static char *libcurl_strdup(const char *text)
{
    char *copy = libcurl_malloc(strlen(text) + 1);
    return copy != NULL ? strcpy(copy, text) : NULL;
}

static void *libcurl_calloc(size_t count, size_t size)
{
    void *block = libcurl_malloc(count * size);
    return block != NULL ? memset(block, 0, count * size) : NULL;
}

/* ---- what is run --------------------------------------------------------------------------------------------- */

struct scenario {
    const char *name, *code;
};

/* Each is called with retab.curl, the URL of a closed port, and that of a server that sends a page. FAILING: the
 * allocations of C allocations fail, so a missing response is no error. */
static const struct scenario scenarios[] = {
    {"a refused connection",
     "local curl, url = ...\n"
     "local pool = curl.pool { max_connections = 1, ca_file = '/nowhere', ca_path = '/nowhere' }\n"
     "local request = { url = url, headers = { Accept = 'application/json', Empty = '' }, timeout = 5,\n"
     "  connect_timeout = 5, expires = 5, max_body_bytes = 1000 }\n"
     "local transfers = {}\n"
     "for i = 1, 3 do\n"
     "  local transfer, err = pool:send(request)\n"
     "  if not transfer then assert(FAILING, err.message) return end\n"
     "  transfers[i] = transfer\n"
     "end\n"
     "transfers[3]:cancel()\n"
     "for i = 1, 2 do\n"
     "  while not transfers[i]:done() do pool:wait(1) end\n"
     "  local response, err = transfers[i]:result()\n"
     "  assert(response == nil and (err.kind == 'connection' or FAILING), err and err.kind)\n"
     "end\n"
     "pool:close()\n"},
    {"a proxy, with events", "local curl, url = ...\n"
                             "local pool = curl.pool { max_connections = 2, events = true, proxy = url }\n"
                             "local transfer, err = pool:send { url = 'http://localhost/', timeout = 5,\n"
                             "  connect_timeout = 5, headers = {}, expires = 5, max_body_bytes = 1000 }\n"
                             "if not transfer then assert(FAILING, err.message) return end\n"
                             "for _ = 1, 100 do\n"
                             "  if pool:finished() then break end\n"
                             "  pool:step()\n"
                             "  assert(pool:descriptor() > 2)\n"
                             "end\n"},
    {"a response", "local curl, _, url = ...\n"
                   "local pool = curl.pool { max_connections = 1 }\n"
                   "for i = 1, 2 do\n"
                   "  local transfer, err = pool:send { method = i == 1 and 'GET' or 'POST', url = url,\n"
                   "    body = i == 2 and '{}' or nil, headers = {}, timeout = 5, connect_timeout = 5, expires = 5,\n"
                   "    max_body_bytes = 1000, bytes = i == 1, direct = true }\n"
                   "  if not transfer then assert(FAILING, err.message) return end\n"
                   "  while not transfer:done() do pool:wait(1) end\n"
                   "  local response, problem = transfer:result()\n"
                   "  if not response then assert(FAILING, problem.message) return end\n"
                   "  assert(#tostring(response.body) == 72 and response.headers['x-many'] == 'a, b, c')\n"
                   "  if i == 1 then response.body:close() end\n"
                   "end\n"
                   "pool:close()\n"},
};

#define SCENARIOS (sizeof scenarios / sizeof *scenarios)

/* A port of this machine, and its socket: bound, so that nothing else gets it. */
static int open_port(char *url, size_t room)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(descriptor >= 0, "socket");
    CHECK(bind(descriptor, (struct sockaddr *)(void *)&address, sizeof address) == 0, "bind");
    CHECK(getsockname(descriptor, (struct sockaddr *)(void *)&address, &size) == 0, "getsockname");
    (void)snprintf(url, room, "http://127.0.0.1:%u/", (unsigned)ntohs(address.sin_port));
    return descriptor;
}

static pid_t serving;

static void stop_serving(void)
{
    (void)kill(serving, SIGKILL);
}

/* Sends a page to every client, in processes of its own, until this one ends. */
static void serve(int descriptor)
{
    static const char page[] =
        "HTTP/1.1 200 OK\r\nX-Many: a\r\nX-Many: b\r\nx-many: c\r\nContent-Length: 72\r\nConnection: close\r\n\r\n"
        "{\"data\":[{\"id\":\"a\",\"n\":1}],\"list_metadata\":{\"before\":null,\"after\":null}}";
    CHECK(listen(descriptor, 8) == 0, "listen");
    serving = fork();
    CHECK(serving >= 0 && (serving == 0 || atexit(stop_serving) == 0), "fork");
    (void)signal(SIGCHLD, serving == 0 ? SIG_IGN : SIG_DFL);
    while (serving == 0) {
        const int connection = accept(descriptor, NULL, NULL);
        if (fork() == 0) { /* one of its own each: some never send anything */
            char request[4096];
            if (read(connection, request, sizeof request) > 0) {
                (void)!write(connection, page, sizeof page - 1);
            }
            _exit(0);
        }
        (void)close(connection);
    }
}

static char closed_url[64], serving_url[64];

/* Opens the module and leaves it in the registry. */
static int open_module(lua_State *L)
{
    lua_pushcfunction(L, luaopen_retab_curl);
    lua_call(L, 0, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "curl");
    return 0;
}

/* Pushes a scenario's function and its arguments, so that calling it takes no memory. */
static void push(lua_State *L, const struct scenario *scenario)
{
    CHECK(luaL_loadbuffer(L, scenario->code, strlen(scenario->code), scenario->name) == LUA_OK, "%s",
          lua_tostring(L, -1));
    lua_getfield(L, LUA_REGISTRYINDEX, "curl");
    lua_pushstring(L, closed_url);
    lua_pushstring(L, serving_url);
}

/* ---- each allocation in turn --------------------------------------------------------------------------------- */

enum whose { LUA, OURS, CURLS, WHOSE };
static const char *const whose_names[] = {"Lua", "the C heap", "libcurl"};

static void start_failing(enum whose whose, struct account *account, long before, long failures)
{
    if (whose == OURS) {
        heap_fail(before, failures);
    } else {
        fail_at(whose == LUA ? account : &curl_account, before, failures);
    }
}

static int stop_failing(enum whose whose, struct account *account)
{
    struct account *const other = whose == LUA ? account : &curl_account;
    const int failed = whose == OURS ? heap_failed() : other->failed;
    if (whose == OURS) {
        heap_fail(-1, 0);
    } else {
        other->left = -1;
    }
    return failed;
}

static lua_State *new_state(struct account *account)
{
    luaL_Buffer large;
    *account = (struct account){.left = -1};
    lua_State *L = lua_newstate(lua_memory, account);
    CHECK(L != NULL, "a new state");
    luaL_openlibs(L);
    /* Lua 5.4.4 keeps half a metatable for its large buffers if memory ends while it makes that */
    (void)luaL_buffinitsize(L, &large, 2 * LUAL_BUFFERSIZE);
    luaL_pushresultsize(&large, 0);
    lua_pop(L, 1);
    return L;
}

static void close_state(lua_State *L, const struct account *account, const char *name, long before)
{
    lua_close(L);
    CHECK(account->bytes == 0, "%s, %ld: %zu bytes of Lua's are left", name, before, account->bytes);
    CHECK(heap_blocks() == 0, "%s, %ld: %ld blocks are left", name, before, heap_blocks());
    for (int i = 0; i < PATIENCE && curl_account.blocks != 0; i++) {
        (void)usleep(1000); /* a thread of libcurl's resolver may be about to end */
    }
    CHECK(curl_account.blocks == 0, "%s, %ld: %ld blocks of libcurl's are left", name, before, curl_account.blocks);
}

static const char *error_text(lua_State *L)
{
    const char *text = lua_tostring(L, -1);
    return text != NULL ? text : "no text";
}

/* Runs a scenario in a new state, where the allocations after the first `before` fail. Returns nonzero if one failed.
 */
static int run(const struct scenario *scenario, enum whose whose, long before, long failures)
{
    struct account account;
    lua_State *L = new_state(&account);
    lua_pushcfunction(L, open_module);
    CHECK(lua_pcall(L, 0, 0, 0) == LUA_OK, "%s", error_text(L));
    lua_pushboolean(L, whose != LUA);
    lua_setglobal(L, "FAILING");
    push(L, scenario);
    start_failing(whose, &account, before, failures);
    int code = lua_pcall(L, 3, 0, 0);
    const int failed = stop_failing(whose, &account);
    CHECK(code == LUA_OK || failed, "%s: %s", scenario->name, error_text(L));
    CHECK(whose != LUA || code == LUA_OK || code == LUA_ERRMEM, "%s, %ld: %s", scenario->name, before, error_text(L));
    CHECK(whose != OURS || code == LUA_OK || strstr(error_text(L), "memory") != NULL, "%s, %ld: %s", scenario->name,
          before, error_text(L));
    lua_settop(L, 0);
    push(L, scenario);
    code = lua_pcall(L, 3, 0, 0);
    CHECK(code == LUA_OK, "%s, %ld: not once more: %s", scenario->name, before, error_text(L));
    close_state(L, &account, scenario->name, before);
    return failed;
}

/* All allocations from one on fail; or that one alone, which Lua tries again after a collection. */
static void fail_each(const struct scenario *scenario, enum whose whose)
{
    long count = 0;
    for (long before = 0; run(scenario, whose, before, ALL); before++) {
        CHECK(run(scenario, whose, before, 1), "%s: allocation %ld again", scenario->name, before);
        count++;
    }
    printf("%s: %ld allocations of %s\n", scenario->name, count, whose_names[whose]);
}

/* The module is opened with too little memory. */
static void test_opening(enum whose whose)
{
    int failed = 1;
    for (long before = 0; failed; before++) {
        struct account account;
        lua_State *L = new_state(&account);
        lua_pushcfunction(L, open_module);
        start_failing(whose, &account, before, ALL);
        const int code = lua_pcall(L, 0, 0, 0);
        failed = stop_failing(whose, &account);
        CHECK(code == LUA_OK || failed, "%s", error_text(L));
        lua_settop(L, 0);
        lua_pushcfunction(L, open_module);
        CHECK(lua_pcall(L, 0, 0, 0) == LUA_OK, "once more: %s", error_text(L));
        for (size_t i = 0; i < SCENARIOS; i++) {
            push(L, &scenarios[i]);
            CHECK(lua_pcall(L, 3, 0, 0) == LUA_OK, "%s, opened again: %s", scenarios[i].name, error_text(L));
        }
        close_state(L, &account, "open", before);
    }
}

int main(void)
{
    CHECK(curl_global_init_mem(CURL_GLOBAL_DEFAULT, libcurl_malloc, libcurl_free, libcurl_realloc, libcurl_strdup,
                               libcurl_calloc) == CURLE_OK,
          "libcurl");
    (void)open_port(closed_url, sizeof closed_url);
    serve(open_port(serving_url, sizeof serving_url));
    for (int whose = LUA; whose < WHOSE; whose++) {
        test_opening((enum whose)whose);
        for (size_t i = 0; i < SCENARIOS; i++) {
            fail_each(&scenarios[i], (enum whose)whose);
        }
    }
    curl_global_cleanup();
    return 0;
}
