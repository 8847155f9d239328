#include "deadline.h"

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Returns the end of an interval that begins at `started`. An interval may be as long as int64_t allows. */
static int64_t end_of(const struct retab_deadline *deadline, int64_t interval)
{
    const int64_t start = deadline->started == RETAB_NEVER ? RETAB_NEVER : deadline->started + deadline->credit;
    return interval < RETAB_NEVER - start ? start + interval : RETAB_NEVER;
}

int64_t retab_deadline_next(const struct retab_deadline *deadline, int connected)
{
    const int64_t end = earlier(deadline->expires, end_of(deadline, deadline->timeout));
    return connected ? end : earlier(end, end_of(deadline, deadline->connect_timeout));
}

enum retab_late retab_deadline_late(const struct retab_deadline *deadline, int connected, int64_t now)
{
    if (now < retab_deadline_next(deadline, connected)) {
        return RETAB_IN_TIME;
    }
    if (now >= deadline->expires) {
        return RETAB_LATE_CALL;
    }
    return now >= end_of(deadline, deadline->timeout) ? RETAB_LATE_RESPONSE : RETAB_LATE_CONNECTION;
}

int64_t retab_deadline_due_back(int64_t due, int64_t now)
{
    const int64_t back = earlier(due, now + RETAB_ATTENTION);
    return back > now ? back : now;
}
