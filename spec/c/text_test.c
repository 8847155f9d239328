/* The scanner, over texts that end at a page that nobody may touch: one byte too many is a crash. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */

#include "../../csrc/core/number.h"
#include "../../csrc/core/skip.h"
#include "../../csrc/core/text.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

#define ROOM ((size_t)4 * 1024 * 1024)
#define DEPTH ((size_t)128)

static const char *const documents[] = {
    "{\"data\":[{\"id\":\"exprun_1\",\"score\":0.87,\"timing\":{\"created_at\":\"2026-05-02T11:00:00Z\","
    "\"duration_ms\":258221},\"error\":null,\"ok\":true,\"no\":false}],\"list_metadata\":{\"before\":null,"
    "\"after\":\"exprun_1\"}}",
    " [ 0 , -0 , 1 , -1.5 , 12345678901234567890 , 1e5 , 1E+5 , 2.5e-7 , 0.1 , 9007199254740993 , 1e308 ] ",
    "[\"\",\"plain\",\"\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"\\u0041\\u00e9\\u20AC\\uD83D\\uDE00\",\"\\ud800\",\"\\uDC00x\"]",
    "[\"\xC3\xA9\",\"\xE2\x82\xAC\",\"\xF0\x9F\x98\x80\",\"\xED\x9F\xBF\",\"\xEE\x80\x80\",\"\xF4\x8F\xBF\xBF\"]",
    "{\"\":{},\"a\":[],\"b\":[[],{}],\"sixteen bytes...\":\"more than sixteen bytes, \\u00fc\xC3\xBC then\"}",
    "\r\n\t [[[[[[[[1]]]]]]]]\r\n\t ",
    "\"0123456789abcdef\"",
    "{\"a long key with an \\u00e9scape in its middle\" : \"and a value\", \"another\" : [true,false,null]}",
};
#define DOCUMENTS (sizeof documents / sizeof *documents)

static char *pages;
static size_t page_size;

/* Maps room for texts, with a page before and a page after it that nobody may touch. */
static void map_pages(void)
{
    page_size = (size_t)sysconf(_SC_PAGESIZE);
    char *all = mmap(NULL, ROOM + 2 * page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(all != MAP_FAILED, "mmap");
    pages = all + page_size;
    CHECK(mprotect(all, page_size, PROT_NONE) == 0, "mprotect before");
    CHECK(mprotect(pages + ROOM, page_size, PROT_NONE) == 0, "mprotect after");
}

/* Copies a text with its NUL to the end of the room, or to its beginning. */
static const char *place(const char *bytes, size_t length, int at_end)
{
    char *to = at_end ? pages + ROOM - length - 1 : pages;
    memmove(to, bytes, length);
    to[length] = '\0';
    return to;
}

/* The outcome of a text: no message where it is JSON, else the message and the number of bytes before the error. */
struct outcome {
    const char *message;
    size_t position;
};

static struct outcome scan(const char *bytes, size_t length, size_t depth)
{
    struct retab_text text = {.start = bytes, .end = bytes + length};
    const char *p = retab_skip_value(&text, retab_text_space(bytes), depth);
    if (p != NULL) {
        p = retab_text_space(p);
        if (p != text.end) {
            p = retab_text_fail(&text, p, "bytes after the end");
        }
    }
    const struct outcome outcome = {text.message, p != NULL ? length : (size_t)(text.error_at - text.start)};
    CHECK((p != NULL) == (text.message == NULL), "a message comes with an error, and only then: %s", bytes);
    CHECK(p != NULL || (text.error_at >= text.start && text.error_at <= text.end), "%s: the position is in %s",
          text.message, bytes);
    retab_text_trim(&text, 0);
    return outcome;
}

/* Reads every string and number that a text holds, valid or not, as the decoder would. */
static void scan_tokens(const char *bytes, size_t length)
{
    struct retab_text text = {.start = bytes, .end = bytes + length};
    for (const char *at = bytes; at < text.end;) {
        const char *p = NULL;
        if (*at == '"') {
            const char *plain;
            size_t size;
            p = retab_text_string(&text, at);
            CHECK(retab_text_decode(&text, at, &plain, &size) == p, "%s: checked and decoded differ", bytes);
            CHECK(p == NULL || size <= (size_t)(p - at - 2), "%s: %zu bytes of %td", bytes, size, p - at - 2);
        } else if (*at == '-' || (*at >= '0' && *at <= '9')) {
            struct retab_number number;
            p = retab_number_read(at, &number);
            CHECK(p != NULL || (number.error_at >= at && number.error_at <= text.end), "the position is in %s", bytes);
        }
        CHECK(p == NULL || (p > at && p <= text.end), "a token ends within the text %s", bytes);
        at = p != NULL ? p : at + 1;
    }
    retab_text_trim(&text, 0);
}

/* Returns the outcome, which must not depend on where the text lies. */
static struct outcome scan_placed(const char *bytes, size_t length)
{
    const struct outcome first = scan(place(bytes, length, 1), length, DEPTH);
    scan_tokens(pages + ROOM - length - 1, length);
    const struct outcome second = scan(place(bytes, length, 0), length, DEPTH);
    CHECK(first.message == second.message && first.position == second.position, "%s: aligned otherwise", bytes);
    return first;
}

/* Each prefix of a document can still become JSON: its error is at its end. */
static void test_prefixes(void)
{
    for (size_t i = 0; i < DOCUMENTS; i++) {
        const size_t whole = strlen(documents[i]);
        CHECK(scan_placed(documents[i], whole).message == NULL, "document %zu is JSON", i);
        for (size_t length = 0; length < whole; length++) {
            const struct outcome outcome = scan_placed(documents[i], length);
            CHECK(outcome.position == length, "document %zu cut at %zu: %s at %zu", i, length, outcome.message,
                  outcome.position);
            CHECK(outcome.message == NULL || strcmp(outcome.message, "unexpected end of the text") == 0,
                  "document %zu cut at %zu: %s", i, length, outcome.message);
        }
    }
}

/* An error is never before the byte that is wrong, except that a number too large is reported at its first byte. */
static void test_corruptions(void)
{
    char copy[512];
    for (size_t i = 0; i < DOCUMENTS; i++) {
        const size_t length = strlen(documents[i]);
        CHECK(length < sizeof copy, "document %zu fits", i);
        for (size_t at = 0; at < length; at++) {
            memcpy(copy, documents[i], length + 1);
            for (int byte = 0; byte < 256; byte++) {
                copy[at] = (char)byte;
                const struct outcome outcome = scan_placed(copy, length);
                CHECK(outcome.message == NULL || outcome.position >= at || strstr(outcome.message, "too large") != NULL,
                      "document %zu with byte %d at %zu: %s at %zu", i, byte, at, outcome.message, outcome.position);
            }
        }
    }
}

static void test_nesting(void)
{
    const size_t deep = ROOM / 4;
    char *text = malloc(2 * deep + 1);
    CHECK(text != NULL, "malloc");
    memset(text, '[', deep);
    memset(text + deep, ']', deep);
    const char *placed = place(text, 2 * deep, 1);
    CHECK(scan(placed, 2 * deep, deep).message == NULL, "%zu arrays in each other", deep);
    for (size_t depth = 1; depth < deep; depth *= 3) {
        const struct outcome outcome = scan(placed, 2 * deep, depth);
        CHECK(outcome.message != NULL && outcome.position == depth, "limit %zu: at %zu", depth, outcome.position);
    }
    placed = place(text, deep, 1);
    CHECK(scan(placed, deep, deep).position == deep, "%zu arrays that never close", deep);
    for (size_t i = 0; i + 5 <= deep; i += 5) {
        memcpy(text + i, "{\"\":[", 5);
    }
    const size_t length = deep / 5 * 5;
    placed = place(text, length, 1);
    CHECK(scan(placed, length, deep).position == length, "objects and arrays that never close");
    free(text);
}

int main(void)
{
    map_pages();
    test_prefixes();
    test_corruptions();
    test_nesting();
    return 0;
}
