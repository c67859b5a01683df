/* message.h — the bodies of the frames, one struct each, with its write and read.
 *
 * A read takes a whole body; it returns false and fills err on anything short, long or out of
 * range. Strings read are borrowed from the frame. Frames without a struct here have no body. */
#ifndef WIRE_MESSAGE_H
#define WIRE_MESSAGE_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"
#include "wire/frame.h"
#include "wire/plan.h"

#include "weir/capability.h"

#include <stdbool.h>
#include <stdint.h>

#define WIRE_CREDIT_EVENTS 64
#define WIRE_CREDIT_BYTES  (64 * 1024)

struct message_hello {
    uint32_t version;
    struct str build_id;
};
void message_hello_write(struct buffer *out, const struct message_hello *m);
bool message_hello_read(const struct frame *f, struct message_hello *m, struct weir_error *err);

void message_plan_write(struct buffer *out, const struct plan *m);
bool message_plan_read(const struct frame *f, struct plan *m, struct weir_error *err);

struct message_load {
    uint32_t context; /* tokens; 0: the model's limit */
    uint32_t slots;
    uint32_t threads;
    uint32_t precision; /* below PLAN_PRECISIONS; 0: f32 */
    uint32_t attempt;   /* 1 for the first load of this model since its registration */
    struct str cache;   /* the folder where its packed weights were prepared; empty: pack alone */
};
void message_load_write(struct buffer *out, const struct message_load *m);
bool message_load_read(const struct frame *f, struct message_load *m, struct weir_error *err);

/* run announces `payload_bytes` of parts; the worker answers `accepted` when it has them all. */
struct message_run {
    uint8_t capability; /* in range */
    uint8_t operation;  /* in range */
    uint32_t credit_events, credit_bytes;
    uint32_t payload_bytes;
};
void message_run_write(struct buffer *out, const struct message_run *m);
bool message_run_read(const struct frame *f, struct message_run *m, struct weir_error *err);

struct message_part {
    const uint8_t *data; /* borrowed; 1 to FRAME_PART_MAX bytes */
    uint32_t bytes;
    bool in_block; /* the bytes lie in that block of a region, and may change under the reader */
    uint32_t block;
};
/* Of a part whose bytes are in its frame; region_part_read takes both kinds. */
bool message_part_read(const struct frame *f, struct message_part *m, struct weir_error *err);

/* The body of a part with FRAME_IN_BLOCK. Which blocks there are, the region knows. */
struct message_block {
    uint32_t block;
    uint32_t bytes; /* 1 to FRAME_PART_MAX, from the block's start */
};
bool message_block_read(const struct frame *f, struct message_block *m, struct weir_error *err);

/* output announces `payload_bytes` of parts; none follow 0. Collected answers take no credit. */
struct message_output {
    uint32_t payload_bytes;
    bool streamed;
};
void message_output_write(struct buffer *out, const struct message_output *m);
bool message_output_read(const struct frame *f, struct message_output *m, struct weir_error *err);

struct message_progress {
    uint32_t step, steps;
};
void message_progress_write(struct buffer *out, const struct message_progress *m);
bool message_progress_read(const struct frame *f, struct message_progress *m,
                           struct weir_error *err);

struct message_end {
    struct weir_error error; /* code in range, text NUL-terminated */
    uint64_t input_tokens, output_tokens;
    uint8_t finish; /* enum weir_finish of weir.h: why a text ended; opaque to the supervisor */
};
void message_end_write(struct buffer *out, const struct message_end *m);
bool message_end_read(const struct frame *f, struct message_end *m, struct weir_error *err);

void message_failed_write(struct buffer *out, const struct weir_error *m);
bool message_failed_read(const struct frame *f, struct weir_error *m, struct weir_error *err);

struct message_credit {
    uint32_t events;
    uint32_t bytes;
};
void message_credit_write(struct buffer *out, const struct message_credit *m);
bool message_credit_read(const struct frame *f, struct message_credit *m, struct weir_error *err);

/* ping and pong carry the same number. */
void message_ping_write(struct buffer *out, uint64_t sequence);
bool message_ping_read(const struct frame *f, uint64_t *sequence, struct weir_error *err);

/* The frame's job field numbers the question and its answer. */
struct message_inspect {
    struct str path;
    uint32_t context;
};
void message_inspect_write(struct buffer *out, const struct message_inspect *m);
bool message_inspect_read(const struct frame *f, struct message_inspect *m, struct weir_error *err);

struct message_inspected {
    struct weir_error error; /* WEIR_OK: the plan holds */
    struct plan plan;
};
void message_inspected_write(struct buffer *out, const struct message_inspected *m);
bool message_inspected_read(const struct frame *f, struct message_inspected *m,
                            struct weir_error *err);

/* The frame's job field numbers the order and its answer. */
struct message_prepare {
    struct str path;
    uint32_t context;
    uint32_t precision; /* below PLAN_PRECISIONS */
    struct str cache;   /* the folder to prepare in */
};
void message_prepare_write(struct buffer *out, const struct message_prepare *m);
bool message_prepare_read(const struct frame *f, struct message_prepare *m, struct weir_error *err);

/* Says WEIR_OK when the packed weights lie in the cache, whoever put them there. */
void message_prepared_write(struct buffer *out, const struct weir_error *m);
bool message_prepared_read(const struct frame *f, struct weir_error *m, struct weir_error *err);

#endif
