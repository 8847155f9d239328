/* Reads the strings and the words (true, false, null) of JSON, strictly by RFC 8259. Knows nothing of Lua or numbers.
 *
 * The position of an error is the first byte that no JSON text can have there. The grammar allows an escaped lone
 * surrogate: it becomes U+FFFD.
 *
 * A text is followed by a NUL, as Lua strings are. Bytes are read without a check for the end: the grammar allows no
 * NUL, so reading stops there. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#pragma GCC visibility push(hidden)

/* A text that is read. It starts as all zero, and owns the scratch buffer. */
struct retab_text {
    const char *start, *end;
    const char *message, *error_at; /* of an error, and its position */
    char *scratch;
    size_t room;
};

/* The message if an allocation failed. It is compared by address: it does not mean that the text is wrong. */
extern const char retab_text_no_memory[];

/* Functions that read take a position in the text and return the position after what they consumed; or NULL, with
 * `message` and `error_at` set. */

/* Reads a string, whose opening quote is at `p`, and stores nothing. */
const char *retab_text_check_string(struct retab_text *text, const char *p);

/* Reads a string, and stores the address and the length of its decoded bytes. They are in the scratch buffer, and valid
 * until its next use. */
const char *retab_text_decode(struct retab_text *text, const char *p, const char **bytes, size_t *length);

/* Reads one of the words true, false and null. */
const char *retab_text_word(struct retab_text *text, const char *p, const char *word);

/* Sets an error. Returns NULL. */
const char *retab_text_fail(struct retab_text *text, const char *error_at, const char *message);

/* Makes room for `need` bytes in the scratch buffer, and keeps its contents. Returns it, or NULL with the error set. */
char *retab_text_scratch(struct retab_text *text, size_t need);

/* Frees the scratch buffer if it has room for more than `most` bytes. */
void retab_text_trim(struct retab_text *text, size_t most);

/* Enlarges a block of the C heap to `need` elements of `size` bytes, or to twice its `room` if that is more. Returns
 * the new block; or NULL if there is no memory, and the old block is unchanged. */
void *retab_text_grow(void *block, size_t *room, size_t need, size_t size);

/* In ASCII, a closing bracket is two after its opening one. */
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

/* Returns the position of the first quote, backslash or control character at or after `p`, or `end` if there is none.
 * If `ascii` is set, it stops at bytes that are not ASCII, too. Callers pass a constant as `ascii`. */
static inline const char *retab_text_scan(const char *p, const char *end, int ascii)
{
#if defined(__SSE2__)
    for (; end - p >= 16; p += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        const __m128i quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
        const __m128i backslashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
        /* as signed numbers, bytes that are not ASCII are negative */
        const __m128i below = ascii ? _mm_cmplt_epi8(bytes, _mm_set1_epi8(' '))
                                    : _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(' ' - 1)), bytes);
        const unsigned stops = (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, backslashes), below));
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
            break; /* there may be a stop: the loop below decides */
        }
    }
#endif
    while (p < end && (ascii ? (signed char)*p >= ' ' : (unsigned char)*p >= ' ') && *p != '"' && *p != '\\') {
        p++;
    }
    return p;
}

/* The same with `ascii` set. */
static inline const char *retab_text_plain(const char *p, const char *end)
{
    return retab_text_scan(p, end, 1);
}

/* Like retab_text_check_string, but inline for strings without escapes in ASCII. */
static inline const char *retab_text_string(struct retab_text *text, const char *p)
{
    const char *const close = retab_text_plain(p + 1, text->end);
    return *close == '"' ? close + 1 : retab_text_check_string(text, p);
}

#pragma GCC visibility pop
