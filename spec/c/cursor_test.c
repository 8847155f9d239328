/* Loops among cursors: each is found, in time and in constant memory, and nothing else is taken for one. */
#include "../../csrc/core/cursor.h"

#include <string.h>

#include "check.h"
#include "heap.h"

#define LONGEST 40
#define DISTINCT 100000

/* What a cursor keeps: the next one and the landmark. */
#define KEPT_BLOCKS 2

/* The cursor number `i` of a walk: names of different lengths, alike but for a few bytes. */
static size_t name(char *to, size_t room, unsigned seed, unsigned long i)
{
    return (size_t)snprintf(to, room, "exprun_%0*lx", (int)(4 + seed % 13), i ^ seed);
}

/* The requests of a walk whose cursors come again after `lead_in`, every `cycle`, until that is noticed. */
static unsigned long requests(unsigned seed, unsigned long lead_in, unsigned long cycle, unsigned long most)
{
    struct retab_cursor cursor = {0};
    char text[64];
    enum retab_cursor_state state = RETAB_CURSOR_NEXT;
    unsigned long sent = 0;
    while (state == RETAB_CURSOR_NEXT && sent <= most) {
        const unsigned long i = sent < lead_in ? sent : lead_in + (sent - lead_in) % cycle;
        const size_t length = name(text, sizeof text, seed, i);
        state = retab_cursor_advance(&cursor, text, length);
        sent++;
        CHECK(state == RETAB_CURSOR_LOOP || (state == RETAB_CURSOR_NEXT && cursor.next.length == length &&
                                             memcmp(cursor.next.bytes, text, length) == 0),
              "the next cursor is the one that came (state %d)", (int)state);
        CHECK(state != RETAB_CURSOR_LOOP || sent > lead_in + cycle, "%lu + %lu: no cursor came twice", lead_in, cycle);
    }
    retab_cursor_free(&cursor);
    return sent;
}

static void test_loops(void)
{
    for (unsigned long lead_in = 0; lead_in <= LONGEST; lead_in++) {
        for (unsigned long cycle = 1; cycle <= LONGEST; cycle++) {
            for (unsigned seed = 0; seed < 8; seed++) {
                const unsigned long most = 3 * (lead_in + cycle) + 6,
                                    sent = requests(seed * 7919, lead_in, cycle, most);
                CHECK(sent <= most, "lead-in %lu, cycle %lu: %lu requests", lead_in, cycle, sent);
            }
        }
    }
}

static void test_no_false_alarm(void)
{
    struct retab_cursor cursor = {0};
    char text[64];
    for (unsigned long i = 0; i < DISTINCT; i++) {
        const size_t length = name(text, sizeof text, 9, i);
        CHECK(retab_cursor_advance(&cursor, text, length) == RETAB_CURSOR_NEXT, "cursor %lu", i);
        CHECK(heap_blocks() <= KEPT_BLOCKS, "%ld blocks after %lu cursors", heap_blocks(), i);
    }
    retab_cursor_free(&cursor);
}

/* Cursors are bytes: one that is the other's beginning, or differs behind a NUL, is another. */
static void test_bytes(void)
{
    static const struct {
        const char *bytes;
        size_t length;
    } cursors[] = {{"a", 1}, {"a\0", 2}, {"a\0b", 3}, {"a\0c", 3}, {"\0", 1}, {"A", 1}};
    for (size_t i = 0; i < sizeof cursors / sizeof *cursors; i++) {
        for (size_t j = 0; j < sizeof cursors / sizeof *cursors; j++) {
            struct retab_cursor cursor = {0};
            (void)retab_cursor_advance(&cursor, cursors[i].bytes, cursors[i].length);
            const int loop = retab_cursor_advance(&cursor, cursors[j].bytes, cursors[j].length) == RETAB_CURSOR_LOOP;
            CHECK(loop == (i == j), "cursors %zu and %zu", i, j);
            retab_cursor_free(&cursor);
        }
    }
}

static void test_end(void)
{
    struct retab_cursor cursor = {0};
    CHECK(retab_cursor_advance(&cursor, NULL, 0) == RETAB_CURSOR_OVER, "no cursor");
    CHECK(retab_cursor_advance(&cursor, "", 0) == RETAB_CURSOR_OVER, "an empty cursor");
    retab_cursor_free(&cursor);
}

/* Without memory nothing changes, and the same step works once there is some. */
static void test_no_memory(void)
{
    for (long before = 0; before < 2; before++) {
        struct retab_cursor cursor = {0};
        CHECK(retab_cursor_advance(&cursor, "first", 5) == RETAB_CURSOR_NEXT, "first");
        CHECK(retab_cursor_advance(&cursor, "second", 6) == RETAB_CURSOR_NEXT, "second");
        heap_fail(before, 1);
        const enum retab_cursor_state state = retab_cursor_advance(&cursor, "a third one", 11);
        const int failed = heap_failed();
        heap_fail(-1, 0);
        CHECK((state == RETAB_CURSOR_NO_MEMORY) == failed, "state %d after %ld allocations", (int)state, before);
        if (failed) {
            CHECK(strncmp(cursor.next.bytes, "second", 6) == 0, "the next cursor is as it was");
            CHECK(retab_cursor_advance(&cursor, "a third one", 11) == RETAB_CURSOR_NEXT, "once more");
        }
        retab_cursor_free(&cursor);
    }
}

int main(void)
{
    test_end();
    test_bytes();
    test_loops();
    test_no_false_alarm();
    test_no_memory();
    CHECK(heap_blocks() == 0, "%ld blocks are left", heap_blocks());
    return 0;
}
