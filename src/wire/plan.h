/* plan.h — what a worker will need, stated from headers before anything is loaded.
 *
 * Coefficients, not totals: the supervisor computes totals for the slots, context and threads that
 * it grants. Every worker of one file states the same plan, whatever has been prepared. */
#ifndef WIRE_PLAN_H
#define WIRE_PLAN_H

#include "base/buffer.h"
#include "base/reader.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* How a model's matrix products may be computed. */
#define PLAN_PRECISION_NAMES(X) X(F32, "f32") X(BF16, "bf16")
enum plan_precision {
#define X(NAME, name) PLAN_##NAME,
    PLAN_PRECISION_NAMES(X)
#undef X
        PLAN_PRECISIONS
};

#define PLAN_PROMPTS_ROOM 256

struct plan {
    uint32_t capabilities;  /* a bit an enum weir_capability */
    char architecture[32];  /* "bert", "fake" */
    uint8_t digest[32];     /* SHA-256 over header bytes, configuration and file size */
    uint64_t weights_bytes; /* mapped files, shared by all workers of the model */
    /* Weights in the layout of the kernels, for each precision: shared by all workers of the model
     * when they were prepared, private to each when not; 0: the files serve as they are. */
    uint64_t packed_bytes[PLAN_PRECISIONS];
    uint64_t fixed_bytes;     /* private, whatever is granted; without the packed weights */
    uint64_t per_slot_bytes;  /* private, for each job that runs together */
    uint64_t per_token_bytes; /* private, for each token of context */
    uint64_t scratch_per_thread_bytes;
    uint64_t flops_per_token; /* of the matrix products with weights; 0: not stated */
    uint32_t positions;       /* the longest context that the model knows */
    uint32_t tokens_max;      /* limit of one input */
    uint32_t dim;             /* of its vectors, or 0 */
    uint32_t slots;           /* jobs it runs together unless told otherwise; at least 1 */
    /* For people: the names of the texts that it can put before an input, a line each, "…" for
     * those that had no room; and which of them it does when none is asked for, from 1, or 0. */
    char prompts[PLAN_PROMPTS_ROOM];
    uint32_t default_prompt;
};

/* Private bytes of one worker without its packed weights; saturates at UINT64_MAX. */
uint64_t plan_context_bytes(const struct plan *p, uint32_t context, uint32_t slots,
                            uint32_t threads);
const char *plan_precision_name(uint32_t precision); /* "f32" */
bool plan_precision_parse(struct str name, uint32_t *out);
bool plan_larger(const struct plan *a, const struct plan *b); /* a needs more than b anywhere */

void plan_write(struct buffer *out, const struct plan *p);
/* Marks the reader as failed when a field is out of range (no capability, 0 or > 64 slots …). */
void plan_read(struct reader *in, struct plan *p);

#endif
