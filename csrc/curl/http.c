#define _GNU_SOURCE /* dladdr */

#include "http.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define POOL "retab.curl.pool"
#define TRANSFER "retab.curl.transfer"

/* More of an answer's header than this is refused: nothing honest comes near. */
#define HEADER_BYTES ((size_t)256 * 1024)

/* A larger body buffer is not kept for the next transfer. */
#define KEPT_BYTES ((size_t)1024 * 1024)

/* Microseconds. A signal such as Ctrl-C is seen by Lua when a wait ends, if it did not end it itself. */
#define LONGEST_WAIT ((int64_t)1000000)
#define NEVER INT64_MAX

struct buffer {
    char *bytes;
    size_t length, room;
};

/* What a transfer works with, and leaves to the next one. */
struct kit {
    CURL *easy;
    struct curl_slist *headers; /* of the request */
    struct buffer header, body; /* of the answer */
    struct kit *next;           /* of the pool's spare ones */
};

enum state { IDLE, QUEUED, RUNNING, DONE };

struct transfer {
    struct pool *pool; /* NULL: it was cancelled, or the pool closed */
    struct transfer *previous, *next;
    struct kit *kit;
    lua_Integer id;
    enum state state;
    int64_t timeout, since, expires; /* microseconds: its span, and from and until when it counts */
    size_t max_body;
    int too_large, reported;
    CURLcode code;
    int timed_out;
    char error[CURL_ERROR_SIZE];
};

/* One thing that libcurl wants of the host's event loop. CLOSE is ours: the loop has to let go of a socket
 * before it is closed, since another may get its number. */
struct change {
    curl_socket_t socket;
    int what;
};

#define CLOSE (CURL_POLL_REMOVE + 1)

struct pool {
    CURLM *multi; /* NULL: closed */
    struct transfer *first, *last; /* in the order in which they were sent */
    struct kit *spare;
    int spares, running, max_connections, events;
    lua_Integer ids, connections;
    int64_t due;  /* when libcurl's timer wants a step; NEVER */
    int64_t left; /* when `wait` was left last */
    struct change *changes;
    size_t change_count, change_at, change_room;
    char *ca_file, *ca_path, *proxy;
};

/* ---- time and memory ------------------------------------------------------------------------------- */

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* Microseconds, of seconds that may be anything. */
static int64_t microseconds(lua_Number seconds)
{
    if (!(seconds > 0)) {
        return 0;
    }
    return seconds > 1e9 ? (int64_t)1000000 * 1000000000 : (int64_t)(seconds * 1e6);
}

/* Whether there is room for `more` bytes behind those that are there. */
static int reserve(struct buffer *buffer, size_t more)
{
    const size_t need = buffer->length + more;
    if (need <= buffer->room) {
        return 1;
    }
    const size_t room = need > buffer->room * 2 ? need : buffer->room * 2;
    char *larger = realloc(buffer->bytes, room);
    if (larger == NULL) {
        return 0;
    }
    buffer->bytes = larger;
    buffer->room = room;
    return 1;
}

static int append(struct buffer *buffer, const char *bytes, size_t length)
{
    if (!reserve(buffer, length)) {
        return 0;
    }
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    return 1;
}

static void free_kit(struct kit *kit)
{
    curl_easy_cleanup(kit->easy);
    curl_slist_free_all(kit->headers);
    free(kit->header.bytes);
    free(kit->body.bytes);
    free(kit);
}

/* ---- libcurl's callbacks: no Lua here ---------------------------------------------------------------- */

static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    struct buffer *header = &transfer->kit->header;
    const size_t length = size * count;
    if (length >= 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        header->length = 0; /* what came before was an interim answer */
        return length;
    }
    if (header->length + length > HEADER_BYTES) {
        transfer->too_large = 1;
        return 0;
    }
    return append(header, bytes, length) ? length : 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    struct buffer *body = &transfer->kit->body;
    const size_t length = size * count;
    if (length > transfer->max_body - body->length) {
        transfer->too_large = 1;
        return 0;
    }
    if (body->length == 0) {
        curl_off_t expected = -1;
        curl_easy_getinfo(transfer->kit->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &expected);
        if (expected > 0 && (uint64_t)expected <= transfer->max_body && !reserve(body, (size_t)expected)) {
            return 0;
        }
    }
    return append(body, bytes, length) ? length : 0;
}

static int note_change(struct pool *pool, curl_socket_t socket, int what)
{
    if (pool->change_count == pool->change_room) {
        const size_t room = pool->change_room == 0 ? 16 : pool->change_room * 2;
        struct change *larger = realloc(pool->changes, room * sizeof *larger);
        if (larger == NULL) {
            return -1;
        }
        pool->changes = larger;
        pool->change_room = room;
    }
    pool->changes[pool->change_count++] = (struct change){socket, what};
    return 0;
}

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *assigned)
{
    (void)easy;
    (void)assigned;
    return note_change(context, socket, what);
}

static int on_close(void *context, curl_socket_t socket)
{
    struct pool *pool = context;
    if (pool->multi == NULL || note_change(pool, socket, CLOSE) != 0) {
        close(socket);
    }
    return 0;
}

static int on_timer(CURLM *multi, long milliseconds, void *context)
{
    struct pool *pool = context;
    (void)multi;
    pool->due = milliseconds < 0 ? NEVER : now() + (int64_t)milliseconds * 1000;
    return 0;
}

/* Closes the socket of the change that was handed out last, if it is to be closed. */
static void close_changed(struct pool *pool)
{
    if (pool->change_at > 0 && pool->changes[pool->change_at - 1].what == CLOSE) {
        close(pool->changes[pool->change_at - 1].socket);
        pool->changes[pool->change_at - 1].what = CURL_POLL_REMOVE;
    }
}

/* ---- the life of a transfer ------------------------------------------------------------------------ */

static void link_transfer(struct pool *pool, struct transfer *transfer)
{
    transfer->pool = pool;
    transfer->previous = pool->last;
    transfer->next = NULL;
    *(pool->last != NULL ? &pool->last->next : &pool->first) = transfer;
    pool->last = transfer;
}

static void unlink_transfer(struct transfer *transfer)
{
    struct pool *pool = transfer->pool;
    *(transfer->previous != NULL ? &transfer->previous->next : &pool->first) = transfer->next;
    *(transfer->next != NULL ? &transfer->next->previous : &pool->last) = transfer->previous;
    transfer->pool = NULL;
}

/* Takes a transfer off the network; its answer, if there is one, stays. */
static void stop(struct transfer *transfer)
{
    if (transfer->state == RUNNING) {
        long opened = 0;
        curl_easy_getinfo(transfer->kit->easy, CURLINFO_NUM_CONNECTS, &opened);
        curl_multi_remove_handle(transfer->pool->multi, transfer->kit->easy);
        transfer->pool->connections += (lua_Integer)opened;
        transfer->pool->running--;
    }
    transfer->state = DONE;
}

/* The one closer of a transfer, in whatever state: nothing is left of it but its result. */
static void drop(struct transfer *transfer)
{
    struct pool *pool = transfer->pool;
    if (pool == NULL) {
        return;
    }
    stop(transfer);
    unlink_transfer(transfer);
    struct kit *kit = transfer->kit;
    transfer->kit = NULL;
    if (kit == NULL) {
        return;
    }
    if (kit->easy == NULL || pool->multi == NULL || pool->spares >= pool->max_connections ||
        kit->body.room > KEPT_BYTES) {
        free_kit(kit);
        return;
    }
    curl_easy_reset(kit->easy);
    curl_slist_free_all(kit->headers);
    kit->headers = NULL;
    kit->next = pool->spare;
    pool->spare = kit;
    pool->spares++;
}

static void finish(struct transfer *transfer, CURLcode code)
{
    stop(transfer);
    transfer->code = code;
}

/* Puts queued transfers onto the network, as many as there may be connections. Whether there were any. */
static int start_queued(struct pool *pool)
{
    int started = 0;
    for (struct transfer *transfer = pool->first; transfer != NULL && pool->running < pool->max_connections;
         transfer = transfer->next) {
        if (transfer->state != QUEUED) {
            continue;
        }
        const CURLMcode code = curl_multi_add_handle(pool->multi, transfer->kit->easy);
        if (code != CURLM_OK) {
            finish(transfer, CURLE_OUT_OF_MEMORY);
            continue;
        }
        transfer->state = RUNNING;
        transfer->since = now();
        if (transfer->timeout < transfer->expires - transfer->since) {
            transfer->expires = transfer->since + transfer->timeout;
        }
        pool->running++;
        started = 1;
    }
    return started;
}

/* Notes which transfers have ended, and which have run out of time. Whether there were any. */
static int harvest(struct pool *pool)
{
    int left, ended = 0;
    CURLMsg *message;
    while ((message = curl_multi_info_read(pool->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            struct transfer *transfer = NULL;
            const CURLcode code = message->data.result;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
            finish(transfer, code);
            ended = 1;
        }
    }
    const int64_t time = now();
    for (struct transfer *transfer = pool->first; transfer != NULL; transfer = transfer->next) {
        if (transfer->state != DONE && time >= transfer->expires) {
            transfer->timed_out = 1;
            finish(transfer, CURLE_OPERATION_TIMEDOUT);
            ended = 1;
        }
    }
    return ended;
}

/* Lets libcurl do what it can do now without waiting, on `socket` or, where that is CURL_SOCKET_TIMEOUT, on
 * whatever is due. Whether a transfer ended. */
static int step(struct pool *pool, curl_socket_t socket, int events)
{
    int running, ended = 0;
    do {
        if (!pool->events) {
            curl_multi_perform(pool->multi, &running);
        } else {
            if (socket == CURL_SOCKET_TIMEOUT) {
                pool->due = NEVER; /* unless libcurl sets it anew */
            }
            curl_multi_socket_action(pool->multi, socket, events, &running);
            socket = CURL_SOCKET_TIMEOUT;
            events = 0;
        }
        ended |= harvest(pool);
    } while (start_queued(pool));
    return ended;
}

/* The microseconds until a step is due by the clock, or NEVER where nothing is under way. */
static int64_t until_due(const struct pool *pool)
{
    int64_t due = NEVER;
    for (const struct transfer *transfer = pool->first; transfer != NULL; transfer = transfer->next) {
        if (transfer->state != DONE && transfer->expires < due) {
            due = transfer->expires;
        }
    }
    if (due == NEVER) {
        return NEVER;
    }
    due = pool->events && pool->due < due ? pool->due : due;
    const int64_t time = now();
    return due > time ? due - time : 0;
}

/* ---- Lua: the pool --------------------------------------------------------------------------------- */

static struct pool *check_pool(lua_State *L)
{
    struct pool *pool = luaL_checkudata(L, 1, POOL);
    if (pool->multi == NULL) {
        luaL_error(L, "the pool is closed");
    }
    return pool;
}

/* pool:close(), and its collector: every transfer ends, as cancelled. */
static int pool_close(lua_State *L)
{
    struct pool *pool = luaL_checkudata(L, 1, POOL);
    CURLM *multi = pool->multi;
    while (pool->first != NULL) {
        struct transfer *transfer = pool->first;
        if (transfer->state != DONE) {
            transfer->code = CURLE_ABORTED_BY_CALLBACK;
        }
        drop(transfer);
    }
    pool->multi = NULL;
    while (pool->spare != NULL) {
        struct kit *kit = pool->spare;
        pool->spare = kit->next;
        free_kit(kit);
    }
    if (multi != NULL) {
        curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, NULL);
        curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, NULL);
        curl_multi_cleanup(multi);
    }
    do {
        close_changed(pool);
    } while (pool->change_at++ < pool->change_count);
    free(pool->changes);
    free(pool->ca_file);
    free(pool->ca_path);
    free(pool->proxy);
    pool->changes = NULL;
    pool->ca_file = pool->ca_path = pool->proxy = NULL;
    pool->change_count = pool->change_at = pool->change_room = 0;
    return 0;
}

/* A copy of the string option `name` of the table at 1, or of the environment variable that stands in for it;
 * NULL where there is none. */
static char *copy_option(lua_State *L, const char *name, const char *variable)
{
    lua_getfield(L, 1, name);
    const char *value = lua_tostring(L, -1);
    if (value == NULL && variable != NULL) {
        value = getenv(variable);
        value = value != NULL && *value != '\0' ? value : NULL;
    }
    char *copy = value != NULL ? strdup(value) : NULL;
    if (value != NULL && copy == NULL) {
        luaL_error(L, "not enough memory");
    }
    lua_pop(L, 1);
    return copy;
}

/* curl.pool(options) -> pool
 * options: max_connections, ca_file, ca_path, proxy; `events = true` for a host that watches sockets and the
 * timer itself (`changes`, `timeout`, `ready`), else it is `step` or `wait` that moves things. */
static int new_pool(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    struct pool *pool = lua_newuserdatauv(L, sizeof *pool, 0);
    memset(pool, 0, sizeof *pool);
    pool->due = NEVER;
    luaL_getmetatable(L, POOL);
    lua_setmetatable(L, -2);

    lua_getfield(L, 1, "max_connections");
    pool->max_connections = (int)luaL_checkinteger(L, -1);
    lua_getfield(L, 1, "events");
    pool->events = lua_toboolean(L, -1);
    lua_pop(L, 2);
    pool->ca_file = copy_option(L, "ca_file", "SSL_CERT_FILE");
    pool->ca_path = copy_option(L, "ca_path", "SSL_CERT_DIR");
    pool->proxy = copy_option(L, "proxy", NULL);
    pool->multi = curl_multi_init();
    if (pool->multi == NULL) {
        return luaL_error(L, "not enough memory");
    }
    curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long)pool->max_connections);
    if (pool->events) {
        curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
        curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_timer);
        curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
    }
    return 1;
}

/* Pushes field `name` of the request at 2, for as long as its string is needed. */
static const char *string_field(lua_State *L, const char *name)
{
    lua_getfield(L, 2, name);
    return luaL_checkstring(L, -1);
}

static lua_Number number_field(lua_State *L, const char *name)
{
    lua_getfield(L, 2, name);
    const lua_Number number = luaL_checknumber(L, -1);
    lua_pop(L, 1);
    return number;
}

/* Adds the header on top of the stack (its name below its value) to the request. */
static void add_header(lua_State *L, struct kit *kit)
{
    const char *value = luaL_checkstring(L, -1);
    lua_pushfstring(L, *value == '\0' ? "%s;" : "%s: %s", luaL_checkstring(L, -2), value); /* libcurl's way of an empty one */
    struct curl_slist *longer = curl_slist_append(kit->headers, lua_tostring(L, -1));
    if (longer == NULL) {
        luaL_error(L, "not enough memory");
    }
    kit->headers = longer;
    lua_pop(L, 1);
}

static void set_options(lua_State *L, struct pool *pool, struct transfer *transfer)
{
    CURL *easy = transfer->kit->easy;
    const lua_Number connect_timeout = number_field(L, "connect_timeout");
    CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, string_field(L, "url"));
    lua_pop(L, 1);
#if CURL_AT_LEAST_VERSION(7, 85, 0)
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if CURL_AT_LEAST_VERSION(7, 87, 0)
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a name server that hangs holds up no timeout */
#endif
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(microseconds(connect_timeout) / 1000) + 1);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->kit->headers);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    if (pool->events) {
        curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
        curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, pool);
    }
    /* these copy a string: each may find no memory */
    code = code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    if (pool->ca_file != NULL && code == CURLE_OK) {
        code = curl_easy_setopt(easy, CURLOPT_CAINFO, pool->ca_file);
    }
    if (pool->ca_path != NULL && code == CURLE_OK) {
        code = curl_easy_setopt(easy, CURLOPT_CAPATH, pool->ca_path);
    }
    if (pool->proxy != NULL && code == CURLE_OK) {
        code = curl_easy_setopt(easy, CURLOPT_PROXY, pool->proxy);
    }
    if (code != CURLE_OK) {
        luaL_error(L, "%s", curl_easy_strerror(code));
    }
}

static struct kit *take_kit(lua_State *L, struct pool *pool)
{
    struct kit *kit = pool->spare;
    if (kit != NULL) {
        pool->spare = kit->next;
        pool->spares--;
        kit->header.length = kit->body.length = 0;
        return kit;
    }
    kit = calloc(1, sizeof *kit);
    if (kit == NULL) {
        luaL_error(L, "not enough memory");
    }
    return kit;
}

/* pool:send(request) -> transfer
 * request: url, headers (a table of strings), timeout, connect_timeout and expires (seconds: of the transfer
 * once it has a connection, and with the wait for one), max_body_bytes. */
static int pool_send(lua_State *L)
{
    struct pool *pool = check_pool(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    struct transfer *transfer = lua_newuserdatauv(L, sizeof *transfer, 1);
    memset(transfer, 0, sizeof *transfer);
    luaL_getmetatable(L, TRANSFER);
    lua_setmetatable(L, -2);
    lua_newtable(L); /* keeps the pool as long as the transfer */
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 1);
    lua_setiuservalue(L, 3, 1);
    link_transfer(pool, transfer);
    transfer->kit = take_kit(L, pool);
    if (transfer->kit->easy == NULL && (transfer->kit->easy = curl_easy_init()) == NULL) {
        return luaL_error(L, "not enough memory");
    }
    lua_getfield(L, 2, "headers");
    for (lua_pushnil(L); lua_next(L, 4) != 0; lua_pop(L, 1)) {
        add_header(L, transfer->kit);
    }
    lua_settop(L, 3);
    transfer->timeout = microseconds(number_field(L, "timeout"));
    transfer->expires = now() + microseconds(number_field(L, "expires"));
    transfer->max_body = (size_t)number_field(L, "max_body_bytes");
    set_options(L, pool, transfer);
    transfer->id = ++pool->ids;
    transfer->state = QUEUED;
    if (start_queued(pool)) {
        (void)step(pool, CURL_SOCKET_TIMEOUT, 0);
    }
    return 1;
}

/* pool:step(): does what can be done without waiting */
static int pool_step(lua_State *L)
{
    (void)step(check_pool(L), CURL_SOCKET_TIMEOUT, 0);
    return 0;
}

/* pool:wait(seconds): waits for the network, this long at most, and does what can be done then.
 * The time between two calls is the caller's own: it counts for no transfer. */
static int pool_wait(lua_State *L)
{
    struct pool *pool = check_pool(L);
    int64_t most = microseconds(luaL_checknumber(L, 2));
    const int64_t entered = now();
    for (struct transfer *transfer = pool->first; transfer != NULL; transfer = transfer->next) {
        if (transfer->state == RUNNING) {
            transfer->expires += entered - (transfer->since > pool->left ? transfer->since : pool->left);
        }
    }
    if (!step(pool, CURL_SOCKET_TIMEOUT, 0)) {
        const int64_t due = until_due(pool);
        most = due < most ? due : most;
        most = most < LONGEST_WAIT ? most : LONGEST_WAIT;
        curl_multi_poll(pool->multi, NULL, 0, (int)(most / 1000) + (most % 1000 != 0), NULL);
        (void)step(pool, CURL_SOCKET_TIMEOUT, 0);
    }
    pool->left = now();
    return 0;
}

/* pool:ready(descriptor, readable, writable): does what this event of a descriptor makes possible */
static int pool_ready(lua_State *L)
{
    struct pool *pool = check_pool(L);
    const curl_socket_t socket = (curl_socket_t)luaL_checkinteger(L, 2);
    (void)step(pool, socket, (lua_toboolean(L, 3) ? CURL_CSELECT_IN : 0) | (lua_toboolean(L, 4) ? CURL_CSELECT_OUT : 0));
    return 0;
}

/* pool:timeout() -> the seconds after which a step is due, or nil */
static int pool_timeout(lua_State *L)
{
    const int64_t due = until_due(check_pool(L));
    if (due == NEVER) {
        lua_pushnil(L);
    } else {
        lua_pushnumber(L, (lua_Number)due / 1e6);
    }
    return 1;
}

/* pool:change() -> descriptor, events | nil: the next thing that libcurl wants watched, in order.
 * events: "r", "w", "rw", or "" to let go of it before the next call, which may close it. */
static int pool_change(lua_State *L)
{
    struct pool *pool = check_pool(L);
    close_changed(pool);
    if (pool->change_at == pool->change_count) {
        pool->change_at = pool->change_count = 0;
        lua_pushnil(L);
        return 1;
    }
    const struct change change = pool->changes[pool->change_at++];
    lua_pushinteger(L, (lua_Integer)change.socket);
    lua_pushstring(L, change.what == CURL_POLL_IN      ? "r"
                      : change.what == CURL_POLL_OUT   ? "w"
                      : change.what == CURL_POLL_INOUT ? "rw"
                                                       : "");
    return 2;
}

/* pool:finished() -> the id of a transfer that is done and was not reported yet, or nil */
static int pool_finished(lua_State *L)
{
    struct pool *pool = check_pool(L);
    for (struct transfer *transfer = pool->first; transfer != NULL; transfer = transfer->next) {
        if (transfer->state == DONE && !transfer->reported) {
            transfer->reported = 1;
            lua_pushinteger(L, transfer->id);
            return 1;
        }
    }
    lua_pushnil(L);
    return 1;
}

/* pool:connections() -> how many were opened so far */
static int pool_connections(lua_State *L)
{
    const struct pool *pool = luaL_checkudata(L, 1, POOL);
    lua_pushinteger(L, pool->connections);
    return 1;
}

/* ---- Lua: a transfer ------------------------------------------------------------------------------- */

/* transfer:cancel(), and its collector */
static int transfer_cancel(lua_State *L)
{
    struct transfer *transfer = luaL_checkudata(L, 1, TRANSFER);
    if (transfer->state != DONE) {
        transfer->code = CURLE_ABORTED_BY_CALLBACK;
    }
    drop(transfer);
    return 0;
}

/* transfer:id() -> the number that pool:finished gives */
static int transfer_id(lua_State *L)
{
    const struct transfer *transfer = luaL_checkudata(L, 1, TRANSFER);
    lua_pushinteger(L, transfer->id);
    return 1;
}

/* transfer:done() -> whether its result is there */
static int transfer_done(lua_State *L)
{
    const struct transfer *transfer = luaL_checkudata(L, 1, TRANSFER);
    lua_pushboolean(L, transfer->pool == NULL || transfer->state == DONE);
    return 1;
}

/* Pushes the header lines of the answer as a table, names in lower case, repeated ones joined by commas. */
static void push_headers(lua_State *L, const struct buffer *header)
{
    const char *line = header->bytes, *end = line + header->length;
    lua_newtable(L);
    while (line < end) {
        const char *line_end = memchr(line, '\n', (size_t)(end - line));
        const char *next = line_end != NULL ? line_end + 1 : end;
        const char *colon = memchr(line, ':', (size_t)(next - line));
        if (colon != NULL) {
            const char *from = colon + 1, *to = next;
            while (from < to && strchr(" \t", *from) != NULL) {
                from++;
            }
            while (to > from && strchr(" \t\r\n", to[-1]) != NULL) {
                to--;
            }
            luaL_Buffer name;
            luaL_buffinit(L, &name);
            for (const char *c = line; c < colon; c++) {
                luaL_addchar(&name, *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c);
            }
            luaL_pushresult(&name);
            lua_pushvalue(L, -1);
            lua_rawget(L, -3);
            if (lua_isnil(L, -1)) {
                lua_pop(L, 1);
                lua_pushlstring(L, from, (size_t)(to - from));
            } else {
                lua_pushliteral(L, ", ");
                lua_pushlstring(L, from, (size_t)(to - from));
                lua_concat(L, 3);
            }
            lua_rawset(L, -3);
        }
        line = next;
    }
}

/* What kind of error a transfer ended with, in the terms of lua/retab/error.lua. */
static const char *error_kind(const struct transfer *transfer)
{
    if (transfer->too_large) {
        return "too_large";
    }
    switch (transfer->code) {
    case CURLE_OPERATION_TIMEDOUT:
        return "timeout";
    case CURLE_ABORTED_BY_CALLBACK:
        return "cancelled";
    case CURLE_WRITE_ERROR: /* of libcurl's own decompression: ours was too_large */
    case CURLE_BAD_CONTENT_ENCODING:
        return "decode";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_USE_SSL_FAILED:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_SHUTDOWN_FAILED:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return "tls";
    default:
        return "connection";
    }
}

static const char *error_message(const struct transfer *transfer)
{
    if (transfer->too_large) {
        return "the answer is larger than max_body_bytes allows";
    }
    if (transfer->timed_out) {
        return "no answer in time";
    }
    if (transfer->code == CURLE_ABORTED_BY_CALLBACK) {
        return "the request was cancelled";
    }
    return transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(transfer->code);
}

/* transfer:result() -> { status, headers, body } | nil, { kind, message }
 * Once, of a transfer that is done; from then on it counts as cancelled. */
static int transfer_result(lua_State *L)
{
    struct transfer *transfer = luaL_checkudata(L, 1, TRANSFER);
    luaL_argcheck(L, transfer->pool == NULL || transfer->state == DONE, 1, "the transfer is not done");
    if (transfer->kit == NULL && transfer->code == CURLE_OK) {
        transfer->code = CURLE_ABORTED_BY_CALLBACK;
    }
    if (transfer->code != CURLE_OK) {
        lua_pushnil(L);
        lua_createtable(L, 0, 2);
        lua_pushstring(L, error_kind(transfer));
        lua_setfield(L, -2, "kind");
        lua_pushstring(L, error_message(transfer));
        lua_setfield(L, -2, "message");
        drop(transfer);
        return 2;
    }
    long status = 0;
    const struct buffer *body = &transfer->kit->body;
    curl_easy_getinfo(transfer->kit->easy, CURLINFO_RESPONSE_CODE, &status);
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, (lua_Integer)status);
    lua_setfield(L, -2, "status");
    push_headers(L, &transfer->kit->header);
    lua_setfield(L, -2, "headers");
    lua_pushlstring(L, body->length > 0 ? body->bytes : "", body->length);
    lua_setfield(L, -2, "body");
    drop(transfer);
    return 1;
}

/* ---- registration ---------------------------------------------------------------------------------- */

/* libcurl must not be unloaded when a Lua state closes: a thread of its resolver may still be under way. */
static void pin_libcurl(void)
{
    Dl_info info;
    void *address;
    CURLcode (*const function)(long) = curl_global_init;
    memcpy(&address, &function, sizeof address);
    if (dladdr(address, &info) != 0 && info.dli_fname != NULL) {
        (void)dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    }
}

/* curl.clock() -> seconds on a clock that never goes back */
static int clock_seconds(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)now() / 1e6);
    return 1;
}

static void new_type(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction closer)
{
    if (luaL_newmetatable(L, name)) {
        lua_newtable(L);
        luaL_setfuncs(L, methods, 0);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, closer);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, closer);
        lua_setfield(L, -2, "__close");
    }
    lua_pop(L, 1);
}

void retab_http_register(lua_State *L)
{
    static const luaL_Reg pool_methods[] = {
        {"send", pool_send},     {"step", pool_step},         {"wait", pool_wait},
        {"ready", pool_ready},   {"timeout", pool_timeout},   {"change", pool_change},
        {"close", pool_close},   {"finished", pool_finished}, {"connections", pool_connections},
        {NULL, NULL}};
    static const luaL_Reg transfer_methods[] = {{"cancel", transfer_cancel},
                                                {"done", transfer_done},
                                                {"id", transfer_id},
                                                {"result", transfer_result},
                                                {NULL, NULL}};
    pin_libcurl();
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        luaL_error(L, "libcurl can't be set up");
    }
    new_type(L, POOL, pool_methods, pool_close);
    new_type(L, TRANSFER, transfer_methods, transfer_cancel);
    lua_pushcfunction(L, new_pool);
    lua_setfield(L, -2, "pool");
    lua_pushcfunction(L, clock_seconds);
    lua_setfield(L, -2, "clock");
    lua_pushstring(L, curl_version());
    lua_setfield(L, -2, "version");
}
