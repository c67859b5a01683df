#include "heap.h"

#include "base/mem.h"

#include <stdbool.h>

static int64_t blocks;

int64_t heap_blocks(void)
{
    return blocks;
}

/* The linker gives these names: __real_X is base/mem.h's X, __wrap_X what the others call. */
void *__real_mem_new(size_t count, size_t size);
void *__real_mem_try(size_t count, size_t size);
void *__real_mem_resize(void *old, size_t count, size_t size);
char *__real_mem_copy_text(const char *data, size_t len);
void __real_mem_free(void *pointer);

void *__wrap_mem_new(size_t count, size_t size);
void *__wrap_mem_try(size_t count, size_t size);
void *__wrap_mem_resize(void *old, size_t count, size_t size);
char *__wrap_mem_copy_text(const char *data, size_t len);
void __wrap_mem_free(void *pointer);

void *__wrap_mem_new(size_t count, size_t size)
{
    blocks++;
    return __real_mem_new(count, size);
}

void *__wrap_mem_try(size_t count, size_t size)
{
    void *block = __real_mem_try(count, size);
    blocks += block != NULL;
    return block;
}

void *__wrap_mem_resize(void *old, size_t count, size_t size)
{
    const bool is_new = old == NULL; /* old is gone behind the call */
    void *block = __real_mem_resize(old, count, size);
    blocks += is_new && block != NULL;
    return block;
}

char *__wrap_mem_copy_text(const char *data, size_t len)
{
    blocks++;
    return __real_mem_copy_text(data, len);
}

void __wrap_mem_free(void *pointer)
{
    blocks -= pointer != NULL;
    __real_mem_free(pointer);
}
