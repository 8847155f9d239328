#include "deadline.h"

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* An interval may be as long as int64_t allows. */
static int64_t after(int64_t start, int64_t interval)
{
    return interval < RETAB_NEVER - start ? start + interval : RETAB_NEVER;
}

static int64_t after_start(const struct retab_deadline *deadline, int64_t interval)
{
    return deadline->started == RETAB_NEVER ? RETAB_NEVER : after(deadline->started + deadline->credit, interval);
}

int64_t retab_deadline_next(const struct retab_deadline *deadline, int connected)
{
    const int64_t end = earlier(deadline->expires, after_start(deadline, deadline->timeout));
    return connected ? end : earlier(end, after_start(deadline, deadline->connect_timeout));
}

enum retab_late retab_deadline_late(const struct retab_deadline *deadline, int connected, int64_t now)
{
    if (now >= deadline->expires) {
        return RETAB_LATE_CALL;
    }
    if (now >= after_start(deadline, deadline->timeout)) {
        return RETAB_LATE_RESPONSE;
    }
    return now >= retab_deadline_next(deadline, connected) ? RETAB_LATE_CONNECTION : RETAB_IN_TIME;
}

int64_t retab_deadline_due_back(int64_t due, int64_t now)
{
    const int64_t back = earlier(due, now + RETAB_ATTENTION);
    return back > now ? back : now;
}

int64_t retab_deadline_overstay(int64_t due_back, int64_t now)
{
    return now > due_back ? now - due_back : 0;
}
