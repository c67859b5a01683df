/* transformer.h — the forward pass of an encoder, from token ids to one state a token.
 *
 * Sequences stand one after another without padding, so that a batch costs the sum of its tokens.
 * Per layer: query, key and value in one product; attention per sequence and head; mix, add, norm;
 * up, activation, down, add, norm. A state's bits depend on its sequence, the kernels and the
 * precision alone, not on the batch nor on the threads.
 *
 * There are two ways through a layer. With many tokens a thread takes a block of rows through all
 * that is row-wise, up to the next layer's query, key and value, while what it makes stays in its
 * cache; only attention lies between, so threads meet twice a layer. With few tokens each product
 * is divided by columns, so that each thread reads its part of the weights alone.
 *
 * All memory is taken at creation: a forward pass allocates nothing. */
#ifndef MODEL_TRANSFORMER_H
#define MODEL_TRANSFORMER_H

#include "model/encoder_weights.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct team;
struct transformer;

struct sequence {
    const int32_t *ids;
    size_t count;
    size_t skip;       /* leading tokens that pooling leaves out */
    bool keeps_length; /* its vector is not scaled to length 1 at the end */
};

/* What the forward pass holds besides the weights; exact. */
struct transformer_price {
    uint64_t fixed_bytes;
    uint64_t per_thread_bytes;
};
bool transformer_price(const struct encoder_config *config, const struct kernels *k,
                       enum precision precision, size_t batch_tokens,
                       struct transformer_price *out);

/* Everything is borrowed and outlives the result. The weights say the precision. */
enum weir_code transformer_create(const struct encoder_config *config,
                                  const struct encoder_weights *weights, const struct kernels *k,
                                  struct team *team, size_t batch_tokens, struct transformer **out,
                                  struct weir_error *err);
void transformer_destroy(struct transformer *t);

/* Ids are below vocab, no sequence is empty or longer than tokens_max, all together are at most
 * batch_tokens. Returns [tokens][hidden], sequence after sequence, numbers that may be NaN or
 * infinite where the weights lead there; borrowed until the next call. `tick` (may be NULL) once a
 * layer. */
const float *transformer_forward(struct transformer *t, const struct sequence *sequences,
                                 size_t count, void (*tick)(void *context), void *context);

#endif
