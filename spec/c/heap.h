/* The C heap as the code under test sees it: it is counted, and can be told to fail.
 *
 * A test that uses this is linked with --wrap for malloc, calloc, realloc, strdup and free, which catches the calls
 * of the objects that are linked into it, and none of those of a library. */
#ifndef RETAB_HEAP_H
#define RETAB_HEAP_H

#include <stddef.h>

/* Returns the number of blocks that are allocated now. */
long heap_blocks(void);

/* Returns the number of bytes in these blocks. */
size_t heap_bytes(void);

/* Lets `before` allocations succeed, then `failures` fail; a negative `before` ends that. */
void heap_fail(long before, long failures);

/* Returns nonzero if an allocation has failed since heap_fail. */
int heap_failed(void);

/* The heap itself, for the test's own use: not counted, never failing. */
void *heap_system_realloc(void *block, size_t size);
void heap_system_free(void *block);

#endif
