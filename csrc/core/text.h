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

/* All of these give 0, or -1 with message and wrong set. */

/* A string, from its opening quote to behind the closing one: checked, nothing kept. */
int retab_text_check_string(struct retab_text *text);

/* The same, and what it stands for: without its escapes, in the scratch, until that is used again. */
int retab_text_decode(struct retab_text *text, const char **bytes, size_t *length);

/* One of the words true, false and null. */
int retab_text_literal(struct retab_text *text, const char *literal);

/* A whole value, which may open `depth` containers at once. */
int retab_text_skip(struct retab_text *text, size_t depth);

/* The scratch, with room for `need` bytes; NULL where there is no memory, which is noted as an error. */
char *retab_text_scratch(struct retab_text *text, size_t need);

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
    if ((unsigned char)*p > ' ') {
        return p; /* nearly always */
    }
    while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t') {
        p++;
    }
    return p;
}

/* Whether a byte stands for itself in a string: no quote, no backslash, no control character, and ASCII. */
static inline int retab_text_is_plain(char c)
{
    return (signed char)c >= ' ' && c != '"' && c != '\\'; /* signed: beyond ASCII is below */
}

#if defined(__SSE2__)
/* Which of 16 bytes are not plain, a bit each. The comparison is signed: what is beyond ASCII is below the
 * space, too. */
static inline unsigned retab_text_stops(__m128i bytes)
{
    const __m128i quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    const __m128i backslashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    const __m128i below = _mm_cmplt_epi8(bytes, _mm_set1_epi8(' '));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, backslashes), below));
}
#endif

/* The first byte from `p` on that is not plain, or the end. */
static inline const char *retab_text_plain(const char *p, const char *end)
{
#if defined(__SSE2__)
    for (; end - p >= 16; p += 16) {
        const unsigned stops = retab_text_stops(_mm_loadu_si128((const __m128i *)(const void *)p));
        if (stops != 0) {
            return p + __builtin_ctz(stops);
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
    while (p < end && retab_text_is_plain(*p)) {
        p++;
    }
    return p;
}

/* retab_text_check_string, but for the strings that are plain, as nearly all are, without a call. */
static inline int retab_text_string(struct retab_text *text)
{
    const char *close = retab_text_plain(text->p + 1, text->end);
    if (*close == '"') {
        text->p = close + 1;
        return 0;
    }
    return retab_text_check_string(text);
}

/* How many bytes from `a` and `b` on are equal, `n` at most. */
static inline size_t retab_text_common(const char *a, const char *b, size_t n)
{
    size_t at = 0;
#if defined(__SSE2__)
    for (; n - at >= 16; at += 16) {
        const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(a + at));
        const __m128i y = _mm_loadu_si128((const __m128i *)(const void *)(b + at));
        const unsigned differ = 0xFFFFu ^ (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, y));
        if (differ != 0) {
            return at + (size_t)__builtin_ctz(differ);
        }
    }
#endif
    while (at < n && a[at] == b[at]) {
        at++;
    }
    return at;
}

/* Whether `n` bytes are equal. Keys and values that repeat are short: a call of memcmp costs more than this. What
 * is left of the last word is read with some of the word before. */
static inline int retab_text_same(const char *a, const char *b, size_t n)
{
    uint64_t x, y;
    if (n >= 8) {
        for (size_t at = 0; at + 8 < n; at += 8) {
            memcpy(&x, a + at, 8);
            memcpy(&y, b + at, 8);
            if (x != y) {
                return 0;
            }
        }
        memcpy(&x, a + n - 8, 8);
        memcpy(&y, b + n - 8, 8);
        return x == y;
    }
    if (n >= 4) {
        uint32_t v, w;
        memcpy(&v, a, 4);
        memcpy(&w, b, 4);
        x = v ^ w;
        memcpy(&v, a + n - 4, 4);
        memcpy(&w, b + n - 4, 4);
        return (x | (v ^ w)) == 0;
    }
    return n == 0 || (a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1]);
}

#endif
