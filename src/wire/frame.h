/* frame.h — the framing between supervisor and worker, over a stream socket pair (fd 3).
 *
 *      0        1        2        4            8                 16
 *      ├────────┼────────┼────────┼────────────┼─────────────────┼──────────────┐
 *      │version │ type   │ flags  │ length     │ job             │ body …       │
 *      └────────┴────────┴────────┴────────────┴─────────────────┴──────────────┘
 *
 * Little-endian; length counts the body only, at most FRAME_BODY_MAX. A payload of any size follows
 * its run, or output frame as `part` frames of at most FRAME_PART_MAX bytes for the same job; parts
 * of different jobs may interleave. The bytes of a part are the body or, with FRAME_IN_BLOCK, lie
 * in a block of shared memory that the body names (region.h). */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define WIRE_VERSION     1
#define FRAME_HEADER     16
#define FRAME_PART_MAX   ((size_t)64 * 1024)
#define FRAME_BODY_MAX   (FRAME_PART_MAX + 64)
/* The only flag, of `part` only: the body says where the bytes are. */
#define FRAME_IN_BLOCK   1
/* A whole payload of one request or one output. */
#define WIRE_PAYLOAD_MAX ((size_t)80 * 1024 * 1024)

/* Name, word, who sends it, and the states of the child (child_rules.h) in which the supervisor
 * takes it. A frame in any other state is a violation; so is one in the wrong direction. Frames of
 * an inspector and of a preparer (which have no states) are marked INSPECTOR and PREPARER. */
/* clang-format off */
#define WIRE_FRAMES(X)                                                                         \
    X(HELLO,     hello,     FROM_WORKER, IN(SPAWNING) | INSPECTOR | PREPARER)                  \
    X(PLAN,      plan,      FROM_WORKER, IN(SPAWNING))                                         \
    X(LOAD,      load,      TO_WORKER,   0)                                                    \
    X(LOADED,    loaded,    FROM_WORKER, IN(LOADING))                                          \
    X(FAILED,    failed,    FROM_WORKER, IN(SPAWNING) | IN(LOADING))                           \
    X(RUN,       run,       TO_WORKER,   0)                                                    \
    X(PART,      part,      BOTH_WAYS,   IN(PROCESSING) | IN(EVICTING))                        \
    X(ACCEPTED,  accepted,  FROM_WORKER, IN(PROCESSING) | IN(EVICTING))                        \
    X(OUTPUT,    output,    FROM_WORKER, IN(PROCESSING) | IN(EVICTING))                        \
    X(PROGRESS,  progress,  FROM_WORKER, IN(PROCESSING) | IN(EVICTING))                        \
    X(END,       end,       FROM_WORKER, IN(PROCESSING) | IN(EVICTING))                        \
    X(CANCEL,    cancel,    TO_WORKER,   0)                                                    \
    X(CREDIT,    credit,    TO_WORKER,   0)                                                    \
    X(PING,      ping,      TO_WORKER,   0)                                                    \
    X(PONG,      pong,      FROM_WORKER, IN(READY) | IN(PROCESSING) | IN(IDLE) | IN(EVICTING)) \
    X(BYE,       bye,       TO_WORKER,   0)                                                    \
    X(INSPECT,   inspect,   TO_WORKER,   0)                                                    \
    X(INSPECTED, inspected, FROM_WORKER, INSPECTOR)                                            \
    X(PREPARE,   prepare,   TO_WORKER,   0)                                                    \
    X(PREPARED,  prepared,  FROM_WORKER, PREPARER)
/* clang-format on */

enum frame_type {
#define X(NAME, name, way, states) FRAME_##NAME,
    WIRE_FRAMES(X)
#undef X
        FRAME_TYPES
};

const char *frame_name(unsigned type); /* "hello"; "unknown" out of range */

struct frame {
    uint8_t type;        /* enum frame_type, in range */
    uint16_t flags;      /* 0 or FRAME_IN_BLOCK */
    uint64_t job;        /* 0 where no job is meant */
    const uint8_t *body; /* borrowed from the buffer it was taken from */
    uint32_t length;
};

void frame_write(struct buffer *out, enum frame_type type, uint64_t job, const void *body,
                 size_t length);
/* A part whose bytes were put into that block. */
void frame_write_block(struct buffer *out, uint64_t job, uint32_t block, uint32_t bytes);
/* Writes `bytes` as part frames with the bytes inline (none when 0). */
void frame_write_parts(struct buffer *out, uint64_t job, const void *data, size_t bytes);

/* Looks for a whole frame at in->data + *offset. 1: *out is filled and *offset moved behind it.
 * 0: more bytes are needed. -1: not our protocol (err says what). */
int frame_take(const struct buffer *in, size_t *offset, struct frame *out, struct weir_error *err);

#endif
