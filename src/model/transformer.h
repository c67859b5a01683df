/* transformer.h — the forward pass of a BERT encoder, from token ids to one vector a sequence.
 *
 * Sequences stand one after another without padding, so that a batch costs the sum of its tokens.
 * Per layer: query, key and value in one product; attention per sequence and head; mix, add, norm;
 * up, GELU, down, add, norm. Then the mean over the tokens of a sequence, to unit length. A
 * vector's bits depend on its sequence and the kernels alone, not on the batch nor on the threads.
 *
 * All memory is taken at creation: a forward pass allocates nothing. */
#ifndef MODEL_TRANSFORMER_H
#define MODEL_TRANSFORMER_H

#include "model/encoder_weights.h"

#include <stddef.h>
#include <stdint.h>

struct team;
struct transformer;

struct sequence {
    const int32_t *ids;
    size_t count;
};

/* What the forward pass holds besides the weights; exact. */
struct transformer_price {
    uint64_t fixed_bytes;
    uint64_t per_thread_bytes;
};
bool transformer_price(const struct encoder_config *config, const struct kernels *k,
                       size_t batch_tokens, struct transformer_price *out);

/* Everything is borrowed and outlives the result. */
enum weir_code transformer_create(const struct encoder_config *config,
                                  const struct encoder_weights *weights, const struct kernels *k,
                                  struct team *team, size_t batch_tokens, struct transformer **out,
                                  struct weir_error *err);
void transformer_destroy(struct transformer *b);

/* Ids are below vocab, no sequence is empty or longer than tokens_max, all together are at most
 * batch_tokens. Returns [count][hidden] floats of unit length, or of NaN and infinities where the
 * weights lead there; borrowed until the next call. `tick` (may be NULL) once a layer. */
const float *transformer_forward(struct transformer *b, const struct sequence *sequences,
                                 size_t count, void (*tick)(void *context), void *context);

#endif
