/* A pool: connections, and the transfers that take turns on them, on one multi handle of libcurl. Only retab_pool_wait
 * blocks. Knows nothing of Lua: module.c has the Lua functions.
 *
 * Ownership: the caller owns the pool and its transfers, at addresses that do not change. The memory of a pool must
 * outlive the transfers that were sent with it. Both may be closed in any order, and any number of times. A pool that
 * is all zero is closed: the caller opens it by setting `open`, `events` and `max_connections`. A pool creates its
 * multi handle when it first needs it.
 *
 * With `events`, the host watches a descriptor and the time. Without, it steps now and then, or waits: this uses
 * another interface of libcurl, which survives missing memory in older versions, too.
 *
 * The time in which the caller has control does not count against timeouts. After retab_pool_step and retab_pool_due,
 * the host must step when something is due, and after RETAB_ATTENTION at the latest. Later time is the caller's.
 *
 * After fork, the pool of the child is like a new one: transfers that the parent sent are cancelled there, and it opens
 * its own connections. The child never frees the libcurl handles and sockets of the parent, since libcurl would then
 * end the parent's connections.
 *
 * Programs that this one starts inherit no socket, except a pair that some versions of libcurl have while a name is
 * resolved. */
#pragma once

#include <sys/types.h>

#include "transfer.h"

#pragma GCC visibility push(hidden)

struct retab_list {
    struct retab_transfer *first, **end;
};

struct retab_pool {
    int open;
    int events, max_connections;         /* max_connections: at least 1 */
    CURLM *multi;                        /* NULL: not created yet */
    pid_t process;                       /* the process that created the multi handle */
    int watch;                           /* with `events` and a multi handle: the descriptor (watch.h) */
    int failure;                         /* errno of a socket that could not be watched, or 0 */
    struct retab_list current;           /* the transfers that are QUEUED or RUNNING, in the order of sending */
    struct retab_list ended;             /* those that are DONE and not yet reported */
    int running;                         /* the number of transfers that are RUNNING */
    int64_t sent, finished, connections; /* totals so far */
    int64_t timer;                       /* the time at which libcurl must be called */
    int64_t due_back;                    /* the time at which the host must step */
};

/* Ends the transfers that are not done, as cancelled, and frees what the pool owns. */
void retab_pool_close(struct retab_pool *pool);

/* Sends a request on a NEW transfer. Returns 0; 1 if it cannot be sent, and the transfer is DONE with the error; or -1
 * if there is no memory. */
int retab_pool_send(struct retab_pool *pool, struct retab_transfer *transfer, const struct retab_request *request);

/* Moves the transfers on as far as possible without waiting. */
void retab_pool_step(struct retab_pool *pool);

/* Waits for the network, at most `most`, then steps. It can return earlier. */
void retab_pool_wait(struct retab_pool *pool, int64_t most);

/* Returns the time until a step is due, unless the descriptor is readable before; RETAB_NEVER without transfers. */
int64_t retab_pool_due(struct retab_pool *pool);

/* Returns the descriptor of a pool with `events`, which is readable when the network makes a step due; or -1. */
int retab_pool_descriptor(struct retab_pool *pool);

/* Returns the id of a transfer that is DONE and was not reported before, or 0. */
int64_t retab_pool_finished(struct retab_pool *pool);

/* Closes a transfer in any state. */
void retab_transfer_close(struct retab_transfer *transfer);

/* Returns the current time, on the clock of deadline.h. */
int64_t retab_pool_now(void);

#pragma GCC visibility pop
