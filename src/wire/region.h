/* region.h — payloads in memory that supervisor and worker share, beside the socket.
 *
 * A worker has two regions, one a direction (fds 5 and 6, sealed: they can neither shrink nor
 * grow), each of REGION_BLOCKS blocks as large as a part. A region has one writer, and only that
 * knows which blocks are lent. It copies a large part into a free block and sends a frame that
 * names the block; the reader copies the bytes out and sets the block's bit of `returned`, a word
 * of the control page:
 *
 *      writer                                            reader
 *      a free block ── bytes in ── frame `part` ───────► frame checked, bytes copied once
 *          ▲                                                 │
 *          └───────────── a bit of `returned` ◄──────────────┘
 *
 * Blocks come back in any order. A small part, and any part for which no block is free, has its
 * bytes in the frame: nobody ever waits for a block.
 *
 * Neither side trusts the other. What a frame says of a block is checked on the reader's own copy
 * of the frame; the bytes may change while they are read, so they are copied once and looked at
 * only there. Who names a block that holds something else garbles what it says itself. */
#ifndef WIRE_REGION_H
#define WIRE_REGION_H

#include "base/buffer.h"
#include "base/error.h"
#include "wire/frame.h"
#include "wire/message.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGION_BLOCKS      64 /* a bit each, in one word */
#define REGION_BLOCK_BYTES FRAME_PART_MAX
/* The first block begins in the middle of a page. Large buffers of malloc begin 16 bytes into one,
 * and copying to just behind where the source is in its page costs ten times as much on some CPUs
 * (AMD's, with the copying instruction that libc takes for such sizes). */
#define REGION_SKEW        2048
#define REGION_BYTES       (REGION_BLOCKS * REGION_BLOCK_BYTES + 2 * REGION_SKEW)
/* Shorter parts cost no more inline, and would keep 64 KiB from others. */
#define REGION_PART_LEAST  ((size_t)16 * 1024)

/* One end of a region. */
struct region {
    uint8_t *memory; /* shared, REGION_BYTES; NULL: there is none, all parts are inline */
    _Atomic uint64_t *returned; /* shared: set by the reader, cleared by the writer */
    uint64_t lent;              /* the writer's own: blocks that the reader has still to copy */
    uint64_t touched;           /* blocks that were used at this end, and so may hold memory */
    bool broken;                /* the reader gave back what it was not lent; sticky */
};

/* Both NULL for a process without regions. */
void region_init(struct region *r, void *memory, _Atomic uint64_t *returned);

/* ---- the writer's ---- */

/* Writes the frame of the payload's next part and returns how many bytes that took, at least 1 of
 * `bytes`, which may not be 0. */
size_t region_write_part(struct region *r, struct buffer *out, uint64_t job, const void *data,
                         size_t bytes);
/* Takes back what was returned; true when nothing is lent any more. */
bool region_collect(struct region *r);

/* ---- the reader's ---- */

/* A part, inline or in a block. False and err where its frame names what there is not. */
bool region_part_read(struct region *r, const struct frame *f, struct message_part *out,
                      struct weir_error *err);
/* The bytes of the part were copied. */
void region_return(struct region *r, const struct message_part *part);

/* How many bytes of memory the region may hold, as far as this end knows. */
size_t region_touched_bytes(const struct region *r);

#endif
