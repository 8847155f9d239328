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

/* Lua handles a signal such as Ctrl-C after a wait, and not every signal ends a wait. */
#define LONGEST_WAIT ((int64_t)1000000)

int64_t retab_pool_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* ---- lists -------------------------------------------------------------------------------------------------- */

static void leave_list(struct retab_transfer *transfer)
{
    if (transfer->list != NULL) {
        *transfer->link = transfer->next;
        *(transfer->next != NULL ? &transfer->next->link : &transfer->list->end) = transfer->link;
        transfer->list = NULL;
    }
}

/* Moves a transfer to the end of a list. */
static void enter_list(struct retab_list *list, struct retab_transfer *transfer)
{
    leave_list(transfer);
    transfer->list = list;
    transfer->next = NULL;
    transfer->link = list->first != NULL ? list->end : &list->first;
    *transfer->link = transfer;
    list->end = &transfer->next;
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
    return 0; /* with any other value, libcurl aborts the transfers */
}

static int on_timer(CURLM *multi, long milliseconds, void *context)
{
    struct retab_pool *pool = context;
    (void)multi;
    pool->timer = milliseconds < 0 ? RETAB_NEVER : retab_pool_now() + (int64_t)milliseconds * 1000;
    return 0;
}

/* ---- the multi handle ---------------------------------------------------------------------------------------- */

/* Creates the multi handle if there is none. Returns nonzero, or 0 with errno set. */
static int ensure_multi(struct retab_pool *pool)
{
    if (pool->multi != NULL) {
        return 1;
    }
    pool->process = getpid();
    pool->timer = RETAB_NEVER;
    pool->watch = pool->events ? retab_watch_open() : -1;
    if (pool->events && pool->watch < 0) {
        return 0;
    }
    pool->multi = retab_process_new_multi();
    if (pool->multi == NULL) {
        (void)close(pool->watch);
        errno = ENOMEM;
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

/* Takes a RUNNING transfer from libcurl, and stores what libcurl knows of it. */
static void stop_running(struct retab_transfer *transfer)
{
    struct retab_pool *pool = transfer->pool;
    long opened = 0, status = 0, sent = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &opened);
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &sent);
    curl_multi_remove_handle(pool->multi, transfer->easy);
    pool->connections += opened;
    pool->running--;
    transfer->status = (int)status;
    transfer->sent = sent > 0;
}

/* Ends a transfer that is QUEUED or RUNNING, with libcurl's code, or with kind and message. */
static void finish(struct retab_transfer *transfer, CURLcode code, const char *kind, const char *message)
{
    if (transfer->state == RETAB_RUNNING) {
        stop_running(transfer);
    }
    if (kind != NULL) {
        retab_transfer_fail(transfer, kind, message);
    } else {
        retab_transfer_conclude(transfer, code);
    }
    retab_transfer_release(transfer);
    transfer->state = RETAB_DONE;
    transfer->pool->finished++;
    enter_list(&transfer->pool->ended, transfer);
}

static void finish_all(struct retab_pool *pool, enum retab_state state, const char *kind, const char *message)
{
    struct retab_transfer *next;
    for (struct retab_transfer *transfer = pool->current.first; transfer != NULL; transfer = next) {
        next = transfer->next;
        if (transfer->state == state) {
            finish(transfer, CURLE_OK, kind, message);
        }
    }
}

/* In a child after fork: forgets what belongs to the parent. */
static void disown(struct retab_pool *pool)
{
    static const char message[] = "the request was sent before fork";
    if (RETAB_WATCH_IS_INHERITED) {
        (void)close(pool->watch);
    }
    pool->multi = NULL;
    pool->running = 0;
    for (struct retab_transfer *transfer = pool->current.first; transfer != NULL; transfer = transfer->next) {
        if (transfer->state == RETAB_RUNNING) {
            transfer->easy = NULL; /* not freed: it belongs to the multi handle, and uses the headers */
            transfer->headers = NULL;
            transfer->sent = 1; /* by the parent */
            transfer->state = RETAB_QUEUED;
        }
    }
    finish_all(pool, RETAB_QUEUED, "cancelled", message);
}

/* Credits the time since the host should have stepped to the transfers that run: the caller had control. */
static void credit_absence(struct retab_pool *pool, int64_t now)
{
    if (now > pool->due_back) {
        for (struct retab_transfer *transfer = pool->current.first; transfer != NULL; transfer = transfer->next) {
            if (transfer->state == RETAB_RUNNING) {
                retab_transfer_credit(transfer, now - pool->due_back);
            }
        }
        pool->due_back = now;
    }
}

/* Each public function that calls libcurl calls `enter` before, and `leave` after. */
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

/* Starts queued transfers, up to max_connections. Returns nonzero if it started any. */
static int start_queued(struct retab_pool *pool)
{
    struct retab_transfer *next;
    int started = 0;
    for (struct retab_transfer *transfer = pool->current.first;
         transfer != NULL && pool->running < pool->max_connections; transfer = next) {
        next = transfer->next;
        if (transfer->state == RETAB_QUEUED) {
            const CURLMcode code = curl_multi_add_handle(pool->multi, transfer->easy);
            if (code != CURLM_OK) {
                finish(transfer, CURLE_OK, "connection", curl_multi_strerror(code));
                continue;
            }
            transfer->state = RETAB_RUNNING;
            transfer->deadline.started = retab_pool_now();
            pool->running++;
            started = 1;
        }
    }
    return started;
}

static int is_connected(const struct retab_transfer *transfer)
{
    return transfer->state == RETAB_RUNNING && retab_transfer_is_connected(transfer);
}

static void finish_late(struct retab_pool *pool, int64_t now)
{
    struct retab_transfer *next;
    for (struct retab_transfer *transfer = pool->current.first; transfer != NULL; transfer = next) {
        next = transfer->next;
        const enum retab_late late = retab_deadline_late(&transfer->deadline, is_connected(transfer), now);
        if (late != RETAB_IN_TIME) {
            finish(transfer, CURLE_OK, "timeout", "");
            retab_transfer_conclude_late(transfer, late);
        }
    }
}

/* Finishes the transfers that libcurl has ended; all that run, if libcurl or a socket failed; those that are late. */
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
        finish_all(pool, RETAB_RUNNING, "connection", curl_multi_strerror(code));
    } else if (pool->failure != 0) {
        char text[CURL_ERROR_SIZE];
        (void)snprintf(text, sizeof text, "cannot watch a socket: %s", strerror(pool->failure));
        finish_all(pool, RETAB_RUNNING, "connection", text);
    }
    pool->failure = 0;
    finish_late(pool, retab_pool_now());
}

/* Without `events`: waits up to `milliseconds`, and lets libcurl read and write. */
static CURLMcode perform(struct retab_pool *pool, int milliseconds)
{
    int running;
    const CURLMcode code = milliseconds > 0 ? curl_multi_poll(pool->multi, NULL, 0, milliseconds, NULL) : CURLM_OK;
    return code == CURLM_OK || errno == EINTR ? curl_multi_perform(pool->multi, &running) : code;
}

/* With `events`: tells libcurl which sockets are ready, and that time has passed. */
static CURLMcode perform_events(struct retab_pool *pool, int milliseconds)
{
    struct retab_watch_event events[RETAB_WATCH_EVENTS];
    CURLMcode code = CURLM_OK;
    int running;
    const int count = retab_watch_wait(pool->watch, events, milliseconds);
    for (int i = 0; i < count && code == CURLM_OK; i++) {
        code = curl_multi_socket_action(
            pool->multi, events[i].socket,
            (events[i].readable ? CURL_CSELECT_IN : 0) | (events[i].writable ? CURL_CSELECT_OUT : 0), &running);
    }
    pool->timer = RETAB_NEVER; /* unless libcurl sets it again */
    return code == CURLM_OK ? curl_multi_socket_action(pool->multi, CURL_SOCKET_TIMEOUT, 0, &running) : code;
}

/* Waits up to `milliseconds` for the network, and moves the transfers on. */
static void run(struct retab_pool *pool, int milliseconds)
{
    if (pool->multi == NULL) {
        (void)poll(NULL, 0, milliseconds);
        return;
    }
    do {
        finish_ended(pool, pool->events ? perform_events(pool, milliseconds) : perform(pool, milliseconds));
        milliseconds = 0;
    } while (start_queued(pool));
}

/* Starts queued transfers, and lets libcurl begin with them. */
static void start(struct retab_pool *pool)
{
    if (start_queued(pool)) {
        run(pool, 0);
    }
}

/* Returns the time at which libcurl's timer or a deadline is due. */
static int64_t next_due(const struct retab_pool *pool)
{
    int64_t due = pool->current.first == NULL ? RETAB_NEVER : pool->timer;
    for (const struct retab_transfer *transfer = pool->current.first; transfer != NULL; transfer = transfer->next) {
        const int64_t end = retab_deadline_next(&transfer->deadline, is_connected(transfer));
        due = end < due ? end : due;
    }
    return due;
}

/* ---- the pool ------------------------------------------------------------------------------------------------ */

void retab_pool_close(struct retab_pool *pool)
{
    struct retab_sigpipe sigpipe;
    enter(pool, &sigpipe);
    pool->open = 0;
    finish_all(pool, RETAB_RUNNING, "cancelled", "client is closed");
    finish_all(pool, RETAB_QUEUED, "cancelled", "client is closed");
    while (pool->ended.first != NULL) {
        leave_list(pool->ended.first);
    }
    if (pool->multi != NULL) {
        curl_multi_cleanup(pool->multi);
        pool->multi = NULL;
        (void)close(pool->watch);
    }
    leave(pool, &sigpipe);
}

/* Prepares the transfer and queues it. Returns as retab_pool_send. */
static int enqueue(struct retab_pool *pool, struct retab_transfer *transfer, const struct retab_request *request)
{
    const CURLcode code = retab_transfer_prepare(transfer, request);
    transfer->pool = pool;
    if (code == CURLE_OK) {
        transfer->state = RETAB_QUEUED;
        transfer->id = ++pool->sent;
        enter_list(&pool->current, transfer);
        return 0;
    }
    retab_transfer_release(transfer);
    transfer->state = RETAB_DONE;
    transfer->kind = "connection";
    return code == CURLE_OUT_OF_MEMORY ? -1 : 1;
}

int retab_pool_send(struct retab_pool *pool, struct retab_transfer *transfer, const struct retab_request *request)
{
    struct retab_sigpipe sigpipe;
    int result = 1;
    transfer->state = RETAB_DONE; /* unless it is queued */
    if (!pool->open) {
        retab_transfer_fail(transfer, "cancelled", "client is closed");
        return result;
    }
    enter(pool, &sigpipe);
    if (!ensure_multi(pool)) {
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
        run(pool, 0);
        pool->due_back = retab_deadline_due_back(next_due(pool), retab_pool_now());
        leave(pool, &sigpipe);
    }
}

void retab_pool_wait(struct retab_pool *pool, int64_t most)
{
    const int64_t before = pool->finished;
    struct retab_sigpipe sigpipe;
    if (!pool->open) {
        return;
    }
    enter(pool, &sigpipe);
    run(pool, 0);
    if (pool->finished == before) {
        const int64_t due = next_due(pool) - retab_pool_now();
        most = due < most ? due : most;
        most = most < LONGEST_WAIT ? most : LONGEST_WAIT;
        run(pool, most > 0 ? (int)((most + 999) / 1000) : 0);
    }
    pool->due_back = 0; /* the caller had no control while this waited */
    leave(pool, &sigpipe);
}

int64_t retab_pool_due(struct retab_pool *pool)
{
    const int64_t now = retab_pool_now();
    if (!pool->open || pool->current.first == NULL) {
        return RETAB_NEVER;
    }
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
    const int watch = ensure_multi(pool) ? pool->watch : -1;
    leave(pool, &sigpipe);
    return watch;
}

int64_t retab_pool_finished(struct retab_pool *pool)
{
    struct retab_transfer *transfer = pool->ended.first;
    if (transfer == NULL) {
        return 0;
    }
    leave_list(transfer);
    return transfer->id;
}

/* ---- a transfer ---------------------------------------------------------------------------------------------- */

void retab_transfer_close(struct retab_transfer *transfer)
{
    if (transfer->state == RETAB_QUEUED || transfer->state == RETAB_RUNNING) {
        struct retab_pool *pool = transfer->pool;
        struct retab_sigpipe sigpipe;
        enter(pool, &sigpipe);
        if (transfer->state != RETAB_DONE) { /* in a forked child, `enter` has finished it */
            finish(transfer, CURLE_OK, "cancelled", "the request was cancelled");
            start(pool); /* the next transfer can use its connection */
        }
        leave(pool, &sigpipe);
    }
    leave_list(transfer);
    retab_transfer_release(transfer);
    free(transfer->head.bytes);
    free(transfer->body.bytes);
    transfer->head = transfer->body = (struct retab_buffer){NULL, 0, 0};
    transfer->state = RETAB_CLOSED;
}
