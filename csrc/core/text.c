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

/* Moves `*from`, which is at a character beyond ASCII, on to ASCII, or to what is not plain. */
static int skip_script(struct retab_text *text, const char **from)
{
    const unsigned char *p = (const unsigned char *)*from;
    while (*p >= 0x80) {
        if (*p >= 0xE1 && *p <= 0xEC && (p[1] & 0xC0) == 0x80 && (p[2] & 0xC0) == 0x80) {
            p += 3;
        } else if (*p >= 0xC2 && *p <= 0xDF && (p[1] & 0xC0) == 0x80) {
            p += 2;
        } else if (skip_character(text, &p) != 0) {
            return -1;
        }
        for (int i = 0; i < BETWEEN && retab_text_is_plain((char)*p); i++) {
            p++;
        }
    }
    *from = (const char *)p;
    return 0;
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
