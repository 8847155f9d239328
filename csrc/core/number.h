/* The numbers of JSON: exact integers where they fit, else the nearest double. It knows nothing of Lua. */
#ifndef RETAB_NUMBER_H
#define RETAB_NUMBER_H

#include <stdint.h>

#include "text.h"

struct retab_number {
    int integer; /* else a double */
    int64_t whole;
    double real;
};

/* Reads the number at the text's cursor. 0, or -1 with message and wrong set: no number, or one past double. */
int retab_number_read(struct retab_text *text, struct retab_number *number);

#endif
