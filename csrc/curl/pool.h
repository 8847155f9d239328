/* A pool: connections, and the transfers that take turns on them, on one multi handle of libcurl. Nothing here blocks,
 * but for retab_pool_wait. It knows nothing of Lua; module.c is its face to Lua.
 *
 * Who owns what: the caller owns pool and transfers, at addresses that do not change; a transfer that was sent must not
 * outlive the memory of its pool. Either may be closed first, and any number of times. A pool that is all zero is
 * closed: the caller opens it by setting `open`, `events` and `max_connections`. A pool creates its multi handle when
 * it first needs it.
 *
 * With `events`, the host watches a descriptor and the time; otherwise it steps now and then, or waits. The latter uses
 * an interface of libcurl that survives missing memory, which older versions of the other one do not.
 *
 * Timeouts do not count the time in which the caller has control. After retab_pool_step and retab_pool_due, the host is
 * expected back when something is due, and after RETAB_ATTENTION at the latest. All else is the caller's own time.
 *
 * After fork, a pool is as new in the child: what its parent had sent is cancelled there, and it opens connections of
 * its own. libcurl's handles and sockets of before stay as they are until the child ends, since libcurl would say
 * goodbye to the servers.
 *
 * A program that is started from here inherits none of the sockets, but for a pair that some versions of libcurl have
 * while a name is resolved. */
#pragma once

#include <sys/types.h>

#include "transfer.h"

#pragma GCC visibility push(hidden)

struct retab_pool {
    int open;
    int events, max_connections;         /* max_connections: at least 1 */
    CURLM *multi;                        /* NULL: not needed so far */
    pid_t process;                       /* whose multi handle it is */
    int watch;                           /* with `events` and a multi handle: the descriptor (watch.h) */
    int failure;                         /* errno of a socket that could not be watched, or 0 */
    struct retab_transfer *first, **end; /* the transfers that are QUEUED or RUNNING, in the order of sending */
    int running;                         /* how many of them are RUNNING */
    int64_t finished, connections;       /* counts, so far */
    int64_t timer;                       /* when libcurl wants to be called */
    int64_t due_back;                    /* when the host is */
};

/* Ends the transfers that are not done, as cancelled, and frees what the pool owns. */
void retab_pool_close(struct retab_pool *pool);

/* Sends a request on a NEW transfer. Returns 0; 1: the request cannot be sent, and the transfer is DONE with the error;
 * or -1: not enough memory. */
int retab_pool_send(struct retab_pool *pool, struct retab_transfer *transfer, const struct retab_request *request);

/* Does what can be done without waiting. */
void retab_pool_step(struct retab_pool *pool);

/* Waits for the network, up to `most`, and does what can be done then. */
void retab_pool_wait(struct retab_pool *pool, int64_t most);

/* Returns how long the host may stay away, unless the descriptor is readable; RETAB_NEVER if nothing is under way. */
int64_t retab_pool_due(struct retab_pool *pool);

/* Returns the descriptor of a pool with `events`, which is readable when a step is due; or -1. */
int retab_pool_descriptor(struct retab_pool *pool);

/* Closes a transfer in any state. */
void retab_transfer_close(struct retab_transfer *transfer);

/* Returns the time, on the clock of all times here. */
int64_t retab_pool_now(void);

#pragma GCC visibility pop
