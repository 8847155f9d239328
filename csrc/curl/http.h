/* HTTP with libcurl: a pool of connections and the transfers on them. Nothing here blocks, but for
 * retab_http_wait. It knows nothing of Lua, nor of JSON; pool.c is its face to Lua.
 *
 * libcurl's callbacks fill buffers, and tell the watch (watch.h) of their sockets. The event loop of a host watches
 * that one descriptor and the time; the drivers in lua/retab/driver see to it.
 *
 * Who owns what: a pool owns the multi handle, and what its transfers left for the next ones. A transfer owns
 * its kit (easy handle, headers, buffers) until it is dropped, or the kit is taken. Either may go first: closing the
 * pool drops its transfers, dropping a transfer takes it out of the pool. Both start all zero, and may be closed at any
 * time and any number of times.
 *
 * Times are microseconds, on a clock that never goes back. Functions that return int give 0, or -1 where there
 * is no memory, unless they say otherwise. */
#ifndef RETAB_HTTP_H
#define RETAB_HTTP_H

#include <stddef.h>
#include <stdint.h>

#define RETAB_HTTP_NEVER INT64_MAX

/* What was received; behind it, a NUL, unless it is nothing. */
struct retab_http_buffer {
    char *bytes;
    size_t length, room;
};

/* What a transfer works with, and leaves to the next one. */
struct retab_http_kit {
    void *easy;                          /* libcurl's handle */
    void *headers;                       /* of the request: libcurl's list */
    struct retab_http_buffer head, body; /* of the answer: its header lines, without the status line; its body */
    struct retab_http_kit *next;         /* of the pool's spare ones */
};

enum retab_http_state { RETAB_HTTP_NEW, RETAB_HTTP_QUEUED, RETAB_HTTP_RUNNING, RETAB_HTTP_DONE };

struct retab_http_transfer {
    struct retab_http_pool *pool; /* NULL: dropped */
    struct retab_http_transfer *previous, *next;
    struct retab_http_kit *kit;
    int64_t id; /* counts the transfers of the pool, from 1 */
    enum retab_http_state state;
    int64_t timeout, since, expires; /* its span once it runs; from and until when it counts */
    size_t max_body;
    int code;                         /* libcurl's, when it is done */
    int refused, timed_out, reported; /* refused: why the answer was, by ourselves; or 0 */
    char error[256];                  /* libcurl's words */
};

struct retab_http_pool {
    void *multi;                              /* libcurl's handle; NULL: closed */
    struct retab_http_transfer *first, *last; /* in the order in which they were sent */
    struct retab_http_kit *spare;
    int spares, running;
    int64_t ids, connections; /* how many so far */
    int64_t due;              /* when libcurl's timer wants a step; NEVER */
    int64_t left;             /* since when the time is the caller's own; 0 where nobody waits */
    int max_connections;
    int watch;                       /* of `events`, while it is open: the descriptor of all sockets (watch.h) */
    int events;                      /* the host watches `watch` and the timer; else it steps, or waits */
    char *ca_file, *ca_path, *proxy; /* its own copies; NULL: libcurl's defaults */
};

/* Makes libcurl ready, once per module. -1 where it can't be. */
int retab_http_setup(void);

/* The version of libcurl. */
const char *retab_http_version(void);

int64_t retab_http_now(void);

/* Opens a pool whose options (the last five fields) are set. 0, or -1 with errno set. */
int retab_http_open(struct retab_http_pool *pool);

/* Closes a pool: its transfers are done, as cancelled. */
void retab_http_close(struct retab_http_pool *pool);

/* Makes a new transfer the pool's. */
int retab_http_begin(struct retab_http_pool *pool, struct retab_http_transfer *transfer);

/* Adds a header line to the request; an empty value is written with a semicolon for the colon. */
int retab_http_header(struct retab_http_transfer *transfer, const char *line);

/* Sends the request: it runs as soon as there may be one more connection, `timeout` at most, and is over at
 * `expires` in any case. NULL, or what is wrong with it. */
const char *retab_http_send(struct retab_http_transfer *transfer, const char *url, int64_t timeout,
                            int64_t connect_timeout, int64_t expires, size_t max_body);

/* Ends a transfer, whatever its state; it counts as cancelled unless it was done. */
void retab_http_drop(struct retab_http_transfer *transfer);

/* Drops a transfer that is done, but for its kit: that is the caller's, until it retires it. */
struct retab_http_kit *retab_http_take(struct retab_http_transfer *transfer);

/* Leaves a kit that was taken to the next transfers of its pool, which may be closed by now. */
void retab_http_retire(struct retab_http_pool *pool, struct retab_http_kit *kit);

/* Does what can be done without waiting: what sockets that are ready and the time make possible. */
void retab_http_step(struct retab_http_pool *pool);

/* Waits for the network, `most` at most, and does what can be done then. In a pool that was ever waited for so,
 * the time between its functions is the caller's own, and counts for no transfer that runs. */
void retab_http_wait(struct retab_http_pool *pool, int64_t most);

/* How long until a step is due by the clock; NEVER where nothing is under way. */
int64_t retab_http_until_due(const struct retab_http_pool *pool);

/* The id of a transfer that is done and was not reported yet, or 0. */
int64_t retab_http_next_finished(struct retab_http_pool *pool);

int retab_http_is_done(const struct retab_http_transfer *transfer);

/* Of a transfer that is done: what kind of error it ended with, in the terms of lua/retab/error.lua; NULL for none.
 * An answer that was dropped, or taken, counts as cancelled. */
const char *retab_http_error_kind(const struct retab_http_transfer *transfer);
const char *retab_http_error_message(const struct retab_http_transfer *transfer);

/* Of a transfer that is done without an error. Its header and body are in the kit. */
int retab_http_status(const struct retab_http_transfer *transfer);

#endif
