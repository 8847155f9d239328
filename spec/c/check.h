/* The assertion of the C tests: on a false condition it tells where and what, and ends the test. */
#ifndef RETAB_CHECK_H
#define RETAB_CHECK_H

#include <stdio.h>
#include <stdlib.h>

/* CHECK(condition, format, ...): the message says what was being done. */
#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n  ", __FILE__, __LINE__, #condition);                                  \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fputc('\n', stderr);                                                                                       \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

#endif
