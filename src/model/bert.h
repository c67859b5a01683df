/* bert.h — the forward pass of a BERT encoder, from token ids to one vector a sequence.
 *
 * Sequences stand one after another without padding, so that a batch costs the sum of its tokens.
 * Per layer: query, key and value in one product; attention per sequence and head; mix, add, norm;
 * up, GELU, down, add, norm. Then the mean over the tokens of a sequence, to unit length. A
 * vector's bits depend on its sequence and the kernels alone, not on the batch nor on the threads.
 *
 * All memory is taken at creation: a forward pass allocates nothing. */
#ifndef MODEL_BERT_H
#define MODEL_BERT_H

#include "model/bert_weights.h"

#include <stddef.h>
#include <stdint.h>

struct team;
struct bert;

struct sequence {
    const int32_t *ids;
    size_t count;
};

/* What the forward pass holds besides the weights; exact. */
struct bert_price {
    uint64_t fixed_bytes;
    uint64_t per_thread_bytes;
};
bool bert_price(const struct bert_config *config, const struct kernels *k, size_t batch_tokens,
                struct bert_price *out);

/* Everything is borrowed and outlives the result. */
enum weir_code bert_create(const struct bert_config *config, const struct bert_weights *weights,
                           const struct kernels *k, struct team *team, size_t batch_tokens,
                           struct bert **out, struct weir_error *err);
void bert_destroy(struct bert *b);

/* Ids are below vocab, no sequence is empty or longer than tokens_max, all together are at most
 * batch_tokens. Returns [count][hidden] floats of unit length, or of NaN and infinities where the
 * weights lead there; borrowed until the next call. `tick` (may be NULL) once a layer. */
const float *bert_forward(struct bert *b, const struct sequence *sequences, size_t count,
                          void (*tick)(void *context), void *context);

#endif
