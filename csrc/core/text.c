#include "text.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>

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

static char *scratch(struct retab_text *text, size_t need)
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

/* ---- strings --------------------------------------------------------------------------------------- */

/* Moves `*from` over the characters beyond ASCII that begin there. The ranges are Unicode's table 3-7. */
static int skip_utf8(struct retab_text *text, const char **from)
{
    const unsigned char *p = (const unsigned char *)*from;
    while (*p >= 0x80) {
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
    }
    *from = (const char *)p;
    return 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int retab_text_string(struct retab_text *text, const char **close, int *escaped)
{
    const char *p = text->p + 1;
    *escaped = 0;
    for (;;) {
        p = retab_text_plain(p, text->end);
        if (*p == '"') {
            *close = p;
            text->p = p + 1;
            return 0;
        }
        if (*p == '\\') {
            *escaped = 1;
            p++;
            if (*p == 'u') {
                for (int i = 1; i <= 4; i++) {
                    if (hex_value(p[i]) < 0) {
                        return retab_text_fail(text, p + i, "expected four hexadecimal digits");
                    }
                }
                p += 5;
            } else if (*p != '\0' && strchr("\"\\/bfnrt", *p) != NULL) {
                p++;
            } else {
                return retab_text_fail(text, p, "unknown escape in a string");
            }
        } else if ((unsigned char)*p >= 0x80) {
            if (skip_utf8(text, &p) != 0) {
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

static unsigned long hex4(const char *p)
{
    unsigned long code = 0;
    for (int i = 0; i < 4; i++) {
        code = code << 4 | (unsigned long)hex_value(p[i]);
    }
    return code;
}

int retab_text_unescape(struct retab_text *text, const char *from, const char *close, const char **bytes,
                        size_t *length)
{
    static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
    char *out = scratch(text, (size_t)(close - from)); /* no escape is shorter than what it stands for */
    if (out == NULL) {
        return -1;
    }
    while (from < close) {
        const char *backslash = memchr(from, '\\', (size_t)(close - from));
        size_t plain = (size_t)((backslash != NULL ? backslash : close) - from);
        memcpy(out, from, plain);
        out += plain;
        if (backslash == NULL) {
            break;
        }
        from = backslash + 2;
        if (backslash[1] != 'u') {
            const char *name = strchr(names, backslash[1]);
            *out++ = name != NULL ? values[name - names] : backslash[1];
            continue;
        }
        unsigned long code = hex4(from), low = 0;
        from += 4;
        if (code >= 0xD800 && code <= 0xDFFF) {
            if (code < 0xDC00 && from[0] == '\\' && from[1] == 'u') {
                low = hex4(from + 2);
            }
            if (low >= 0xDC00 && low <= 0xDFFF) {
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                from += 6;
            } else {
                code = 0xFFFD;
            }
        }
        out = put_utf8(out, code);
    }
    *bytes = text->scratch;
    *length = (size_t)(out - text->scratch);
    return 0;
}

/* ---- numbers --------------------------------------------------------------------------------------- */

/* Powers of ten that are doubles exactly. */
static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                      1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
#define EXACT_POWER 22
#define EXACT_MANTISSA ((uint64_t)1 << 53)

/* As many decimal digits as always fit 64 bits. */
#define DIGITS 19

/* An exponent beyond this is out of range, however many digits the fraction has to make up for it. */
#define LARGE_EXPONENT ((int64_t)1 << 56)

static inline int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The double nearest to the number from `from` to `to`, whatever the locale's decimal point is. */
static int nearest(struct retab_text *text, const char *from, const char *to, double *real)
{
    const char *point = localeconv()->decimal_point;
    const char *dot = memchr(from, '.', (size_t)(to - from));
    if (dot == NULL || strcmp(point, ".") == 0) {
        *real = strtod(from, NULL); /* what ends a number of JSON ends one of strtod's */
    } else {
        size_t head = (size_t)(dot - from), tail = (size_t)(to - dot) - 1, width = strlen(point);
        char *local = scratch(text, head + width + tail + 1);
        if (local == NULL) {
            return -1;
        }
        memcpy(local, from, head);
        memcpy(local + head, point, width);
        memcpy(local + head + width, dot + 1, tail);
        local[head + width + tail] = '\0';
        *real = strtod(local, NULL);
    }
    return isinf(*real) ? retab_text_fail(text, from, "number too large for a double") : 0;
}

int retab_text_number(struct retab_text *text, struct retab_number *number)
{
    const char *const from = text->p;
    const int negative = *from == '-';
    const char *p = from + negative;
    uint64_t mantissa = 0;
    int digits = 0, real = 0;
    int64_t power = 0; /* no text is long enough for it to overflow */

    if (!is_digit(*p)) {
        return retab_text_fail(text, p, negative ? "expected a digit" : "expected a value");
    }
    if (*p == '0') {
        if (is_digit(*++p)) {
            return retab_text_fail(text, p, "leading zero in a number");
        }
    } else {
        for (; is_digit(*p); p++) {
            mantissa = mantissa * 10 + (uint64_t)(*p - '0');
            digits += digits <= DIGITS;
        }
    }
    if (*p == '.') {
        real = 1;
        if (!is_digit(*++p)) {
            return retab_text_fail(text, p, "expected a digit");
        }
        for (; is_digit(*p); p++) {
            mantissa = mantissa * 10 + (uint64_t)(*p - '0');
            digits += digits <= DIGITS && mantissa != 0;
            power--;
        }
    }
    if (*p == 'e' || *p == 'E') {
        int64_t exponent = 0;
        real = 1;
        p++;
        const int minus = *p == '-';
        p += *p == '-' || *p == '+';
        if (!is_digit(*p)) {
            return retab_text_fail(text, p, "expected a digit");
        }
        for (; is_digit(*p); p++) {
            exponent = exponent < LARGE_EXPONENT ? exponent * 10 + (*p - '0') : exponent;
        }
        power += minus ? -exponent : exponent;
    }
    text->p = p;

    number->integer = !real && digits <= DIGITS && mantissa <= (uint64_t)INT64_MAX + (uint64_t)negative;
    if (number->integer) {
        number->whole = negative ? (int64_t)(0 - mantissa) : (int64_t)mantissa;
        return 0;
    }
    if (digits <= DIGITS && mantissa <= EXACT_MANTISSA && power >= -EXACT_POWER && power <= EXACT_POWER) {
        /* both are exact, so the one rounding of IEEE 754 is the right one */
        double exact = (double)mantissa;
        exact = power < 0 ? exact / exact_powers[-power] : exact * exact_powers[power];
        number->real = negative ? -exact : exact;
        return 0;
    }
    return nearest(text, from, p, &number->real);
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
    const char *close;
    int escaped;
    struct retab_number number;
    switch (*text->p) {
    case '"':
        return retab_text_string(text, &close, &escaped);
    case 't':
        return retab_text_literal(text, "true");
    case 'f':
        return retab_text_literal(text, "false");
    case 'n':
        return retab_text_literal(text, "null");
    default:
        return retab_text_number(text, &number);
    }
}

static int skip_key(struct retab_text *text)
{
    const char *close;
    int escaped;
    if (*text->p != '"') {
        return retab_text_fail(text, text->p, "expected a string as key");
    }
    if (retab_text_string(text, &close, &escaped) != 0) {
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
