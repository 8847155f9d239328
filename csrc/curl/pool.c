#define _POSIX_C_SOURCE 200809L /* clock_gettime */

#include "pool.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "process.h"
#include "watch.h"

/* What the spare kits of a pool may hold together. Each has a receive buffer of libcurl's. */
#define SPARE_BYTES ((size_t)4 * 1024 * 1024)
#define KIT_BYTES ((size_t)128 * 1024)

/* Lua sees a signal such as Ctrl-C when a wait ends, if the signal did not end it. */
#define LONGEST_WAIT ((int64_t)1000000)

int64_t retab_pool_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* ---- lists --------------------------------------------------------------------------------------------------- */

/* Moves a transfer to the end of a list, or out of all. */
static void move(struct retab_transfer *transfer, struct retab_list *list)
{
    struct retab_list *old = transfer->list;
    if (old != NULL) {
        *(transfer->previous != NULL ? &transfer->previous->next : &old->first) = transfer->next;
        *(transfer->next != NULL ? &transfer->next->previous : &old->last) = transfer->previous;
    }
    transfer->list = list;
    transfer->next = NULL;
    if (list != NULL) {
        transfer->previous = list->last;
        *(list->last != NULL ? &list->last->next : &list->first) = transfer;
        list->last = transfer;
    }
}

/* ---- libcurl's callbacks: they never call Lua ---------------------------------------------------------------- */

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *assigned)
{
    struct retab_pool *pool = context;
    (void)easy;
    (void)assigned;
    if (retab_watch_set(pool->watch, socket, what == CURL_POLL_IN || what == CURL_POLL_INOUT,
                        what == CURL_POLL_OUT || what == CURL_POLL_INOUT) != 0) {
        pool->failure = errno;
    }
    return 0; /* after anything else, libcurl would call the transfers aborted */
}

static int on_timer(CURLM *multi, long milliseconds, void *context)
{
    struct retab_pool *pool = context;
    (void)multi;
    pool->timer = milliseconds < 0 ? RETAB_NEVER : retab_pool_now() + (int64_t)milliseconds * 1000;
    return 0;
}

static curl_socket_t on_open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct retab_pool *pool = context;
    (void)purpose;
    if (pool->socket_count == pool->socket_room) {
        const size_t room = pool->socket_room * 2 + 8;
        int *larger = realloc(pool->sockets, room * sizeof *larger);
        if (larger == NULL) {
            return CURL_SOCKET_BAD;
        }
        pool->sockets = larger;
        pool->socket_room = room;
    }
    const curl_socket_t socket = retab_process_new_socket(address);
    if (socket != CURL_SOCKET_BAD) {
        pool->sockets[pool->socket_count++] = socket;
    }
    return socket;
}

static int on_close_socket(void *context, curl_socket_t socket)
{
    struct retab_pool *pool = context;
    for (size_t i = 0; i < pool->socket_count; i++) {
        if (pool->sockets[i] == socket) {
            pool->sockets[i] = pool->sockets[--pool->socket_count];
            break;
        }
    }
    if (pool->events) { /* a forked child may have the socket still, and epoll would go on to report it */
        (void)retab_watch_set(pool->watch, socket, 0, 0);
    }
    return close(socket);
}

/* ---- the multi handle ---------------------------------------------------------------------------------------- */

/* Returns nonzero if the pool has a multi handle. If not, errno says why. */
static int ready(struct retab_pool *pool)
{
    if (pool->multi != NULL) {
        return 1;
    }
    pool->process = getpid();
    pool->timer = RETAB_NEVER;
    if (pool->events && (pool->watch = retab_watch_open()) < 0) {
        return 0;
    }
    errno = ENOMEM; /* unless libcurl's allocations say something else */
    pool->multi = retab_process_new_multi();
    if (pool->multi == NULL) {
        const int problem = errno;
        if (pool->events) {
            retab_watch_close(pool->watch);
        }
        errno = problem;
        return 0;
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

/* Ends a transfer that is QUEUED or RUNNING, with libcurl's code, or with kind and message. */
static void finish(struct retab_transfer *transfer, CURLcode code, const char *kind, const char *message)
{
    struct retab_pool *pool = transfer->pool;
    struct retab_kit *kit = transfer->kit;
    if (transfer->state == RETAB_RUNNING) {
        long opened = 0, status = 0, sent = 0;
        curl_easy_getinfo(kit->easy, CURLINFO_NUM_CONNECTS, &opened);
        curl_easy_getinfo(kit->easy, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(kit->easy, CURLINFO_REQUEST_SIZE, &sent);
        curl_multi_remove_handle(pool->multi, kit->easy);
        pool->connections += opened;
        pool->running_count--;
        transfer->status = (int)status;
        transfer->sent = sent > 0;
    }
    if (kind != NULL) {
        retab_transfer_fail(transfer, kind, message);
    } else {
        retab_transfer_conclude(transfer, code);
    }
    transfer->state = RETAB_DONE;
    move(transfer, &pool->ended);
    if (transfer->kind != NULL) {
        transfer->kit = NULL;
        retab_pool_keep(pool, kit);
    } else {
        curl_easy_reset(kit->easy); /* it points to the transfer */
    }
}

static void finish_all(struct retab_list *list, const char *kind, const char *message)
{
    while (list->first != NULL) {
        finish(list->first, CURLE_OK, kind, message);
    }
}

/* In a child after fork: forgets what belongs to the parent. */
static void disown(struct retab_pool *pool)
{
    for (size_t i = 0; i < pool->socket_count; i++) {
        (void)close(pool->sockets[i]);
    }
    pool->socket_count = 0;
    if (pool->events) {
        retab_watch_disown(pool->watch);
    }
    pool->multi = NULL;
    while (pool->running.first != NULL) {
        struct retab_transfer *transfer = pool->running.first;
        transfer->kit = NULL; /* libcurl's part of it is tied to the multi handle */
        transfer->state = RETAB_DONE;
        retab_transfer_fail(transfer, "cancelled", "the request was sent before fork");
        move(transfer, &pool->ended);
    }
    pool->running_count = 0;
    finish_all(&pool->queued, "cancelled", "the request was sent before fork");
}

/* The time since the host was due back was the caller's own: it does not count for the transfers that run. */
static void credit_absence(struct retab_pool *pool, int64_t now)
{
    const int64_t away = retab_deadline_overstay(pool->due_back, now);
    if (away > 0) {
        for (struct retab_transfer *transfer = pool->running.first; transfer != NULL; transfer = transfer->next) {
            retab_transfer_credit(transfer, away);
        }
        pool->due_back = now;
    }
}

/* Each function that does something with an open pool is between these two. */
static void enter(struct retab_pool *pool, struct retab_sigpipe *sigpipe)
{
    retab_process_block_sigpipe(sigpipe);
    if (pool->multi != NULL && pool->process != getpid()) {
        disown(pool);
    }
    credit_absence(pool, retab_pool_now());
}

static void leave(struct retab_pool *pool, const struct retab_sigpipe *sigpipe)
{
    const int64_t now = retab_pool_now();
    pool->due_back = pool->due_back > now ? pool->due_back : now;
    retab_process_restore_sigpipe(sigpipe);
}

/* ---- running ------------------------------------------------------------------------------------------------- */

/* Starts queued transfers, as many as there may be connections. Returns nonzero if there were any. */
static int start_queued(struct retab_pool *pool)
{
    int started = 0;
    while (pool->queued.first != NULL && pool->running_count < pool->max_connections) {
        struct retab_transfer *transfer = pool->queued.first;
        const CURLMcode code = curl_multi_add_handle(pool->multi, transfer->kit->easy);
        if (code != CURLM_OK) {
            finish(transfer, CURLE_OK, "connection", curl_multi_strerror(code));
            continue;
        }
        transfer->state = RETAB_RUNNING;
        transfer->deadline.started = retab_pool_now();
        move(transfer, &pool->running);
        pool->running_count++;
        started = 1;
    }
    return started;
}

static int is_connected(const struct retab_transfer *transfer)
{
    return transfer->state == RETAB_RUNNING && retab_transfer_is_connected(transfer);
}

/* Finishes the transfers of a list that are late. */
static void finish_late(struct retab_list *list, int64_t now)
{
    struct retab_transfer *next;
    for (struct retab_transfer *transfer = list->first; transfer != NULL; transfer = next) {
        next = transfer->next;
        const enum retab_late late = retab_deadline_late(&transfer->deadline, is_connected(transfer), now);
        if (late != RETAB_IN_TIME) {
            finish(transfer, CURLE_OK, "timeout", "");
            retab_transfer_conclude_late(transfer, late);
        }
    }
}

/* Finishes the transfers that have ended, in whichever way. */
static void finish_ended(struct retab_pool *pool, CURLMcode code)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(pool->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            struct retab_transfer *transfer = NULL;
            const CURLcode result = message->data.result;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
            finish(transfer, result, NULL, "");
        }
    }
    if (code != CURLM_OK) {
        finish_all(&pool->running, "connection", curl_multi_strerror(code));
    } else if (pool->failure != 0) {
        char text[CURL_ERROR_SIZE];
        (void)snprintf(text, sizeof text, "cannot watch a socket: %s", strerror(pool->failure));
        finish_all(&pool->running, "connection", text);
    }
    pool->failure = 0;
    finish_late(&pool->queued, retab_pool_now());
    finish_late(&pool->running, retab_pool_now());
}

/* Tells libcurl which sockets are ready, and that time has passed. */
static CURLMcode act(struct retab_pool *pool)
{
    struct retab_watch_event events[RETAB_WATCH_EVENTS];
    CURLMcode code = CURLM_OK;
    int running;
    const int count = retab_watch_ready(pool->watch, events);
    for (int i = 0; i < count && code == CURLM_OK; i++) {
        code = curl_multi_socket_action(
            pool->multi, events[i].socket,
            (events[i].readable ? CURL_CSELECT_IN : 0) | (events[i].writable ? CURL_CSELECT_OUT : 0), &running);
    }
    pool->timer = RETAB_NEVER; /* unless libcurl sets it again */
    return code == CURLM_OK ? curl_multi_socket_action(pool->multi, CURL_SOCKET_TIMEOUT, 0, &running) : code;
}

/* Does what can be done without waiting. Returns nonzero if a transfer has ended. */
static int run(struct retab_pool *pool)
{
    const struct retab_transfer *const last = pool->ended.last;
    int running;
    if (pool->multi != NULL) {
        do {
            finish_ended(pool, pool->events ? act(pool) : curl_multi_perform(pool->multi, &running));
        } while (start_queued(pool));
    }
    return pool->ended.last != last;
}

/* Starts queued transfers at once, where that is possible. */
static void start(struct retab_pool *pool)
{
    if (start_queued(pool)) {
        (void)run(pool);
    }
}

/* Returns the time at which something is to be done by the clock. */
static int64_t next_due(const struct retab_pool *pool)
{
    const struct retab_list *const lists[] = {&pool->queued, &pool->running};
    int64_t due = RETAB_NEVER;
    for (int i = 0; i < 2; i++) {
        for (const struct retab_transfer *transfer = lists[i]->first; transfer != NULL; transfer = transfer->next) {
            const int64_t end = retab_deadline_next(&transfer->deadline, is_connected(transfer));
            due = end < due ? end : due;
        }
    }
    return pool->events && pool->timer < due ? pool->timer : due;
}

/* ---- the pool ------------------------------------------------------------------------------------------------ */

void retab_pool_close(struct retab_pool *pool)
{
    struct retab_sigpipe sigpipe;
    enter(pool, &sigpipe);
    pool->open = 0; /* kits are not kept from now on */
    finish_all(&pool->running, "cancelled", "client is closed");
    finish_all(&pool->queued, "cancelled", "client is closed");
    while (pool->ended.first != NULL) {
        move(pool->ended.first, NULL);
    }
    while (pool->spare != NULL) {
        struct retab_kit *kit = pool->spare;
        pool->spare = kit->next;
        retab_kit_free(kit);
    }
    if (pool->multi != NULL) {
        curl_multi_cleanup(pool->multi);
        pool->multi = NULL;
        if (pool->events) {
            retab_watch_close(pool->watch);
        }
    }
    free(pool->sockets);
    pool->sockets = NULL;
    leave(pool, &sigpipe);
}

static struct retab_kit *new_kit(struct retab_pool *pool)
{
    struct retab_kit *kit = pool->spare;
    if (kit == NULL) {
        return retab_kit_new();
    }
    pool->spare = kit->next;
    pool->spare_bytes -= KIT_BYTES + kit->head.room + kit->body.room;
    return kit;
}

void retab_pool_keep(struct retab_pool *pool, struct retab_kit *kit)
{
    const size_t bytes = KIT_BYTES + kit->head.room + kit->body.room;
    if (!pool->open || pool->spare_bytes + bytes > SPARE_BYTES) {
        retab_kit_free(kit);
        return;
    }
    retab_kit_reset(kit);
    kit->next = pool->spare;
    pool->spare = kit;
    pool->spare_bytes += bytes;
}

/* Prepares the transfer and queues it. Returns as retab_pool_send. */
static int enqueue(struct retab_pool *pool, struct retab_transfer *transfer, const struct retab_request *request)
{
    transfer->kit = new_kit(pool);
    if (transfer->kit == NULL) {
        return -1;
    }
    transfer->pool = pool;
    const CURLcode code = retab_transfer_prepare(transfer, request);
    if (code == CURLE_OK) {
        curl_easy_setopt(transfer->kit->easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
        curl_easy_setopt(transfer->kit->easy, CURLOPT_OPENSOCKETDATA, pool);
        curl_easy_setopt(transfer->kit->easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
        curl_easy_setopt(transfer->kit->easy, CURLOPT_CLOSESOCKETDATA, pool);
        transfer->state = RETAB_QUEUED;
        transfer->id = ++pool->ids;
        move(transfer, &pool->queued);
        return 0;
    }
    retab_pool_keep(pool, transfer->kit);
    transfer->kit = NULL;
    if (code == CURLE_OUT_OF_MEMORY) {
        return -1;
    }
    transfer->state = RETAB_DONE;
    transfer->kind = "connection";
    return 0;
}

int retab_pool_send(struct retab_pool *pool, struct retab_transfer *transfer, const struct retab_request *request)
{
    struct retab_sigpipe sigpipe;
    int result = 0;
    if (!pool->open) {
        transfer->state = RETAB_DONE;
        retab_transfer_fail(transfer, "cancelled", "client is closed");
        return 0;
    }
    enter(pool, &sigpipe);
    if (!ready(pool)) {
        transfer->state = RETAB_DONE;
        retab_transfer_fail(transfer, "connection", strerror(errno));
    } else {
        result = enqueue(pool, transfer, request);
        start(pool);
    }
    leave(pool, &sigpipe);
    return result;
}

void retab_pool_step(struct retab_pool *pool)
{
    struct retab_sigpipe sigpipe;
    if (pool->open) {
        enter(pool, &sigpipe);
        (void)run(pool);
        pool->due_back = retab_deadline_due_back(next_due(pool), retab_pool_now());
        leave(pool, &sigpipe);
    }
}

void retab_pool_wait(struct retab_pool *pool, int64_t most)
{
    struct retab_sigpipe sigpipe;
    if (!pool->open) {
        return;
    }
    enter(pool, &sigpipe);
    if (!run(pool)) {
        const int64_t due = next_due(pool), now = retab_pool_now();
        most = due - now < most ? due - now : most;
        most = most < LONGEST_WAIT ? most : LONGEST_WAIT;
        const int milliseconds = most > 0 ? (int)((most + 999) / 1000) : 0;
        if (pool->multi != NULL) {
            const CURLMcode code = curl_multi_poll(pool->multi, NULL, 0, milliseconds, NULL);
            if (code != CURLM_OK && errno != EINTR) {
                finish_ended(pool, code);
            }
        } else {
            (void)poll(NULL, 0, milliseconds);
        }
        (void)run(pool);
    }
    pool->due_back = 0;
    leave(pool, &sigpipe);
}

int64_t retab_pool_due(struct retab_pool *pool)
{
    if (!pool->open || (pool->queued.first == NULL && pool->running.first == NULL)) {
        return RETAB_NEVER;
    }
    const int64_t now = retab_pool_now();
    credit_absence(pool, now);
    pool->due_back = retab_deadline_due_back(next_due(pool), now);
    return pool->due_back - now;
}

int retab_pool_descriptor(struct retab_pool *pool)
{
    struct retab_sigpipe sigpipe;
    if (!pool->open || !pool->events) {
        return -1;
    }
    enter(pool, &sigpipe);
    const int watch = ready(pool) ? pool->watch : -1;
    leave(pool, &sigpipe);
    return watch;
}

int64_t retab_pool_finished(struct retab_pool *pool)
{
    struct retab_transfer *transfer = pool->ended.first;
    if (transfer == NULL) {
        return 0;
    }
    move(transfer, NULL);
    return transfer->id;
}

/* ---- a transfer ---------------------------------------------------------------------------------------------- */

struct retab_kit *retab_transfer_take(struct retab_transfer *transfer)
{
    struct retab_kit *kit = transfer->kit;
    transfer->kit = NULL;
    transfer->state = RETAB_CLOSED;
    move(transfer, NULL);
    curl_slist_free_all(transfer->headers);
    transfer->headers = NULL;
    return kit;
}

void retab_transfer_close(struct retab_transfer *transfer)
{
    struct retab_pool *pool = transfer->pool;
    if (transfer->state == RETAB_QUEUED || transfer->state == RETAB_RUNNING) {
        struct retab_sigpipe sigpipe;
        enter(pool, &sigpipe);
        if (transfer->state != RETAB_DONE) { /* as it is now in a forked child */
            finish(transfer, CURLE_OK, "cancelled", "the request was cancelled");
            start(pool); /* its connection is free for the next one */
        }
        leave(pool, &sigpipe);
    }
    struct retab_kit *kit = retab_transfer_take(transfer);
    if (kit != NULL) {
        retab_pool_keep(pool, kit);
    }
}
