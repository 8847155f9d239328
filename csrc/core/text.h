/* The grammar of JSON, RFC 8259, held strictly: strings, numbers, literals, and whole values to pass over.
 * It knows nothing of Lua.
 *
 * The position of an error is the first byte with which the text can no longer go on to be JSON; of a
 * number past double, its first byte. An escaped lone surrogate is within the grammar: it becomes U+FFFD.
 *
 * The text has to end in a NUL behind its last byte, as Lua's strings do: nothing here looks for the end
 * before it looks at a byte, since no rule of the grammar goes on with a NUL. */
#ifndef RETAB_TEXT_H
#define RETAB_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* A text and the cursor in it. All zero to start with; `scratch` and `kinds` are its own memory. */
struct retab_text {
    const char *start, *p, *end;
    const char *message; /* of the error, static */
    const char *wrong;   /* where it is */
    char *scratch, *kinds;
    size_t scratch_room, kind_room;
};

struct retab_number {
    int integer; /* else a double */
    int64_t whole;
    double real;
};

/* All of these give 0, or -1 with message and wrong set. */

/* From the opening quote to behind the closing one, which `*close` is. Whether there are escapes: `*escaped`. */
int retab_text_string(struct retab_text *text, const char **close, int *escaped);

/* The string that retab_text_string passed, from behind the opening quote to `close`, without its escapes. */
int retab_text_unescape(struct retab_text *text, const char *from, const char *close, const char **bytes,
                        size_t *length);

/* A number; an integer that fits 64 bits comes exact, any other number as the nearest double. */
int retab_text_number(struct retab_text *text, struct retab_number *number);

/* One of the words true, false and null. */
int retab_text_literal(struct retab_text *text, const char *literal);

/* A whole value, which may open `depth` containers at once. */
int retab_text_skip(struct retab_text *text, size_t depth);

/* Notes an error; gives -1. */
int retab_text_fail(struct retab_text *text, const char *at, const char *message);

/* Frees the text's own memory. */
void retab_text_free(struct retab_text *text);

/* Room for `need` elements of `size` bytes, at least doubling: the new block, or NULL with the old one as it was. */
void *retab_text_grow(void *block, size_t *room, size_t need, size_t size);

/* The closing bracket stands two behind its opening one, in ASCII. */
#define RETAB_CLOSING(opening) ((opening) + 2)

static inline const char *retab_text_space(const char *p)
{
    while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t') {
        p++;
    }
    return p;
}

/* The first byte from `p` on that is not plain within a string: a quote, a backslash, a control
 * character, one beyond ASCII, or the end. */
static inline const char *retab_text_plain(const char *p, const char *end)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), space = _mm_set1_epi8(' ');
    for (; end - p >= 16; p += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        /* the comparison is signed: what is beyond ASCII is below the space too */
        __m128i stops = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)),
                                     _mm_cmplt_epi8(bytes, space));
        unsigned mask = (unsigned)_mm_movemask_epi8(stops);
        if (mask != 0) {
            return p + __builtin_ctz(mask);
        }
    }
#else
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    for (; end - p >= 8; p += 8) {
        uint64_t word, quotes, backslashes;
        memcpy(&word, p, 8);
        quotes = word ^ (ones * '"');
        backslashes = word ^ (ones * '\\');
        if (((word | (word - ones * ' ') | (quotes - ones) | (backslashes - ones)) & highs) != 0) {
            break; /* a stop, or a false alarm: the loop below tells */
        }
    }
#endif
    while (p < end && (unsigned char)*p >= ' ' && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\') {
        p++;
    }
    return p;
}

/* Whether `n` bytes are equal. Keys and values that repeat are short: a call of memcmp costs more than this. */
static inline int retab_text_same(const char *a, const char *b, size_t n)
{
    uint64_t x, y;
    while (n >= 8) {
        memcpy(&x, a, 8);
        memcpy(&y, b, 8);
        if (x != y) {
            return 0;
        }
        a += 8, b += 8, n -= 8;
    }
    while (n > 0 && *a == *b) {
        a++, b++, n--;
    }
    return n == 0;
}

#endif
