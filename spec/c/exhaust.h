/* Runs Lua code again and again while one allocation after the other fails, once alone and once with all that follow.
 * Each time the code succeeds or raises an error about memory, nothing leaks, and the same Lua state works on.
 *
 * A test that uses this is linked as heap.h says. */
#ifndef RETAB_EXHAUST_H
#define RETAB_EXHAUST_H

#include <lua.h>
#include <stddef.h>

struct exhaust_scenario {
    const char *name, *code;
};

/* An allocator that can be told to fail. What fails in a library's own memory (`foreign`) is its own affair: a scenario
 * then sees the global FAILING as true and need not get what it asked for, and an error may have any text. */
struct exhaust_allocator {
    const char *name;
    void (*fail)(long before, long failures); /* as heap_fail */
    int (*failed)(void);                      /* as heap_failed */
    long (*blocks)(void);                     /* how many blocks are allocated now */
    int foreign;
};

/* open: opens the modules and returns the arguments of every scenario. allocators: those to test beside Lua's own and
 * the C heap, ended by one without a name; or NULL. */
void exhaust(lua_CFunction open, const struct exhaust_scenario *scenarios, size_t count,
             const struct exhaust_allocator *allocators);

#endif
