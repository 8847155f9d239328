/* retab.curl where there is no memory: each allocation fails in turn, of Lua's, of ours on the C heap and of libcurl's.
 */
#define _DEFAULT_SOURCE /* kill */

#include <arpa/inet.h>
#include <curl/curl.h>
#include <lauxlib.h>
#include <lua.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "exhaust.h"
#include "heap.h"

int luaopen_retab_core(lua_State *L);
int luaopen_retab_curl(lua_State *L);

/* ---- libcurl's memory -------------------------------------------------------------------------------- */

/* libcurl has a thread that resolves names. */
static _Atomic long blocks, left = -1, to_fail;
static _Atomic int failed;

static void fail_libcurl(long before, long failures)
{
    left = before;
    to_fail = failures;
    failed = 0;
}

static int libcurl_failed(void)
{
    return failed;
}

static long libcurl_blocks(void)
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

static const struct exhaust_allocator allocators[] = {
    {"libcurl", fail_libcurl, libcurl_failed, libcurl_blocks, 1},
    {NULL, NULL, NULL, NULL, 0},
};

/* ---- what is run ------------------------------------------------------------------------------------- */

/* Each is called with core, curl, the URL of a closed port, and that of one that responds with a page. */
static const struct exhaust_scenario scenarios[] = {
    {"transfer", "local _, curl, url = ...\n"
                 "local pool = curl.pool { max_connections = 1, ca_file = '/nowhere', ca_path = '/nowhere' }\n"
                 "local request = { url = url, headers = { Accept = 'application/json', Empty = '' }, timeout = 5,\n"
                 "  connect_timeout = 5, expires = 5, max_body_bytes = 1000 }\n"
                 "local transfers = {}\n"
                 "for i = 1, 3 do transfers[i] = pool:send(request) end\n"
                 "transfers[3]:cancel()\n"
                 "for i = 1, 2 do\n"
                 "  while not transfers[i]:done() do pool:wait(1) end\n"
                 "  local answer, err = transfers[i]:result()\n"
                 "  assert(answer == nil and (err.kind == 'connection' or FAILING), err and err.kind)\n"
                 "end\n"
                 "pool:close()\n"},
    {"transfer with events",
     "local _, curl, url = ...\n"
     "local pool = curl.pool { max_connections = 2, events = true, proxy = url }\n"
     "local transfer = pool:send { url = 'http://localhost/', timeout = 5, connect_timeout = 5,\n"
     "  headers = {}, expires = 5, max_body_bytes = 1000 }\n"
     "for _ = 1, 100 do\n"
     "  if pool:finished() then break end\n"
     "  pool:step()\n"
     "  assert(pool:descriptor() > 2)\n"
     "end\n"},
    {"answer", "local core, curl, _, answering = ...\n"
               "local pool = curl.pool { max_connections = 1 }\n"
               "for i = 1, 2 do\n"
               "  local transfer = pool:send { url = answering, headers = {}, timeout = 5, connect_timeout = 5,\n"
               "    expires = 5, max_body_bytes = 1000, bytes = i == 1 }\n"
               "  while not transfer:done() do pool:wait(1) end\n"
               "  local answer, err = transfer:result()\n"
               "  if not answer then assert(FAILING, err.message) return end\n"
               "  assert(core.envelope(answer.body).data[1].id == 'a' and #tostring(answer.body) == 72)\n"
               "  if i == 1 then answer.body:close() end\n"
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

static pid_t answering;

static void stop_answering(void)
{
    (void)kill(answering, SIGKILL);
}

/* Answers every connection with a page, in processes of its own, until this one ends. */
static void answer(int descriptor)
{
    static const char page[] =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 72\r\nConnection: close\r\n\r\n"
        "{\"data\":[{\"id\":\"a\",\"n\":1}],\"list_metadata\":{\"before\":null,\"after\":null}}";
    CHECK(listen(descriptor, 8) == 0, "listen");
    answering = fork();
    CHECK(answering >= 0 && (answering == 0 || atexit(stop_answering) == 0), "fork");
    (void)signal(SIGCHLD, answering == 0 ? SIG_IGN : SIG_DFL);
    while (answering == 0) {
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

static char closed_url[64], answering_url[64];

static int open_modules(lua_State *L)
{
    lua_pushcfunction(L, luaopen_retab_core);
    lua_call(L, 0, 1);
    lua_pushcfunction(L, luaopen_retab_curl);
    lua_call(L, 0, 1);
    lua_pushstring(L, closed_url);
    lua_pushstring(L, answering_url);
    return 4;
}

int main(void)
{
    CHECK(curl_global_init_mem(CURL_GLOBAL_DEFAULT, libcurl_malloc, libcurl_free, libcurl_realloc, libcurl_strdup,
                               libcurl_calloc) == CURLE_OK,
          "libcurl");
    (void)open_port(closed_url, sizeof closed_url);
    answer(open_port(answering_url, sizeof answering_url));
    exhaust(open_modules, scenarios, sizeof scenarios / sizeof *scenarios, allocators);
    curl_global_cleanup();
    return 0;
}
