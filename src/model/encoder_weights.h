/* encoder_weights.h — the tensors of an encoder, found by name once and never looked up again.
 *
 * Binding reads headers only: it finds every tensor that the kind names (encoder_kind.h), with or
 * without the prefix, and checks its type and every dimension against the configuration; a failure
 * names the tensor, what was expected and what was found. Tensors that are not needed (pooler,
 * heads, position ids) are left alone.
 *
 * What the kernels read is made from them once and lies in one block of memory that somebody else
 * owns, private or mapped from a file:
 *
 *     layer 0: qkv | mix | up | down      packed products (packed.h), each from a multiple of 64
 *     layer 1: …
 *     places | padding | gain | shift | four vectors a layer | relative
 *
 * The words stay in the model's file: a text needs few of them. */
#ifndef MODEL_ENCODER_WEIGHTS_H
#define MODEL_ENCODER_WEIGHTS_H

#include "base/error.h"
#include "model/config.h"
#include "model/weight_files.h"
#include "tensor/matmul.h"

#include <stdbool.h>
#include <stdint.h>

struct team;

/* Borrowed from the files, in the files' own types. */
struct encoder_bound {
    const struct tensor *tensors[ENCODER_TENSOR_COUNT]; /* NULL: the kind has none */
    const struct tensor *(*layers)[ENCODER_LAYER_TENSOR_COUNT];
};

enum weir_code encoder_bind(const struct weight_files *files, const struct encoder_config *config,
                            struct encoder_bound *out, struct weir_error *err);
void encoder_bound_finish(struct encoder_bound *b);

struct encoder_layer {
    struct packed qkv;                 /* [3·hidden][hidden]: query, key and value of all heads */
    struct packed mix;                 /* [hidden][hidden] */
    struct packed up;                  /* [intermediate][hidden] */
    struct packed down;                /* [hidden][intermediate] */
    const float *mix_gain, *mix_shift; /* [hidden] */
    const float *down_gain, *down_shift; /* [hidden] */
};

/* Borrows everything but the list of layers. */
struct encoder_weights {
    struct tensor words;       /* [vocab][hidden], in the model's file */
    const float *places;       /* [positions][hidden]: position plus token type 0 */
    const float *padding;      /* [hidden]: the same for tokens of padding; NULL: like any other */
    const float *gain, *shift; /* [hidden], of the embeddings' norm */
    const float *relative;     /* [heads][2·positions − 1]: what attention adds to a score for
                                  index key − query + positions − 1; or NULL */
    struct encoder_layer *layers;
    uint32_t layer_count;
};

/* Exact, and a multiple of PACKED_ALIGNMENT; false on overflow. */
bool encoder_weights_bytes(const struct encoder_config *config, const struct kernels *k,
                           enum precision precision, uint64_t *out_bytes);

/* Writes the block, which is zero and begins at a multiple of PACKED_ALIGNMENT. `tick` (may be
 * NULL) is called once a layer. */
void encoder_weights_fill(void *block, const struct encoder_bound *bound,
                          const struct encoder_config *config, const struct kernels *k,
                          enum precision precision, struct team *team, void (*tick)(void *context),
                          void *context);

/* Looks at a block that was filled, and at the words. Reads nothing of either. */
void encoder_weights_view(struct encoder_weights *w, const struct encoder_bound *bound,
                          const struct encoder_config *config, const struct kernels *k,
                          enum precision precision, const void *block);
void encoder_weights_finish(struct encoder_weights *w); /* a zeroed struct is fine */

/* Multiplications and additions of the matrix products for one token, without attention's own. */
uint64_t encoder_flops_per_token(const struct encoder_config *config);

#endif
