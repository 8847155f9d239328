/* Runs Lua code again and again while one allocation after the other fails, once alone and once with all that follow.
 * Each time the code succeeds or raises "not enough memory" as Lua does, nothing leaks, and the same Lua state works
 * on.
 *
 * A test that uses this is linked as heap.h says. */
#ifndef RETAB_EXHAUST_H
#define RETAB_EXHAUST_H

#include <lua.h>
#include <stddef.h>

struct exhaust_scenario {
    const char *name, *code;
};

/* An allocator that can be told to fail. While it is not Lua's own, a scenario sees the global FAILING as true, and
 * need not get what it asked for. `foreign`: other threads may free blocks of it a little later. */
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
