/* head.h — from the states of tokens to one vector a sequence: pooling, Dense, Normalize.
 *
 * A sequence that keeps its length goes without the Normalize modules that stand last.
 *
 * Pooling adds the tokens of a sequence in their order and Dense is a packed product (always F32:
 * it is small), so that a vector's bits depend on its sequence and the kernels alone. The packed
 * products lie in one block that somebody else owns, as those of encoder_weights.h. All memory is
 * taken at creation. */
#ifndef MODEL_HEAD_H
#define MODEL_HEAD_H

#include "base/error.h"
#include "model/modules.h"
#include "model/transformer.h"
#include "model/weight_files.h"

#include <stdbool.h>
#include <stdint.h>

struct team;
struct head;

/* The tensors of each Dense, checked against modules.json. A zeroed struct is "nothing open". */
struct head_bound {
    struct weight_files files[MODULES_MAX];
    const struct tensor *weights[MODULES_MAX], *biases[MODULES_MAX];
};
enum weir_code head_bind(struct folder *f, const struct modules *modules, struct head_bound *out,
                         struct weir_error *err);
void head_bound_finish(struct head_bound *b);

/* Exact, and a multiple of PACKED_ALIGNMENT; false on overflow. */
bool head_bytes(const struct modules *modules, const struct kernels *k, uint64_t *out_bytes);
/* Writes the block, which is zero and begins at a multiple of PACKED_ALIGNMENT. */
void head_fill(void *block, const struct head_bound *bound, const struct modules *modules,
               const struct kernels *k, struct team *team);

/* What head_create takes besides the block; exact. */
uint64_t head_private_bytes(const struct modules *modules);
/* Everything is borrowed and outlives the result. */
enum weir_code head_create(const struct modules *modules, uint32_t hidden, const void *block,
                           const struct kernels *k, struct team *team, struct head **out,
                           struct weir_error *err);
void head_destroy(struct head *h);

/* `states` are [tokens][hidden], the sequences one after another; `out` gets [count][dim]. Each
 * sequence has more tokens than it skips. */
void head_run(struct head *h, const float *states, const struct sequence *sequences, size_t count,
              float *out);

#endif
