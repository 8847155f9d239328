/* When a transfer must end, and how much of the time the caller had control. These are pure functions: the caller
 * says what time it is, so a test needs neither a clock nor a network.
 *
 * All times are microseconds on one clock that never goes back. */
#pragma once

#include <stdint.h>

#pragma GCC visibility push(hidden)

#define RETAB_NEVER INT64_MAX

/* A host that waits for a transfer comes back at least this often. The rest of a longer absence is the caller's own
 * time. Shorter intervals wake the host more often; longer ones count more of the caller's work against a timeout. */
#define RETAB_ATTENTION ((int64_t)50000)

struct retab_deadline {
    int64_t timeout, connect_timeout; /* intervals that begin at `started` */
    int64_t expires;                  /* a point in time, which also holds while the transfer is queued */
    int64_t started;                  /* RETAB_NEVER: the transfer is queued */
    int64_t credit;                   /* how long the caller had control since `started` */
};

enum retab_late { RETAB_IN_TIME, RETAB_LATE_CALL, RETAB_LATE_RESPONSE, RETAB_LATE_CONNECTION };

/* Returns the time at which the transfer must end. `connected`: the connection stands, TLS included. */
int64_t retab_deadline_next(const struct retab_deadline *deadline, int connected);

/* Returns which limit has passed at `now`. */
enum retab_late retab_deadline_late(const struct retab_deadline *deadline, int connected, int64_t now);

/* Returns the time at which a host is due back that leaves at `now` and has something to do at `due`. */
int64_t retab_deadline_due_back(int64_t due, int64_t now);

#pragma GCC visibility pop
