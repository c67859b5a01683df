#define _GNU_SOURCE
#include "base/mem.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Below this, writing zeros costs less than asking the system for them. */
#define LARGE ((size_t)1024 * 1024)

/* The allocator keeps a few freed blocks of each small size for the thread that freed them, and
 * counts them as in use. It is given as many as it keeps, so that they are the same number of bytes
 * at every question and not a growth of a program that does not grow. */
#define CACHED_BYTES_MAX 1040
#define CACHED_STEP      16
#define CACHED_EACH      16

static void fill_caches(void)
{
    void *volatile blocks[CACHED_EACH]; /* or the compiler does without them */
    for (size_t size = 8; size < CACHED_BYTES_MAX; size += CACHED_STEP) {
        for (size_t i = 0; i < CACHED_EACH; i++)
            blocks[i] = malloc(size);
        for (size_t i = 0; i < CACHED_EACH; i++)
            free(blocks[i]);
    }
}

/* What is mapped by itself (large blocks) is counted beside what lies in the heap. */
size_t mem_in_use(void)
{
    fill_caches();
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* Pages that are given back read as zeros, and cost nothing until they are used. */
void mem_clear(void *block, size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t before = (page - (uintptr_t)block % page) % page;
    if (bytes < LARGE) {
        memset(block, 0, bytes);
        return;
    }
    char *first = (char *)block + before;
    const size_t pages = (bytes - before) / page * page;
    if (madvise(first, pages, MADV_DONTNEED) != 0)
        memset(first, 0, pages);
    memset(block, 0, before);
    memset(first + pages, 0, bytes - before - pages);
}
