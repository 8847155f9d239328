/* The numbers of JSON: exact integers where they fit, else the nearest double. Knows nothing of Lua or of texts. */
#pragma once

#include <stdint.h>

#pragma GCC visibility push(hidden)

struct retab_number {
    int is_integer; /* else `real` is the number */
    int64_t integer;
    double real;
    const char *message, *wrong; /* of an error, and where it is */
};

/* Reads the number at `p`, in a text that ends in a NUL. Returns the position after it; or NULL with message and wrong
 * set, where there is no number or one that is too large for a double. */
const char *retab_number_read(const char *p, struct retab_number *number);

/* The same, but the number is not stored. */
const char *retab_number_skip(const char *p, struct retab_number *number);

#pragma GCC visibility pop
