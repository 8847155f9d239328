#include "text.h"

#include <stdlib.h>

#include "number.h"

int retab_text_fail(struct retab_text *text, const char *at, const char *message)
{
    text->wrong = at;
    text->message = at >= text->end ? "unexpected end of the text" : message;
    return -1;
}

void *retab_text_grow(void *block, size_t *room, size_t need, size_t size)
{
    size_t wanted = *room < 8 ? 8 : *room;
    while (wanted < need) {
        wanted *= 2;
    }
    void *larger = wanted <= SIZE_MAX / 2 / size ? realloc(block, wanted * size) : NULL;
    if (larger != NULL) {
        *room = wanted;
    }
    return larger;
}

void retab_text_free(struct retab_text *text)
{
    free(text->scratch);
    free(text->kinds);
    memset(text, 0, sizeof *text);
}

static int no_memory(struct retab_text *text)
{
    text->wrong = text->p;
    text->message = "not enough memory";
    return -1;
}

char *retab_text_scratch(struct retab_text *text, size_t need)
{
    if (text->scratch_room < need) {
        char *larger = retab_text_grow(text->scratch, &text->scratch_room, need, 1);
        if (larger == NULL) {
            (void)no_memory(text);
            return NULL;
        }
        text->scratch = larger;
    }
    return text->scratch;
}

/* Bytes of room that a string is decoded with at a time, and the longest character. */
#define DECODE_ROOM 64
#define CHARACTER 4

/* Behind a character that is not plain the next such one is near, more often than not: so many bytes are looked
 * at one by one, before they are again by the vector. */
#define BETWEEN 8

/* ---- strings --------------------------------------------------------------------------------------- */

/* One character beyond ASCII, of any kind. The ranges are Unicode's table 3-7. */
static int skip_character(struct retab_text *text, const unsigned char **from)
{
    const unsigned char *p = *from;
    unsigned char low = 0x80, high = 0xBF;
    int more;
    if (*p >= 0xC2 && *p <= 0xDF) {
        more = 1;
    } else if ((*p & 0xF0) == 0xE0) {
        more = 2;
        low = *p == 0xE0 ? 0xA0 : 0x80;  /* not longer than need be */
        high = *p == 0xED ? 0x9F : 0xBF; /* no surrogates */
    } else if (*p >= 0xF0 && *p <= 0xF4) {
        more = 3;
        low = *p == 0xF0 ? 0x90 : 0x80;
        high = *p == 0xF4 ? 0x8F : 0xBF; /* not past U+10FFFF */
    } else {
        return retab_text_fail(text, (const char *)p, "invalid UTF-8");
    }
    for (p++; more > 0; more--, p++) {
        if (*p < low || *p > high) {
            return retab_text_fail(text, (const char *)p, "invalid UTF-8");
        }
        low = 0x80, high = 0xBF;
    }
    *from = p;
    return 0;
}

/* UTF-8 as a state machine whose states are shifts: a word says to which state a byte leads from each of them, so that
 * a byte costs two instructions and no branch. Texts of many scripts are read in 0.25x of the time that it takes to
 * tell characters of two and three bytes apart. The ranges are those of skip_character. */
enum state {
    COMPLETE = 0,
    INVALID = 6,
    ONE = 12,
    TWO = 18,
    THREE = 24,
    AFTER_E0 = 30,
    AFTER_ED = 36,
    AFTER_F0 = 42,
    AFTER_F4 = 48
};
#define STATE 63u

#define TO(from, to) ((uint64_t)(to) << (from))
#define STEP(complete, one, two, three, e0, ed, f0, f4)                                                                \
    (TO(COMPLETE, complete) | TO(INVALID, INVALID) | TO(ONE, one) | TO(TWO, two) | TO(THREE, three) |                  \
     TO(AFTER_E0, e0) | TO(AFTER_ED, ed) | TO(AFTER_F0, f0) | TO(AFTER_F4, f4))
#define BEGIN(to) STEP(to, INVALID, INVALID, INVALID, INVALID, INVALID, INVALID, INVALID)
#define GO_ON(e0, ed, f0, f4) STEP(INVALID, COMPLETE, ONE, TWO, e0, ed, f0, f4)
#define X4(step) step, step, step, step
#define X16(step) X4(step), X4(step), X4(step), X4(step)
#define X64(step) X16(step), X16(step), X16(step), X16(step)

/* clang-format off */
static const uint64_t steps[256] = {
    /* 00-7F */ X64(BEGIN(COMPLETE)), X64(BEGIN(COMPLETE)),
    /* 80-8F */ X16(GO_ON(INVALID, ONE, INVALID, TWO)),
    /* 90-9F */ X16(GO_ON(INVALID, ONE, TWO, INVALID)),
    /* A0-BF */ X16(GO_ON(ONE, INVALID, TWO, INVALID)), X16(GO_ON(ONE, INVALID, TWO, INVALID)),
    /* C0-C1 */ BEGIN(INVALID), BEGIN(INVALID),
    /* C2-DF */ BEGIN(ONE), BEGIN(ONE), X4(BEGIN(ONE)), X4(BEGIN(ONE)), X4(BEGIN(ONE)), X16(BEGIN(ONE)),
    /* E0-EC */ BEGIN(AFTER_E0), X4(BEGIN(TWO)), X4(BEGIN(TWO)), X4(BEGIN(TWO)),
    /* ED-EF */ BEGIN(AFTER_ED), BEGIN(TWO), BEGIN(TWO),
    /* F0-F4 */ BEGIN(AFTER_F0), BEGIN(THREE), BEGIN(THREE), BEGIN(THREE), BEGIN(AFTER_F4),
    /* F5-FF */ BEGIN(INVALID), BEGIN(INVALID), BEGIN(INVALID), X4(BEGIN(INVALID)), X4(BEGIN(INVALID))};
/* clang-format on */

/* The first byte from `p` on that is a quote, a backslash or a control character, or the end. */
static const char *find_stop(const char *p, const char *end)
{
#if defined(__SSE2__)
    for (; end - p >= 16; p += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        const __m128i quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
        const __m128i backslashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
        const __m128i controls = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(' ' - 1)), bytes);
        const unsigned stops = (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, backslashes), controls));
        if (stops != 0) {
            return p + __builtin_ctz(stops);
        }
    }
#endif
    while (p < end && (unsigned char)*p >= ' ' && *p != '"' && *p != '\\') {
        p++;
    }
    return p;
}

/* Whether the bytes are whole characters of UTF-8. */
static int is_utf8(const char *p, const char *end)
{
    uint64_t state = COMPLETE;
#if defined(__SSE2__)
    for (; end - p >= 16; p += 16) {
        /* the order tells: where a block begins in the middle of a character is not to be foreseen */
        if (_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)p)) == 0 && (state & STATE) == COMPLETE) {
            continue;
        }
        for (int i = 0; i < 16; i++) {
            state = steps[(unsigned char)p[i]] >> (state & STATE);
        }
    }
#endif
    for (; p < end; p++) {
        state = steps[(unsigned char)*p] >> (state & STATE);
    }
    return (state & STATE) == COMPLETE;
}

/* Moves `*from`, which is at a character beyond ASCII, on to what is neither such a one nor plain. */
static int skip_script(struct retab_text *text, const char **from)
{
    const char *const stop = find_stop(*from, text->end);
    const unsigned char *p = (const unsigned char *)*from;
    if (is_utf8(*from, stop)) {
        *from = stop;
        return 0;
    }
    while (*p < 0x80 || skip_character(text, &p) == 0) { /* it fails before it gets to the stop, or at it */
        p += *p < 0x80;
    }
    return -1;
}

/* What a character behind a backslash stands for, 0 for none. */
static const char escapes[256] = {
    ['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'};

/* One more than the value of a hexadecimal digit, 0 for none. */
static const unsigned char digits[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16};

/* The four digits behind a \u. */
static inline int read_hex(struct retab_text *text, const char *p, unsigned long *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++) {
        const unsigned char digit = digits[(unsigned char)p[i]];
        if (digit == 0) {
            return retab_text_fail(text, p + i, "expected four hexadecimal digits");
        }
        *code = *code << 4 | (digit - 1u);
    }
    return 0;
}

/* Moves `*from` from a backslash behind its escape, and gives the character that it stands for. */
static inline int read_escape(struct retab_text *text, const char **from, unsigned long *code)
{
    const char *p = *from + 1;
    if (*p != 'u') {
        *code = (unsigned char)escapes[(unsigned char)*p];
        *from = p + 1;
        return *code != 0 ? 0 : retab_text_fail(text, p, "unknown escape in a string");
    }
    if (read_hex(text, p + 1, code) != 0) {
        return -1;
    }
    p += 5;
    if (*code >= 0xD800 && *code <= 0xDFFF) {
        unsigned long low = 0;
        if (*code < 0xDC00 && p[0] == '\\' && p[1] == 'u' && read_hex(text, p + 2, &low) != 0) {
            return -1;
        }
        if (low >= 0xDC00 && low <= 0xDFFF) {
            *code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
            p += 6;
        } else {
            *code = 0xFFFD;
        }
    }
    *from = p;
    return 0;
}

int retab_text_check_string(struct retab_text *text)
{
    const char *p = text->p + 1;
    unsigned long code;
    for (;;) {
        p = retab_text_plain(p, text->end);
        if (*p == '"') {
            text->p = p + 1;
            return 0;
        }
        if (*p == '\\') {
            if (read_escape(text, &p, &code) != 0) {
                return -1;
            }
        } else if ((unsigned char)*p >= 0x80) {
            if (skip_script(text, &p) != 0) {
                return -1;
            }
        } else {
            return retab_text_fail(text, p, "control character in a string");
        }
    }
}

static char *put_utf8(char *out, unsigned long code)
{
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    if (code < 0x800) {
        *out++ = (char)(0xC0 | (code >> 6));
    } else {
        if (code < 0x10000) {
            *out++ = (char)(0xE0 | (code >> 12));
        } else {
            *out++ = (char)(0xF0 | (code >> 18));
            *out++ = (char)(0x80 | ((code >> 12) & 0x3F));
        }
        *out++ = (char)(0x80 | ((code >> 6) & 0x3F));
    }
    *out++ = (char)(0x80 | (code & 0x3F));
    return out;
}

/* Copies plain bytes of a string up to the first that is not, or until there is no room: like
 * retab_text_plain, a vector at a time. */
static const char *copy_plain(const char *p, const char *end, char **to, const char *room)
{
    char *out = *to;
#if defined(__SSE2__)
    while (end - p >= 16 && room - out >= 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        const unsigned stops = retab_text_stops(bytes);
        _mm_storeu_si128((__m128i *)(void *)out, bytes);
        if (stops != 0) {
            *to = out + __builtin_ctz(stops);
            return p + __builtin_ctz(stops);
        }
        p += 16, out += 16;
    }
#endif
    while (p < end && out < room && retab_text_is_plain(*p)) {
        *out++ = *p++;
    }
    *to = out;
    return p;
}

int retab_text_decode(struct retab_text *text, const char **bytes, size_t *length)
{
    const char *p = text->p + 1;
    size_t used = 0;
    unsigned long code;
    for (;;) {
        if (retab_text_scratch(text, used + DECODE_ROOM) == NULL) {
            return -1;
        }
        char *out = text->scratch + used;
        const char *const room = text->scratch + text->scratch_room - CHARACTER - BETWEEN;
        p = copy_plain(p, text->end, &out, room);
        while (*p == '\\' && out <= room) {
            if (read_escape(text, &p, &code) != 0) {
                return -1;
            }
            out = put_utf8(out, code);
            for (int i = 0; i < BETWEEN && retab_text_is_plain(*p); i++) {
                *out++ = *p++;
            }
        }
        used = (size_t)(out - text->scratch);
        if (*p == '"') {
            *bytes = text->scratch;
            *length = used;
            text->p = p + 1;
            return 0;
        }
        if ((unsigned char)*p >= 0x80) {
            const char *const from = p;
            if (skip_script(text, &p) != 0 || retab_text_scratch(text, used + (size_t)(p - from)) == NULL) {
                return -1;
            }
            memcpy(text->scratch + used, from, (size_t)(p - from));
            used += (size_t)(p - from);
        } else if (!retab_text_is_plain(*p) && *p != '\\') {
            return retab_text_fail(text, p, "control character in a string");
        }
    }
}

/* ---- values ---------------------------------------------------------------------------------------- */

int retab_text_literal(struct retab_text *text, const char *literal)
{
    for (; *literal != '\0'; literal++, text->p++) {
        if (*text->p != *literal) {
            return retab_text_fail(text, text->p, "expected true, false or null");
        }
    }
    return 0;
}

static int skip_scalar(struct retab_text *text)
{
    struct retab_number number;
    switch (*text->p) {
    case '"':
        return retab_text_string(text);
    case 't':
        return retab_text_literal(text, "true");
    case 'f':
        return retab_text_literal(text, "false");
    case 'n':
        return retab_text_literal(text, "null");
    default:
        return retab_number_read(text, &number);
    }
}

static int skip_key(struct retab_text *text)
{
    if (*text->p != '"') {
        return retab_text_fail(text, text->p, "expected a string as key");
    }
    if (retab_text_string(text) != 0) {
        return -1;
    }
    text->p = retab_text_space(text->p);
    if (*text->p != ':') {
        return retab_text_fail(text, text->p, "expected ':' after a key");
    }
    text->p = retab_text_space(text->p + 1);
    return 0;
}

int retab_text_skip(struct retab_text *text, size_t depth)
{
    size_t open = 0;
    for (;;) {
        int more = 0;
        const char kind = *text->p;
        if (kind == '{' || kind == '[') {
            if (open == depth) {
                return retab_text_fail(text, text->p, "nested too deeply");
            }
            if (open == text->kind_room) {
                char *larger = retab_text_grow(text->kinds, &text->kind_room, open + 1, 1);
                if (larger == NULL) {
                    return no_memory(text);
                }
                text->kinds = larger;
            }
            text->kinds[open++] = kind;
            text->p = retab_text_space(text->p + 1);
            more = *text->p != RETAB_CLOSING(kind);
        } else if (skip_scalar(text) != 0) {
            return -1;
        }
        while (!more) {
            if (open == 0) {
                return 0;
            }
            text->p = retab_text_space(text->p);
            more = *text->p == ',';
            if (more) {
                text->p = retab_text_space(text->p + 1);
            } else if (*text->p == RETAB_CLOSING(text->kinds[open - 1])) {
                text->p++;
                open--;
            } else {
                return retab_text_fail(text, text->p,
                                       text->kinds[open - 1] == '{' ? "expected ',' or '}'" : "expected ',' or ']'");
            }
        }
        if (text->kinds[open - 1] == '{' && skip_key(text) != 0) {
            return -1;
        }
    }
}
