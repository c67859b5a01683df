#include "base/mem.h"

#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The product, and at least one byte, so that NULL always means failure. False on overflow,
 * which is decided here because sanitizers end the program when calloc is asked for the
 * impossible. */
static bool bytes_of(size_t count, size_t size, size_t *out_bytes)
{
    if (size != 0 && count > PTRDIFF_MAX / size)
        return false;
    *out_bytes = count * size > 0 ? count * size : 1;
    return true;
}

void *mem_new(size_t count, size_t size)
{
    void *const fresh = mem_try(count, size);
    CHECK(fresh != NULL);
    return fresh;
}

void *mem_try(size_t count, size_t size)
{
    size_t bytes;
    if (!bytes_of(count, size, &bytes))
        return NULL;
    return calloc(1, bytes);
}

void *mem_try_aligned(size_t bytes, size_t alignment)
{
    CHECK(alignment != 0 && (alignment & (alignment - 1)) == 0);
    if (alignment < sizeof(void *))
        alignment = sizeof(void *);
    if (!bytes_of(bytes, 1, &bytes))
        return NULL;
    void *fresh = NULL;
    if (posix_memalign(&fresh, alignment, bytes) != 0)
        return NULL;
    mem_clear(fresh, bytes);
    return fresh;
}

void *mem_resize(void *old, size_t count, size_t size)
{
    size_t bytes;
    if (!bytes_of(count, size, &bytes))
        return NULL;
    return realloc(old, bytes);
}

char *mem_copy_text(const char *data, size_t len)
{
    CHECK(len < PTRDIFF_MAX);
    char *const copy = mem_new(len + 1, 1);
    if (len > 0)
        memcpy(copy, data, len);
    return copy;
}

void mem_free(void *pointer)
{
    free(pointer);
}
