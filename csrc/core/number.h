/* Reads the numbers of JSON: as integers if they fit 64 bits, otherwise as the nearest double. Knows nothing of Lua. */
#pragma once

#include <stdint.h>

#pragma GCC visibility push(hidden)

struct retab_number {
    int is_integer; /* nonzero: the value is `integer`; 0: it is `real` */
    int64_t integer;
    double real;
    const char *message, *error_at; /* of an error, and its position */
};

/* Reads the number at `p`, in a text that ends in a NUL. Returns the position after it; or NULL with `message` and
 * `error_at` set, if there is no number or if it is too large for a double. */
const char *retab_number_read(const char *p, struct retab_number *number);

/* Checks the number like retab_number_read, and does not store it. */
const char *retab_number_skip(const char *p, struct retab_number *number);

#pragma GCC visibility pop
