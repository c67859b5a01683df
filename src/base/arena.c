#include "base/arena.h"

#include "base/mem.h"

#include <stdalign.h>
#include <string.h>

/* AddressSanitizer is told which bytes of a block are handed out, so that it catches a step beyond
 * them although malloc knows only the block. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONS 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_POISONS 1
#endif
#ifdef ARENA_POISONS
#include <sanitizer/asan_interface.h>
#define POISON(data, bytes)   ASAN_POISON_MEMORY_REGION(data, bytes)
#define UNPOISON(data, bytes) ASAN_UNPOISON_MEMORY_REGION(data, bytes)
#else
#define POISON(data, bytes)   ((void)(data), (void)(bytes))
#define UNPOISON(data, bytes) ((void)(data), (void)(bytes))
#endif

enum { ALIGNMENT = 16, BLOCK_LEAST = 4096, BLOCK_MOST = 1024 * 1024 };

/*      newest                     older
 *     +--------+---------+------+     +--------+-----------+
 *     | header | used    | zero | --> | header | used, …   | --> NULL
 *     +--------+---------+------+     +--------+-----------+
 *
 * What lies beyond `used` in the newest block is zero, so handing out costs no memset. */
struct arena_block {
    alignas(ALIGNMENT) struct arena_block *older;
    size_t size;
    uint8_t data[];
};
_Static_assert(sizeof(struct arena_block) % ALIGNMENT == 0, "data is aligned when the block is");
_Static_assert(alignof(max_align_t) >= ALIGNMENT, "the block is aligned as malloc aligns");

void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){ .max = max };
}

static void free_blocks(struct arena_block *block)
{
    while (block != NULL) {
        struct arena_block *const older = block->older;
        mem_free(block);
        block = older;
    }
}

void arena_finish(struct arena *a)
{
    if (a == NULL)
        return;
    free_blocks(a->blocks);
    *a = (struct arena){ .max = a->max };
}

/* The newest block stays for the next round: an arena that is cleared each step soon allocates
 * nothing any more. */
void arena_clear(struct arena *a)
{
    if (a->blocks == NULL)
        return;
    free_blocks(a->blocks->older);
    a->blocks->older = NULL;
    UNPOISON(a->blocks->data, a->blocks->size);
    memset(a->blocks->data, 0, a->used);
    POISON(a->blocks->data, a->blocks->size);
    a->used = 0;
    a->total = 0;
}

static struct arena_block *block_create(size_t size)
{
    if (size > SIZE_MAX - sizeof(struct arena_block))
        return NULL;
    struct arena_block *const block = mem_try(1, sizeof(struct arena_block) + size);
    if (block == NULL)
        return NULL;
    block->size = size;
    POISON(block->data, size);
    return block;
}

/* A block for `room` bytes. One that serves a single large request goes behind the newest block,
 * whose rest would otherwise be lost. */
static uint8_t *take_new_block(struct arena *a, size_t room)
{
    size_t size = a->blocks != NULL ? a->blocks->size * 2 : BLOCK_LEAST;
    if (size > BLOCK_MOST)
        size = BLOCK_MOST;
    const bool alone = room > size / 4 && a->blocks != NULL;
    struct arena_block *const block = block_create(alone || room > size ? room : size);
    if (block == NULL)
        return NULL;
    if (alone) {
        block->older = a->blocks->older;
        a->blocks->older = block;
        return block->data;
    }
    block->older = a->blocks;
    a->blocks = block;
    a->used = room;
    return block->data;
}

void *arena_try(struct arena *a, size_t count, size_t size)
{
    if (size != 0 && count > (SIZE_MAX - ALIGNMENT) / size)
        return NULL;
    const size_t bytes = count * size;
    /* Nothing also takes room, so that every pointer is different from every other. */
    const size_t room = bytes == 0 ? ALIGNMENT : (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (room > a->max - a->total)
        return NULL;
    uint8_t *data;
    if (a->blocks != NULL && room <= a->blocks->size - a->used) {
        data = a->blocks->data + a->used;
        a->used += room;
    } else {
        data = take_new_block(a, room);
        if (data == NULL)
            return NULL;
    }
    a->total += room;
    UNPOISON(data, bytes);
    return data;
}

struct str arena_str(struct arena *a, struct str s)
{
    if (s.len == SIZE_MAX)
        return (struct str){ NULL, 0 };
    char *const copy = arena_try(a, s.len + 1, 1);
    if (copy == NULL)
        return (struct str){ NULL, 0 };
    if (s.len > 0)
        memcpy(copy, s.data, s.len);
    return (struct str){ copy, s.len };
}
