/* What retab.curl does if there is not enough memory: each allocation fails in turn, of Lua, of our own C code, and of
 * libcurl. Each time the call raises or fails as documented, nothing leaks, and the same state works afterwards. */
#define _DEFAULT_SOURCE /* kill */

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
#include "exhaust.h"
#include "heap.h"

int luaopen_retab_curl(lua_State *L);

/* ---- libcurl's memory ---------------------------------------------------------------------------------------- */

/* As in heap.h. Atomic, since libcurl has a thread for names. */
static _Atomic long blocks, left = -1, to_fail;
static _Atomic int failed;

static void fail(long before, long failures)
{
    left = before;
    to_fail = failures;
    failed = 0;
}

static int has_failed(void)
{
    return failed;
}

static long count(void)
{
    return blocks;
}

static int fails(void)
{
    if (left < 0 || left-- > 0) {
        return 0;
    }
    left = --to_fail > 0 ? 0 : -1;
    failed = 1;
    return 1;
}

static void *libcurl_malloc(size_t size)
{
    void *block = fails() ? NULL : heap_system_realloc(NULL, size);
    blocks += block != NULL;
    return block;
}

static void libcurl_free(void *block)
{
    blocks -= block != NULL;
    heap_system_free(block);
}

static void *libcurl_realloc(void *block, size_t size)
{
    void *moved = fails() ? NULL : heap_system_realloc(block, size);
    blocks += block == NULL && moved != NULL;
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

/* Each is called with retab.curl, the URL of a closed port, and that of a server that sends a page. FAILING
 * (exhaust.h): a missing response is no error. */
static const struct exhaust_scenario scenarios[] = {
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
                             "  if transfer:done() then break end\n"
                             "  pool:step()\n"
                             "  assert(pool:descriptor() > 2)\n"
                             "end\n"},
    {"a response", "local curl, _, url = ...\n"
                   "local pool = curl.pool { max_connections = 1 }\n"
                   "for i = 1, 2 do\n"
                   "  local transfer, err = pool:send { method = i == 1 and 'GET' or 'POST', url = url,\n"
                   "    body = i == 2 and '{}' or nil, headers = {}, timeout = 5, connect_timeout = 5, expires = 5,\n"
                   "    max_body_bytes = 1000, direct = true }\n"
                   "  if not transfer then assert(FAILING, err.message) return end\n"
                   "  while not transfer:done() do pool:wait(1) end\n"
                   "  local response, problem = transfer:result()\n"
                   "  if not response then assert(FAILING, problem.message) return end\n"
                   "  assert(#response.body == 72 and response.headers:find 'X%-Many: b\\r\\nx%-many: c')\n"
                   "end\n"
                   "pool:close()\n"},
};

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

static int open_module(lua_State *L)
{
    lua_pushcfunction(L, luaopen_retab_curl);
    lua_call(L, 0, 1);
    lua_pushstring(L, closed_url);
    lua_pushstring(L, serving_url);
    return 3;
}

int main(void)
{
    static const struct exhaust_allocator libcurl[] = {{"libcurl", fail, has_failed, count, 1},
                                                       {NULL, NULL, NULL, NULL, 0}};
    CHECK(curl_global_init_mem(CURL_GLOBAL_DEFAULT, libcurl_malloc, libcurl_free, libcurl_realloc, libcurl_strdup,
                               libcurl_calloc) == CURLE_OK,
          "libcurl");
    (void)open_port(closed_url, sizeof closed_url);
    serve(open_port(serving_url, sizeof serving_url));
    exhaust(open_module, scenarios, sizeof scenarios / sizeof *scenarios, libcurl);
    curl_global_cleanup();
    return 0;
}
