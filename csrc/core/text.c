#include "text.h"

#include <stdlib.h>

const char retab_text_no_memory[] = "not enough memory";

const char *retab_text_fail(struct retab_text *text, const char *error_at, const char *message)
{
    text->error_at = error_at;
    text->message = error_at >= text->end ? "unexpected end of the text" : message;
    return NULL;
}

void *retab_text_grow(void *block, size_t *room, size_t need, size_t size)
{
    size_t wanted = *room < 2 ? 4 : *room * 2;
    wanted = wanted < need ? need : wanted;
    void *larger = wanted <= SIZE_MAX / 2 / size ? realloc(block, wanted * size) : NULL;
    if (larger != NULL) {
        *room = wanted;
    }
    return larger;
}

char *retab_text_scratch(struct retab_text *text, size_t need)
{
    if (text->room < need) {
        char *larger = retab_text_grow(text->scratch, &text->room, need, 1);
        if (larger == NULL) {
            text->message = retab_text_no_memory;
            return NULL;
        }
        text->scratch = larger;
    }
    return text->scratch;
}

void retab_text_trim(struct retab_text *text, size_t most)
{
    if (text->room > most) {
        free(text->scratch);
        text->scratch = NULL;
        text->room = 0;
    }
}

/* ---- UTF-8 ----------------------------------------------------------------------------------------- */

/* A state machine that checks UTF-8. A state is a bit offset: the word of a byte, shifted right by the current state,
 * has the next state in its lowest six bits. So a byte costs two instructions and no branch (bench/shapes.lua,
 * "non-ASCII" and "long non-ASCII"). ONE, TWO and THREE are the numbers of bytes that must follow. After E0, ED, F0 and
 * F4 the next byte has a smaller range (table 3-7 of the Unicode standard). */
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
#define MASK 63u

#define TO(from, to) ((uint64_t)(to) << (from))
#define STEP(complete, one, two, three, e0, ed, f0, f4)                                                                \
    (TO(COMPLETE, complete) | TO(INVALID, INVALID) | TO(ONE, one) | TO(TWO, two) | TO(THREE, three) |                  \
     TO(AFTER_E0, e0) | TO(AFTER_ED, ed) | TO(AFTER_F0, f0) | TO(AFTER_F4, f4))
#define BEGIN(to) STEP(to, INVALID, INVALID, INVALID, INVALID, INVALID, INVALID, INVALID)
#define CONTINUE(e0, ed, f0, f4) STEP(INVALID, COMPLETE, ONE, TWO, e0, ed, f0, f4)
#define X4(step) step, step, step, step
#define X16(step) X4(step), X4(step), X4(step), X4(step)
#define X64(step) X16(step), X16(step), X16(step), X16(step)

/* clang-format off */
static const uint64_t steps[256] = {
    /* 00-7F */ X64(BEGIN(COMPLETE)), X64(BEGIN(COMPLETE)),
    /* 80-8F */ X16(CONTINUE(INVALID, ONE, INVALID, TWO)),
    /* 90-9F */ X16(CONTINUE(INVALID, ONE, TWO, INVALID)),
    /* A0-BF */ X16(CONTINUE(ONE, INVALID, TWO, INVALID)), X16(CONTINUE(ONE, INVALID, TWO, INVALID)),
    /* C0-C1 */ BEGIN(INVALID), BEGIN(INVALID),
    /* C2-DF */ BEGIN(ONE), BEGIN(ONE), X4(BEGIN(ONE)), X4(BEGIN(ONE)), X4(BEGIN(ONE)), X16(BEGIN(ONE)),
    /* E0-EC */ BEGIN(AFTER_E0), X4(BEGIN(TWO)), X4(BEGIN(TWO)), X4(BEGIN(TWO)),
    /* ED-EF */ BEGIN(AFTER_ED), BEGIN(TWO), BEGIN(TWO),
    /* F0-F4 */ BEGIN(AFTER_F0), BEGIN(THREE), BEGIN(THREE), BEGIN(THREE), BEGIN(AFTER_F4),
    /* F5-FF */ BEGIN(INVALID), BEGIN(INVALID), BEGIN(INVALID), X4(BEGIN(INVALID)), X4(BEGIN(INVALID))};
/* clang-format on */

/* Returns the state after the bytes from `p` to `end`. */
static uint64_t run_states(const char *p, const char *end)
{
    uint64_t state = COMPLETE;
#if defined(__SSE2__)
    for (; end - p >= 16; p += 16) {
        /* in this order: the second test is unpredictable for the processor */
        if (_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)p)) == 0 && (state & MASK) == COMPLETE) {
            continue;
        }
        for (int i = 0; i < 16; i++) {
            state = steps[(unsigned char)p[i]] >> (state & MASK);
        }
    }
#endif
    for (; p < end; p++) {
        state = steps[(unsigned char)*p] >> (state & MASK);
    }
    return state & MASK;
}

/* Reads characters up to a quote, a backslash or a control character. The first character is not ASCII. */
static const char *read_characters(struct retab_text *text, const char *p)
{
    const char *const stop = retab_text_scan(p, text->end, 0);
    if (run_states(p, stop) == COMPLETE) {
        return stop;
    }
    /* find the first wrong byte: it is the stop if the text ends inside a character */
    uint64_t state = COMPLETE;
    while (p < stop && (state = steps[(unsigned char)*p] >> (state & MASK), (state & MASK) != INVALID)) {
        p++;
    }
    return retab_text_fail(text, p, "invalid UTF-8");
}

/* ---- strings --------------------------------------------------------------------------------------- */

/* The length of the longest UTF-8 character, in bytes. */
#define LONGEST_CHARACTER 4

/* The byte that each escape stands for, by the character after the backslash; 0 if there is no such escape. */
static const char escapes[256] = {
    ['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'};

/* One more than the value of a hexadecimal digit; 0 for other characters. */
static const unsigned char digits[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16};

/* Reads the four digits after \u. */
static inline const char *read_hex(struct retab_text *text, const char *p, unsigned long *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++) {
        const unsigned char digit = digits[(unsigned char)p[i]];
        if (digit == 0) {
            return retab_text_fail(text, p + i, "expected four hexadecimal digits");
        }
        *code = *code << 4 | (digit - 1u);
    }
    return p + 4;
}

/* Reads an escape, whose backslash is at `p`, and stores the code point that it stands for. */
static inline const char *read_escape(struct retab_text *text, const char *p, unsigned long *code)
{
    p++;
    if (*p != 'u') {
        *code = (unsigned char)escapes[(unsigned char)*p];
        return *code != 0 ? p + 1 : retab_text_fail(text, p, "unknown escape in a string");
    }
    p = read_hex(text, p + 1, code);
    if (p == NULL || *code < 0xD800 || *code > 0xDFFF) {
        return p;
    }
    unsigned long low = 0;
    if (*code < 0xDC00 && p[0] == '\\' && p[1] == 'u' && read_hex(text, p + 2, &low) == NULL) {
        return NULL;
    }
    if (low >= 0xDC00 && low <= 0xDFFF) {
        *code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
        return p + 6;
    }
    *code = 0xFFFD;
    return p;
}

const char *retab_text_check_string(struct retab_text *text, const char *p)
{
    unsigned long code;
    for (p++; p != NULL;) {
        p = retab_text_plain(p, text->end);
        if (*p == '"') {
            return p + 1;
        }
        if (*p == '\\') {
            p = read_escape(text, p, &code);
        } else if ((unsigned char)*p >= 0x80) {
            p = read_characters(text, p);
        } else {
            p = retab_text_fail(text, p, "control character in a string");
        }
    }
    return NULL;
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

const char *retab_text_decode(struct retab_text *text, const char *p, const char **bytes, size_t *length)
{
    size_t used = 0;
    unsigned long code;
    for (p++;;) {
        const char *const from = p;
        p = (unsigned char)*p >= 0x80 ? read_characters(text, p) : retab_text_plain(p, text->end);
        if (p == NULL || retab_text_scratch(text, used + (size_t)(p - from) + LONGEST_CHARACTER) == NULL) {
            return NULL;
        }
        memcpy(text->scratch + used, from, (size_t)(p - from));
        used += (size_t)(p - from);
        if (*p == '"') {
            *bytes = text->scratch;
            *length = used;
            return p + 1;
        }
        if (*p == '\\') {
            p = read_escape(text, p, &code);
            if (p == NULL) {
                return NULL;
            }
            used = (size_t)(put_utf8(text->scratch + used, code) - text->scratch);
        } else if ((unsigned char)*p < ' ') {
            return retab_text_fail(text, p, "control character in a string");
        }
    }
}

/* ---- words ----------------------------------------------------------------------------------------- */

const char *retab_text_word(struct retab_text *text, const char *p, const char *word)
{
    for (; *word != '\0'; word++, p++) {
        if (*p != *word) {
            return retab_text_fail(text, p, "expected true, false or null");
        }
    }
    return p;
}
