#include "heap.h"

#include <malloc.h>
#include <string.h>

static size_t bytes;
static long blocks, left = -1, to_fail;
static int failed;

/* The linker's names: __wrap_x is called for x, and __real_x is what x was. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *block);

long heap_blocks(void)
{
    return blocks;
}

size_t heap_bytes(void)
{
    return bytes;
}

void heap_fail(long before, long failures)
{
    left = before;
    to_fail = failures;
    failed = 0;
}

int heap_failed(void)
{
    return failed;
}

void *heap_system_realloc(void *block, size_t size)
{
    return __real_realloc(block, size);
}

void heap_system_free(void *block)
{
    __real_free(block);
}

static int fails(void)
{
    if (left < 0 || left-- > 0) {
        return 0;
    }
    left = --to_fail > 0 ? 0 : -1;
    failed = 1;
    return 1;
}

static void *counted(void *block)
{
    blocks += block != NULL;
    bytes += malloc_usable_size(block);
    return block;
}

static void discount(void *block)
{
    blocks -= block != NULL;
    bytes -= malloc_usable_size(block);
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *block, size_t size)
{
    if (fails()) {
        return NULL;
    }
    discount(block);
    void *moved = __real_realloc(block, size);
    return counted(moved);
}

char *__wrap_strdup(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = __wrap_malloc(size);
    return copy != NULL ? memcpy(copy, text, size) : NULL;
}

void __wrap_free(void *block)
{
    discount(block);
    __real_free(block);
}
