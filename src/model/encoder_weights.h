/* encoder_weights.h — the tensors of a BERT encoder, found by name once and never looked up again.
 *
 * Binding reads headers only: it finds every tensor, with or without the leading "bert.", and
 * checks its type and every dimension against the configuration; a failure names the tensor, what
 * was expected and what was found. Tensors that are not needed (pooler, heads, position ids) are
 * left alone. Packing then makes the private copy that the kernels read. */
#ifndef MODEL_ENCODER_WEIGHTS_H
#define MODEL_ENCODER_WEIGHTS_H

#include "base/error.h"
#include "model/config.h"
#include "model/safetensors.h"
#include "tensor/matmul.h"

#include <stdint.h>

struct team;

/*    id              name in the file                        shape */
#define ENCODER_TENSORS(X)                                                                         \
    X(WORDS, "embeddings.word_embeddings.weight", VOCAB, HIDDEN)                                   \
    X(POSITIONS, "embeddings.position_embeddings.weight", POSITIONS, HIDDEN)                       \
    X(TYPES, "embeddings.token_type_embeddings.weight", TYPES, HIDDEN)                             \
    X(NORM_GAIN, "embeddings.LayerNorm.weight", HIDDEN, NONE)                                      \
    X(NORM_SHIFT, "embeddings.LayerNorm.bias", HIDDEN, NONE)

/* Below "encoder.layer.N.". */
#define ENCODER_LAYER_TENSORS(X)                                                                   \
    X(QUERY, "attention.self.query.weight", HIDDEN, HIDDEN)                                        \
    X(QUERY_BIAS, "attention.self.query.bias", HIDDEN, NONE)                                       \
    X(KEY, "attention.self.key.weight", HIDDEN, HIDDEN)                                            \
    X(KEY_BIAS, "attention.self.key.bias", HIDDEN, NONE)                                           \
    X(VALUE, "attention.self.value.weight", HIDDEN, HIDDEN)                                        \
    X(VALUE_BIAS, "attention.self.value.bias", HIDDEN, NONE)                                       \
    X(MIX, "attention.output.dense.weight", HIDDEN, HIDDEN)                                        \
    X(MIX_BIAS, "attention.output.dense.bias", HIDDEN, NONE)                                       \
    X(MIX_GAIN, "attention.output.LayerNorm.weight", HIDDEN, NONE)                                 \
    X(MIX_SHIFT, "attention.output.LayerNorm.bias", HIDDEN, NONE)                                  \
    X(UP, "intermediate.dense.weight", INTERMEDIATE, HIDDEN)                                       \
    X(UP_BIAS, "intermediate.dense.bias", INTERMEDIATE, NONE)                                      \
    X(DOWN, "output.dense.weight", HIDDEN, INTERMEDIATE)                                           \
    X(DOWN_BIAS, "output.dense.bias", HIDDEN, NONE)                                                \
    X(DOWN_GAIN, "output.LayerNorm.weight", HIDDEN, NONE)                                          \
    X(DOWN_SHIFT, "output.LayerNorm.bias", HIDDEN, NONE)

enum encoder_tensor {
#define X(ID, name, rows, columns) ENCODER_##ID,
    ENCODER_TENSORS(X)
#undef X
        ENCODER_TENSOR_COUNT
};

enum encoder_layer_tensor {
#define X(ID, name, rows, columns) ENCODER_LAYER_##ID,
    ENCODER_LAYER_TENSORS(X)
#undef X
        ENCODER_LAYER_TENSOR_COUNT
};

/* Borrowed from the file, in the file's own types. */
struct encoder_bound {
    const struct tensor *tensors[ENCODER_TENSOR_COUNT];
    const struct tensor *(*layers)[ENCODER_LAYER_TENSOR_COUNT];
};

enum weir_code encoder_bind(const struct safetensors *file, const struct encoder_config *config,
                            struct encoder_bound *out, struct weir_error *err);
void encoder_bound_finish(struct encoder_bound *b);

struct encoder_layer {
    struct packed qkv;                 /* [3·hidden][hidden]: query, key and value of all heads */
    struct packed mix;                 /* [hidden][hidden] */
    struct packed up;                  /* [intermediate][hidden] */
    struct packed down;                /* [hidden][intermediate] */
    const float *mix_gain, *mix_shift; /* [hidden], in the weights' vectors */
    const float *down_gain, *down_shift; /* [hidden], there too */
};

struct encoder_weights {
    struct tensor words;       /* [vocab][hidden], in the mapped file */
    const float *places;       /* [positions][hidden]: position plus token type 0 */
    const float *padding;      /* [hidden]: the same for tokens of padding; NULL: like any other */
    const float *gain, *shift; /* [hidden], of the embeddings' norm */
    const float *relative; /* [heads][2·positions − 1]: added to scores by key − query, or NULL */
    struct encoder_layer *layers;
    uint32_t layer_count;
    float *vectors; /* the block that the vectors above are in */
    void *panels;   /* and that of the packed products */
};

/* Exact bytes of what encoder_weights_init allocates; false on overflow. */
bool encoder_weights_bytes(const struct encoder_config *config, const struct kernels *k,
                           uint64_t *out_bytes);

/* `tick` (may be NULL) is called once a layer. */
enum weir_code encoder_weights_init(struct encoder_weights *w, const struct encoder_bound *bound,
                                    const struct encoder_config *config, const struct kernels *k,
                                    struct team *team, void (*tick)(void *context), void *context,
                                    struct weir_error *err);
void encoder_weights_finish(struct encoder_weights *w); /* a zeroed struct is fine */

#endif
