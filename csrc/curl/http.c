#define _GNU_SOURCE /* dladdr */

#include "http.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "watch.h"

/* More of an answer's header than this is refused: nothing honest comes near. */
#define HEADER_BYTES ((size_t)256 * 1024)

/* Why an answer is refused that libcurl could go on with. */
enum { BODY_TOO_LARGE = 1, HEADER_TOO_LARGE, NO_MEMORY };

/* A larger body buffer is not kept for the next transfer. */
#define KEPT_BYTES ((size_t)1024 * 1024)

/* A signal such as Ctrl-C is seen by Lua when a wait ends, if it did not end it itself. */
#define LONGEST_WAIT ((int64_t)1000000)

_Static_assert(sizeof(((struct retab_http_transfer *)NULL)->error) == CURL_ERROR_SIZE, "as large as libcurl wants it");

/* ---- time and memory ------------------------------------------------------------------------------- */

int64_t retab_http_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* Whether there is room for `more` bytes behind those that are there. */
static int reserve(struct retab_http_buffer *buffer, size_t more)
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

/* Adds bytes, and a NUL behind them. */
static int append(struct retab_http_buffer *buffer, const char *bytes, size_t length)
{
    if (!reserve(buffer, length + 1)) {
        return 0;
    }
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    buffer->bytes[buffer->length] = '\0';
    return 1;
}

static void free_kit(struct retab_http_kit *kit)
{
    curl_easy_cleanup(kit->easy);
    curl_slist_free_all(kit->headers);
    free(kit->head.bytes);
    free(kit->body.bytes);
    free(kit);
}

/* ---- libcurl's callbacks: no Lua here ---------------------------------------------------------------- */

/* Adds what came to a buffer. How much of it, as libcurl wants to know. */
static size_t keep(struct retab_http_transfer *transfer, struct retab_http_buffer *buffer, const char *bytes,
                   size_t length)
{
    if (append(buffer, bytes, length)) {
        return length;
    }
    transfer->refused = NO_MEMORY;
    return 0;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
    struct retab_http_transfer *transfer = context;
    struct retab_http_buffer *head = &transfer->kit->head;
    const size_t length = size * count;
    if (length >= 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        head->length = 0; /* what came before was an interim answer */
        return length;
    }
    if (head->length + length > HEADER_BYTES) {
        transfer->refused = HEADER_TOO_LARGE;
        return 0;
    }
    return keep(transfer, head, bytes, length);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct retab_http_transfer *transfer = context;
    struct retab_http_buffer *body = &transfer->kit->body;
    const size_t length = size * count;
    if (length > transfer->max_body - body->length) {
        transfer->refused = BODY_TOO_LARGE;
        return 0;
    }
    if (body->length == 0) {
        curl_off_t expected = -1;
        curl_easy_getinfo(transfer->kit->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &expected);
        if (expected > 0 && (uint64_t)expected <= transfer->max_body) {
            (void)reserve(body, (size_t)expected + 1); /* if there is no room for all, there may be for this */
        }
    }
    return keep(transfer, body, bytes, length);
}

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *assigned)
{
    const struct retab_http_pool *pool = context;
    (void)easy;
    (void)assigned;
    return retab_watch_set(pool->watch, socket, what == CURL_POLL_IN || what == CURL_POLL_INOUT,
                           what == CURL_POLL_OUT || what == CURL_POLL_INOUT);
}

static int on_timer(CURLM *multi, long milliseconds, void *context)
{
    struct retab_http_pool *pool = context;
    (void)multi;
    pool->due = milliseconds < 0 ? RETAB_HTTP_NEVER : retab_http_now() + (int64_t)milliseconds * 1000;
    return 0;
}

/* ---- the life of a transfer ------------------------------------------------------------------------ */

static void link_transfer(struct retab_http_pool *pool, struct retab_http_transfer *transfer)
{
    transfer->pool = pool;
    transfer->previous = pool->last;
    transfer->next = NULL;
    *(pool->last != NULL ? &pool->last->next : &pool->first) = transfer;
    pool->last = transfer;
}

static void unlink_transfer(struct retab_http_transfer *transfer)
{
    struct retab_http_pool *pool = transfer->pool;
    *(transfer->previous != NULL ? &transfer->previous->next : &pool->first) = transfer->next;
    *(transfer->next != NULL ? &transfer->next->previous : &pool->last) = transfer->previous;
    transfer->pool = NULL;
}

/* Takes a transfer off the network; its answer, if there is one, stays. */
static void stop(struct retab_http_transfer *transfer)
{
    if (transfer->state == RETAB_HTTP_RUNNING) {
        long opened = 0;
        curl_easy_getinfo(transfer->kit->easy, CURLINFO_NUM_CONNECTS, &opened);
        curl_multi_remove_handle(transfer->pool->multi, transfer->kit->easy);
        transfer->pool->connections += opened;
        transfer->pool->running--;
    }
    transfer->state = RETAB_HTTP_DONE;
}

/* Takes a transfer out of its pool, in whatever state; gives its kit, if it has one. */
static struct retab_http_kit *detach(struct retab_http_transfer *transfer)
{
    if (transfer->pool == NULL) {
        return NULL;
    }
    if (transfer->state != RETAB_HTTP_DONE) {
        transfer->code = CURLE_ABORTED_BY_CALLBACK;
    }
    stop(transfer);
    unlink_transfer(transfer);
    struct retab_http_kit *kit = transfer->kit;
    transfer->kit = NULL;
    if (kit != NULL) {
        curl_easy_reset(kit->easy); /* it points to the transfer */
        curl_slist_free_all(kit->headers);
        kit->headers = NULL;
    }
    return kit;
}

static void retire(struct retab_http_pool *pool, struct retab_http_kit *kit)
{
    if (pool->multi == NULL || pool->spares >= pool->max_connections || kit->body.room > KEPT_BYTES) {
        free_kit(kit);
        return;
    }
    kit->next = pool->spare;
    pool->spare = kit;
    pool->spares++;
}

/* The one closer of a transfer: nothing is left of it but its result. */
static void drop(struct retab_http_transfer *transfer)
{
    struct retab_http_pool *pool = transfer->pool;
    struct retab_http_kit *kit = detach(transfer);
    if (kit != NULL) {
        retire(pool, kit);
    }
}

static void finish(struct retab_http_transfer *transfer, CURLcode code)
{
    stop(transfer);
    transfer->code = (int)code;
}

/* Puts queued transfers onto the network, as many as there may be connections. Whether there were any. */
static int start_queued(struct retab_http_pool *pool)
{
    int started = 0;
    for (struct retab_http_transfer *transfer = pool->first; transfer != NULL && pool->running < pool->max_connections;
         transfer = transfer->next) {
        if (transfer->state != RETAB_HTTP_QUEUED) {
            continue;
        }
        const CURLMcode code = curl_multi_add_handle(pool->multi, transfer->kit->easy);
        if (code != CURLM_OK) {
            finish(transfer, CURLE_OUT_OF_MEMORY);
            continue;
        }
        transfer->state = RETAB_HTTP_RUNNING;
        transfer->since = retab_http_now();
        if (transfer->timeout < transfer->expires - transfer->since) {
            transfer->expires = transfer->since + transfer->timeout;
        }
        pool->running++;
        started = 1;
    }
    return started;
}

/* Notes which transfers have ended, and which have run out of time. Whether there were any. */
static int harvest(struct retab_http_pool *pool)
{
    int left, ended = 0;
    CURLMsg *message;
    while ((message = curl_multi_info_read(pool->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            struct retab_http_transfer *transfer = NULL;
            const CURLcode code = message->data.result;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
            finish(transfer, code);
            ended = 1;
        }
    }
    const int64_t time = retab_http_now();
    for (struct retab_http_transfer *transfer = pool->first; transfer != NULL; transfer = transfer->next) {
        if (transfer->state != RETAB_HTTP_DONE && time >= transfer->expires) {
            transfer->timed_out = 1;
            finish(transfer, CURLE_OPERATION_TIMEDOUT);
            ended = 1;
        }
    }
    return ended;
}

/* Lets libcurl know of the sockets that are ready, and of the time. */
static void act(struct retab_http_pool *pool)
{
    struct retab_watch_event events[RETAB_WATCH_EVENTS];
    int running;
    const int count = retab_watch_ready(pool->watch, events);
    for (int i = 0; i < count; i++) {
        curl_multi_socket_action(
            pool->multi, events[i].socket,
            (events[i].readable ? CURL_CSELECT_IN : 0) | (events[i].writable ? CURL_CSELECT_OUT : 0), &running);
    }
    pool->due = RETAB_HTTP_NEVER; /* unless libcurl sets it anew */
    curl_multi_socket_action(pool->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

/* Lets libcurl do what it can do now without waiting. Whether a transfer ended. */
static int step(struct retab_http_pool *pool)
{
    int running, ended = 0;
    do {
        if (pool->events) {
            act(pool);
        } else {
            curl_multi_perform(pool->multi, &running);
        }
        ended |= harvest(pool);
    } while (start_queued(pool));
    return ended;
}

int64_t retab_http_until_due(const struct retab_http_pool *pool)
{
    int64_t due = RETAB_HTTP_NEVER;
    for (const struct retab_http_transfer *transfer = pool->first; transfer != NULL; transfer = transfer->next) {
        if (transfer->state != RETAB_HTTP_DONE && transfer->expires < due) {
            due = transfer->expires;
        }
    }
    if (due == RETAB_HTTP_NEVER) {
        return RETAB_HTTP_NEVER;
    }
    due = pool->events && pool->due < due ? pool->due : due;
    const int64_t time = retab_http_now();
    return due > time ? due - time : 0;
}

/* ---- the pool -------------------------------------------------------------------------------------- */

int retab_http_open(struct retab_http_pool *pool)
{
    pool->due = RETAB_HTTP_NEVER;
    pool->multi = curl_multi_init();
    if (pool->multi == NULL) {
        errno = ENOMEM;
        return -1;
    }
    curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long)pool->max_connections);
    if (pool->events) {
        pool->watch = retab_watch_open();
        if (pool->watch < 0) {
            const int problem = errno;
            curl_multi_cleanup(pool->multi);
            pool->multi = NULL;
            errno = problem;
            return -1;
        }
        curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
        curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_timer);
        curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
    }
    return 0;
}

void retab_http_close(struct retab_http_pool *pool)
{
    CURLM *multi = pool->multi;
    if (multi != NULL) { /* nothing is said to the watch, which a forked process has in common with its parent */
        curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, NULL);
        curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, NULL);
    }
    while (pool->first != NULL) {
        drop(pool->first);
    }
    pool->multi = NULL;
    while (pool->spare != NULL) {
        struct retab_http_kit *kit = pool->spare;
        pool->spare = kit->next;
        free_kit(kit);
    }
    if (multi != NULL) {
        curl_multi_cleanup(multi);
        if (pool->events) {
            close(pool->watch);
        }
    }
    free(pool->ca_file);
    free(pool->ca_path);
    free(pool->proxy);
    pool->ca_file = pool->ca_path = pool->proxy = NULL;
}

/* The time since `left` was the caller's own: it counts for no transfer that runs. */
static void skip_idle(struct retab_http_pool *pool)
{
    const int64_t entered = retab_http_now();
    for (struct retab_http_transfer *transfer = pool->first; transfer != NULL; transfer = transfer->next) {
        if (transfer->state == RETAB_HTTP_RUNNING) {
            transfer->expires += entered - (transfer->since > pool->left ? transfer->since : pool->left);
        }
    }
    pool->left = entered;
}

void retab_http_step(struct retab_http_pool *pool)
{
    if (pool->left != 0) {
        skip_idle(pool);
    }
    (void)step(pool);
}

void retab_http_wait(struct retab_http_pool *pool, int64_t most)
{
    skip_idle(pool);
    if (!step(pool)) {
        const int64_t due = retab_http_until_due(pool);
        most = due < most ? due : most;
        most = most < LONGEST_WAIT ? most : LONGEST_WAIT;
        curl_multi_poll(pool->multi, NULL, 0, (int)(most / 1000) + (most % 1000 != 0), NULL);
        (void)step(pool);
    }
    pool->left = retab_http_now();
}

int64_t retab_http_next_finished(struct retab_http_pool *pool)
{
    for (struct retab_http_transfer *transfer = pool->first; transfer != NULL; transfer = transfer->next) {
        if (transfer->state == RETAB_HTTP_DONE && !transfer->reported) {
            transfer->reported = 1;
            return transfer->id;
        }
    }
    return 0;
}

/* ---- a transfer ------------------------------------------------------------------------------------ */

int retab_http_begin(struct retab_http_pool *pool, struct retab_http_transfer *transfer)
{
    struct retab_http_kit *kit = pool->spare;
    if (kit != NULL) {
        pool->spare = kit->next;
        pool->spares--;
        kit->head.length = kit->body.length = 0;
    } else {
        kit = calloc(1, sizeof *kit);
        if (kit == NULL) {
            return -1;
        }
        kit->easy = curl_easy_init();
        if (kit->easy == NULL) {
            free(kit);
            return -1;
        }
    }
    transfer->kit = kit;
    transfer->id = ++pool->ids;
    link_transfer(pool, transfer);
    return 0;
}

int retab_http_header(struct retab_http_transfer *transfer, const char *line)
{
    struct curl_slist *longer = curl_slist_append(transfer->kit->headers, line);
    if (longer == NULL) {
        return -1;
    }
    transfer->kit->headers = longer;
    return 0;
}

static CURLcode set_options(struct retab_http_transfer *transfer, const char *url, int64_t connect_timeout)
{
    struct retab_http_pool *pool = transfer->pool;
    CURL *easy = transfer->kit->easy;
#if CURL_AT_LEAST_VERSION(7, 85, 0)
    CURLcode code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    CURLcode code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if CURL_AT_LEAST_VERSION(7, 87, 0)
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a name server that hangs holds up no timeout */
#endif
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 131072L); /* a page in one or two reads */
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(connect_timeout / 1000) + 1);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->kit->headers);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    /* these copy a string: each may find no memory */
    if (code == CURLE_OK) {
        code = curl_easy_setopt(easy, CURLOPT_URL, url);
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    }
    if (pool->ca_file != NULL && code == CURLE_OK) {
        code = curl_easy_setopt(easy, CURLOPT_CAINFO, pool->ca_file);
    }
    if (pool->ca_path != NULL && code == CURLE_OK) {
        code = curl_easy_setopt(easy, CURLOPT_CAPATH, pool->ca_path);
    }
    if (pool->proxy != NULL && code == CURLE_OK) {
        code = curl_easy_setopt(easy, CURLOPT_PROXY, pool->proxy);
    }
    return code;
}

const char *retab_http_send(struct retab_http_transfer *transfer, const char *url, int64_t timeout,
                            int64_t connect_timeout, int64_t expires, size_t max_body)
{
    const CURLcode code = set_options(transfer, url, connect_timeout);
    if (code != CURLE_OK) {
        return curl_easy_strerror(code);
    }
    transfer->timeout = timeout;
    transfer->expires = expires;
    transfer->max_body = max_body;
    transfer->state = RETAB_HTTP_QUEUED;
    if (start_queued(transfer->pool)) {
        retab_http_step(transfer->pool);
    }
    return NULL;
}

void retab_http_drop(struct retab_http_transfer *transfer)
{
    drop(transfer);
}

struct retab_http_kit *retab_http_take(struct retab_http_transfer *transfer)
{
    return detach(transfer);
}

void retab_http_retire(struct retab_http_pool *pool, struct retab_http_kit *kit)
{
    retire(pool, kit);
}

int retab_http_is_done(const struct retab_http_transfer *transfer)
{
    return transfer->pool == NULL || transfer->state == RETAB_HTTP_DONE;
}

const char *retab_http_error_kind(const struct retab_http_transfer *transfer)
{
    if (transfer->refused) {
        return transfer->refused == NO_MEMORY ? "connection" : "too_large";
    }
    switch (transfer->code) {
    case CURLE_OK:
        return transfer->kit != NULL ? NULL : "cancelled";
    case CURLE_OPERATION_TIMEDOUT:
        return "timeout";
    case CURLE_ABORTED_BY_CALLBACK:
        return "cancelled";
    case CURLE_WRITE_ERROR: /* of libcurl's own decompression: ours are refused */
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

const char *retab_http_error_message(const struct retab_http_transfer *transfer)
{
    switch (transfer->refused) {
    case BODY_TOO_LARGE:
        return "the answer is larger than max_body_bytes allows";
    case HEADER_TOO_LARGE:
        return "the header of the answer is larger than 256 KiB";
    case NO_MEMORY:
        return "not enough memory for the answer";
    }
    if (transfer->timed_out) {
        return "no answer in time";
    }
    if (transfer->code == CURLE_ABORTED_BY_CALLBACK || transfer->code == CURLE_OK) {
        return "the request was cancelled";
    }
    return transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror((CURLcode)transfer->code);
}

int retab_http_status(const struct retab_http_transfer *transfer)
{
    long status = 0;
    curl_easy_getinfo(transfer->kit->easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

/* ---- the library ----------------------------------------------------------------------------------- */

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

int retab_http_setup(void)
{
    pin_libcurl();
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -1;
}

const char *retab_http_version(void)
{
    return curl_version_info(CURLVERSION_NOW)->version; /* curl_version would set up LDAP: 1.3 ms */
}
