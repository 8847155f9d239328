/* Deadlines, with neither a clock nor a network: time is what this test says it is. */
#include "../../csrc/curl/deadline.h"

#include "check.h"

#define SECOND ((int64_t)1000000)

/* A transfer with 60 s, 10 s of them for the connection, in a call that ends at 1000 s. */
static struct retab_deadline queued(void)
{
    return (struct retab_deadline){60 * SECOND, 10 * SECOND, 1000 * SECOND, RETAB_NEVER, 0};
}

static struct retab_deadline started(int64_t now)
{
    struct retab_deadline deadline = queued();
    deadline.started = now;
    return deadline;
}

static void test_queued(void)
{
    const struct retab_deadline deadline = queued();
    CHECK(retab_deadline_next(&deadline, 0) == 1000 * SECOND, "only the call's deadline counts in the queue");
    CHECK(retab_deadline_late(&deadline, 0, 1000 * SECOND - 1) == RETAB_IN_TIME, "before it");
    CHECK(retab_deadline_late(&deadline, 0, 1000 * SECOND) == RETAB_LATE_CALL, "at it");
}

static void test_started(void)
{
    const struct retab_deadline deadline = started(100 * SECOND);
    CHECK(retab_deadline_next(&deadline, 0) == 110 * SECOND, "the connection is due first");
    CHECK(retab_deadline_late(&deadline, 0, 110 * SECOND - 1) == RETAB_IN_TIME, "before it");
    CHECK(retab_deadline_late(&deadline, 0, 110 * SECOND) == RETAB_LATE_CONNECTION, "at it");
    CHECK(retab_deadline_next(&deadline, 1) == 160 * SECOND, "a connection that stands has no deadline");
    CHECK(retab_deadline_late(&deadline, 1, 160 * SECOND - 1) == RETAB_IN_TIME, "before the timeout");
    CHECK(retab_deadline_late(&deadline, 1, 160 * SECOND) == RETAB_LATE_RESPONSE, "at the timeout");
}

static void test_credit(void)
{
    struct retab_deadline deadline = started(100 * SECOND);
    deadline.credit = 500 * SECOND;
    CHECK(retab_deadline_next(&deadline, 0) == 610 * SECOND, "the caller's time moves the connection's deadline");
    CHECK(retab_deadline_next(&deadline, 1) == 660 * SECOND, "and the timeout");
    deadline.credit = 5000 * SECOND;
    CHECK(retab_deadline_late(&deadline, 1, 1000 * SECOND) == RETAB_LATE_CALL, "but not the call's deadline");
}

static void test_endless(void)
{
    struct retab_deadline deadline = started(100 * SECOND);
    deadline.timeout = deadline.connect_timeout = RETAB_NEVER;
    CHECK(retab_deadline_next(&deadline, 0) == 1000 * SECOND, "the longest intervals do not overflow");
}

static void test_attention(void)
{
    const int64_t now = 100 * SECOND;
    CHECK(retab_deadline_due_back(RETAB_NEVER, now) == now + RETAB_ATTENTION, "the longest absence");
    CHECK(retab_deadline_due_back(now + 10, now) == now + 10, "something is due before");
    CHECK(retab_deadline_due_back(now - 10, now) == now, "something is overdue");
}

int main(void)
{
    test_queued();
    test_started();
    test_credit();
    test_endless();
    test_attention();
    return 0;
}
