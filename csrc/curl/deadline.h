/* Computes when a transfer must end. The time in which the caller has control does not count against timeouts: it is
 * credit. These are pure functions: the time is a parameter, so a test needs neither a clock nor a network.
 *
 * All times are microseconds on one clock that never goes back. */
#pragma once

#include <stdint.h>

#pragma GCC visibility push(hidden)

#define RETAB_NEVER INT64_MAX

/* A host that waits for a transfer must step at least this often. If it steps later, the rest of its absence is credit.
 * Shorter intervals wake the host more often; longer ones count more of the caller's work against a timeout. */
#define RETAB_ATTENTION ((int64_t)50000)

struct retab_deadline {
    int64_t timeout, connect_timeout; /* intervals that begin at `started` */
    int64_t expires;                  /* a point in time; it applies to queued transfers, too */
    int64_t started;                  /* RETAB_NEVER: the transfer is queued */
    int64_t credit;                   /* the time in which the caller had control since `started` */
};

enum retab_late { RETAB_IN_TIME, RETAB_LATE_CALL, RETAB_LATE_RESPONSE, RETAB_LATE_CONNECTION };

/* Returns the time at which the transfer must end. connected: the connection is established, TLS included. */
int64_t retab_deadline_next(const struct retab_deadline *deadline, int connected);

/* Returns which limit has passed at `now`. */
enum retab_late retab_deadline_late(const struct retab_deadline *deadline, int connected, int64_t now);

/* A host gets control at `now`, and something is due at `due`. Returns the time at which the host must step. */
int64_t retab_deadline_due_back(int64_t due, int64_t now);

#pragma GCC visibility pop
