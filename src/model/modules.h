/* modules.h — what happens to the states of the tokens: modules.json and the modules' own files.
 *
 * The list is a Transformer, a Pooling, then Dense and Normalize in any order and number; Dropout
 * does nothing here. Without modules.json it is the mean, then Normalize. Any other module, way of
 * pooling or setting that would change the result is refused with its name (WEIR_LOAD_FAILED). */
#ifndef MODEL_MODULES_H
#define MODEL_MODULES_H

#include "base/error.h"
#include "model/folder.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order in which the flags of older files stand one after another in a vector.
 *    id    "pooling_mode"          flag of its own                       */
#define POOLINGS(X)                                                                                \
    X(CLS, "cls", "pooling_mode_cls_token")                                                        \
    X(MAX, "max", "pooling_mode_max_tokens")                                                       \
    X(MEAN, "mean", "pooling_mode_mean_tokens")                                                    \
    X(MEAN_SQRT, "mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens")                      \
    X(LAST, "lasttoken", "pooling_mode_lasttoken")

enum pooling {
#define X(ID, name, flag) POOLING_##ID,
    POOLINGS(X)
#undef X
        POOLING_COUNT
};

/*    id    class, somewhere below torch.nn */
#define DENSE_ACTIVATIONS(X)                                                                       \
    X(NONE, "Identity")                                                                            \
    X(TANH, "Tanh")                                                                                \
    X(GELU, "GELU")                                                                                \
    X(RELU, "ReLU")

enum dense_activation {
#define X(ID, name) DENSE_##ID,
    DENSE_ACTIVATIONS(X)
#undef X
        DENSE_ACTIVATION_COUNT
};

enum module_kind { MODULE_DENSE, MODULE_NORMALIZE };

struct module {
    enum module_kind kind;
    char folder[128]; /* a Dense's, below the model's */
    uint32_t depth;   /* in, of Dense */
    uint32_t columns; /* out: numbers of a vector after this module */
    bool has_bias;
    enum dense_activation activation;
};

#define MODULES_MAX          16
#define MODULES_POOLINGS_MAX 8

struct modules {
    enum pooling poolings[MODULES_POOLINGS_MAX]; /* one after another in the vector */
    size_t pooling_count;
    bool pools_prompt; /* false: pooling leaves the tokens of a prompt out */
    struct module list[MODULES_MAX];
    size_t count;
    uint32_t dim;      /* numbers of a vector at the end */
    uint32_t dim_most; /* and where it has most */
};

enum weir_code modules_read(struct folder *f, uint32_t hidden, struct modules *out,
                            struct weir_error *err);

#endif
