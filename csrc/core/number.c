/* There are three ways to compute the nearest double. Each handles what the ways before it cannot:
 * 1. one multiplication or division, if the digits and the power of ten are both exact doubles;
 * 2. one division of integers, for a fraction of up to 19 digits;
 * 3. strtod. */
#define _GNU_SOURCE /* strtod_l */

#include "number.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#if !defined(__linux__)
#include <xlocale.h>
#endif

/* The first way needs arithmetic that rounds once, to a double. The x87 unit rounds to 64 bits, and again when it
 * stores the result: if the compiler uses it (FLT_EVAL_METHOD is 2, or -1 for unknown), the first way is not used. */
#define ROUNDS_ONCE (FLT_EVAL_METHOD >= 0 && FLT_EVAL_METHOD != 2)

/* Powers of ten that are exact doubles. */
static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                      1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
#define EXACT_POWER 22
#define EXACT_MANTISSA ((uint64_t)1 << 53)

/* Numbers of 19 decimal digits always fit 64 bits, and so does 10^19. */
#define DIGITS 19

/* An exponent grows up to here, so that it cannot overflow. No text has enough digits to cancel it out. */
#define LARGE_EXPONENT ((int64_t)1 << 56)

#if defined(__SIZEOF_INT128__)
__extension__ typedef unsigned __int128 uint128;

/* Returns the double nearest to mantissa / 10^power. The quotient has at least 62 bits, more than a double. Its last
 * bit is set if there is a remainder, so that the conversion to double rounds to the right side. */
static double divide(uint64_t mantissa, int power)
{
    const uint64_t ten = (uint64_t)exact_powers[power];
    const int zeros = __builtin_clzll(mantissa), more = __builtin_clzll(ten);
    const uint128 dividend = (uint128)(mantissa << zeros) << 63;
    const uint64_t divisor = ten << more;
    uint64_t quotient = (uint64_t)(dividend / divisor);
    quotient |= (uint128)quotient * divisor != dividend;
    return ldexp((double)quotient, more - zeros - 63);
}
#endif

/* Returns the double nearest to the number at `p`, from strtod. It uses the C locale, where the decimal separator is a
 * point. newlocale allocates nothing: the C library has this locale already. */
static double nearest(const char *p)
{
    const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    const double real = strtod_l(p, NULL, c);
    freelocale(c);
    return real;
}

static inline int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A number in parts: mantissa * 10^power if the digits fit 64 bits. */
struct parts {
    const char *digits, *end; /* with the decimal point, if any */
    uint64_t mantissa;
    int64_t power; /* no text is long enough for an overflow */
    int is_real, fits;
};

static const char *fail(struct retab_number *number, const char *error_at, const char *message)
{
    number->error_at = error_at;
    number->message = message;
    return NULL;
}

static inline const char *read_digits(const char *p, uint64_t *mantissa)
{
    for (; is_digit(*p); p++) {
        *mantissa = *mantissa * 10 + (uint64_t)(*p - '0');
    }
    return p;
}

static inline const char *read_parts(struct retab_number *number, const char *p, struct parts *parts)
{
    const char *const from = p;
    *parts = (struct parts){from, NULL, 0, 0, 0, 1};
    p = read_digits(p, &parts->mantissa);
    if (*from == '0' && p - from > 1) {
        return fail(number, from + 1, "leading zero in a number");
    }
    if (*p == '.') {
        const char *const fraction = p + 1;
        parts->is_real = 1;
        p = read_digits(fraction, &parts->mantissa);
        if (p == fraction) {
            return fail(number, p, "expected a digit");
        }
        parts->power = -(int64_t)(p - fraction);
    }
    parts->end = p;
    parts->fits = p - from - parts->is_real <= DIGITS;
    if (*p == 'e' || *p == 'E') {
        int64_t exponent = 0;
        parts->is_real = 1;
        p++;
        const int is_negative = *p == '-';
        p += *p == '-' || *p == '+';
        if (!is_digit(*p)) {
            return fail(number, p, "expected a digit");
        }
        for (; is_digit(*p); p++) {
            exponent = exponent < LARGE_EXPONENT ? exponent * 10 + (*p - '0') : exponent;
        }
        parts->power += is_negative ? -exponent : exponent;
    }
    return p;
}

static double to_double(const struct parts *parts)
{
    if (!parts->fits || parts->power < -EXACT_POWER || parts->power > EXACT_POWER) {
        return nearest(parts->digits);
    }
    const int power = (int)parts->power;
    if (ROUNDS_ONCE && parts->mantissa <= EXACT_MANTISSA) {
        const double exact = (double)parts->mantissa;
        return power < 0 ? exact / exact_powers[-power] : exact * exact_powers[power];
    }
#if defined(__SIZEOF_INT128__)
    if (power < 0 && power >= -DIGITS && parts->mantissa > 0) {
        return divide(parts->mantissa, -power);
    }
#endif
    return nearest(parts->digits);
}

/* Reads the sign and the parts. Returns the position after them, or NULL. */
static inline const char *read_number(struct retab_number *number, const char *p, struct parts *parts, int *is_negative)
{
    *is_negative = *p == '-';
    p += *is_negative;
    return is_digit(*p) ? read_parts(number, p, parts)
                        : fail(number, p, *is_negative ? "expected a digit" : "expected a value");
}

const char *retab_number_read(const char *p, struct retab_number *number)
{
    const char *const from = p;
    struct parts parts;
    int is_negative;
    p = read_number(number, from, &parts, &is_negative);
    if (p == NULL) {
        return NULL;
    }
    number->is_integer = !parts.is_real && parts.fits && parts.mantissa <= (uint64_t)INT64_MAX + (uint64_t)is_negative;
    if (number->is_integer) {
        number->integer = is_negative ? (int64_t)(0 - parts.mantissa) : (int64_t)parts.mantissa;
        return p;
    }
    const double real = to_double(&parts);
    if (isinf(real)) {
        return fail(number, from, "number too large for a double");
    }
    number->real = is_negative ? -real : real;
    return p;
}

const char *retab_number_skip(const char *p, struct retab_number *number)
{
    struct parts parts;
    int is_negative;
    const char *const end = read_number(number, p, &parts, &is_negative);
    const int is_small = end != NULL && parts.power < DBL_MAX_10_EXP - (parts.end - parts.digits);
    return end == NULL || is_small ? end : retab_number_read(p, number);
}
