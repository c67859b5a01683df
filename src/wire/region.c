#include "wire/region.h"

#include "base/check.h"

#include <string.h>

_Static_assert(REGION_BLOCKS == 64, "a block is a bit of a word of 64");

static uint64_t bit_of(uint32_t block)
{
    return UINT64_C(1) << block;
}

static uint8_t *block_at(const struct region *r, uint32_t block)
{
    return r->memory + REGION_SKEW + (size_t)block * REGION_BLOCK_BYTES;
}

void region_init(struct region *r, void *memory, _Atomic uint64_t *returned)
{
    CHECK((memory == NULL) == (returned == NULL));
    *r = (struct region){ .memory = memory, .returned = returned };
}

bool region_collect(struct region *r)
{
    if (r->lent == 0 || r->broken)
        return r->lent == 0;
    /* Whoever sees a bit sees all that its reader did before: the bytes were copied. */
    const uint64_t back = atomic_exchange_explicit(r->returned, 0, memory_order_acquire);
    r->broken = (back & ~r->lent) != 0;
    r->lent &= ~back;
    return r->lent == 0;
}

/* The lowest one, so that a few warm blocks serve most payloads; REGION_BLOCKS: none is free. */
static uint32_t free_block(struct region *r)
{
    uint32_t block = 0;
    if (r->memory == NULL)
        return REGION_BLOCKS;
    region_collect(r);
    if (r->broken)
        return REGION_BLOCKS;
    while (block < REGION_BLOCKS && (r->lent & bit_of(block)) != 0)
        block++;
    return block;
}

size_t region_write_part(struct region *r, struct buffer *out, uint64_t job, const void *data,
                         size_t bytes)
{
    const size_t part = bytes < FRAME_PART_MAX ? bytes : FRAME_PART_MAX;
    CHECK(part > 0);
    const uint32_t block = part < REGION_PART_LEAST ? REGION_BLOCKS : free_block(r);
    if (block == REGION_BLOCKS) {
        frame_write(out, FRAME_PART, job, data, part);
        return part;
    }
    memcpy(block_at(r, block), data, part);
    r->lent |= bit_of(block);
    r->touched |= bit_of(block);
    frame_write_block(out, job, block, (uint32_t)part);
    return part;
}

bool region_part_read(struct region *r, const struct frame *f, struct message_part *out,
                      struct weir_error *err)
{
    struct message_block m;
    if ((f->flags & FRAME_IN_BLOCK) == 0)
        return message_part_read(f, out, err);
    if (!message_block_read(f, &m, err))
        return false;
    if (r->memory == NULL || m.block >= REGION_BLOCKS) {
        weir_fail(err, WEIR_INVALID, "frame 'part' names block %u, there are %d", (unsigned)m.block,
                  r->memory == NULL ? 0 : REGION_BLOCKS);
        return false;
    }
    r->touched |= bit_of(m.block);
    *out = (struct message_part){
        .data = block_at(r, m.block), .bytes = m.bytes, .in_block = true, .block = m.block
    };
    return true;
}

void region_return(struct region *r, const struct message_part *part)
{
    if (part->in_block)
        atomic_fetch_or_explicit(r->returned, bit_of(part->block), memory_order_release);
}

size_t region_touched_bytes(const struct region *r)
{
    size_t blocks = 0;
    for (uint64_t left = r->touched; left != 0; left &= left - 1)
        blocks++;
    return blocks * REGION_BLOCK_BYTES;
}
