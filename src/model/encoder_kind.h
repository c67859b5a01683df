/* encoder_kind.h — the architectures of text encoders, one row each.
 *
 * All of them are the same stack: embeddings and a norm; per layer attention, add, norm, up,
 * activation, down, add, norm. A row says how its files call the sizes and the tensors, and in
 * which of four places it differs: what counts positions, whether tokens have types, whether
 * attention knows the distance of two tokens, and where the norm's epsilon comes from. */
#ifndef MODEL_ENCODER_KIND_H
#define MODEL_ENCODER_KIND_H

#include "base/str.h"

#include <stdbool.h>

/*    id        shape */
#define ENCODER_TENSORS(X)                                                                         \
    X(WORDS, VOCAB, HIDDEN)                                                                        \
    X(POSITIONS, PLACES, HIDDEN)                                                                   \
    X(TYPES, TYPES, HIDDEN)                                                                        \
    X(NORM_GAIN, HIDDEN, NONE)                                                                     \
    X(NORM_SHIFT, HIDDEN, NONE)                                                                    \
    X(RELATIVE, BUCKETS, HEADS)

#define ENCODER_LAYER_TENSORS(X)                                                                   \
    X(QUERY, HIDDEN, HIDDEN)                                                                       \
    X(QUERY_BIAS, HIDDEN, NONE)                                                                    \
    X(KEY, HIDDEN, HIDDEN)                                                                         \
    X(KEY_BIAS, HIDDEN, NONE)                                                                      \
    X(VALUE, HIDDEN, HIDDEN)                                                                       \
    X(VALUE_BIAS, HIDDEN, NONE)                                                                    \
    X(MIX, HIDDEN, HIDDEN)                                                                         \
    X(MIX_BIAS, HIDDEN, NONE)                                                                      \
    X(MIX_GAIN, HIDDEN, NONE)                                                                      \
    X(MIX_SHIFT, HIDDEN, NONE)                                                                     \
    X(UP, INTERMEDIATE, HIDDEN)                                                                    \
    X(UP_BIAS, INTERMEDIATE, NONE)                                                                 \
    X(DOWN, HIDDEN, INTERMEDIATE)                                                                  \
    X(DOWN_BIAS, HIDDEN, NONE)                                                                     \
    X(DOWN_GAIN, HIDDEN, NONE)                                                                     \
    X(DOWN_SHIFT, HIDDEN, NONE)

enum encoder_tensor {
#define X(ID, rows, columns) ENCODER_##ID,
    ENCODER_TENSORS(X)
#undef X
        ENCODER_TENSOR_COUNT
};

enum encoder_layer_tensor {
#define X(ID, rows, columns) ENCODER_LAYER_##ID,
    ENCODER_LAYER_TENSORS(X)
#undef X
        ENCODER_LAYER_TENSOR_COUNT
};

/* What tensors are called in the files, before them the prefix of a kind or nothing. */
struct encoder_names {
    const char *tensors[ENCODER_TENSOR_COUNT]; /* NULL: the kind has none */
    const char *layer;                         /* then the layer's number, a dot, and: */
    const char *layer_tensors[ENCODER_LAYER_TENSOR_COUNT];
};

/* What config.json calls the sizes. */
struct encoder_keys {
    const char *hidden, *layers, *heads, *intermediate, *activation;
};

/* The token of padding, where it counts apart: it stands at its own id's place in the table of
 * positions, and all other tokens are counted from the place behind that on. */
enum encoder_padding {
    ENCODER_PADDING_NONE,   /* a token like any other; positions begin at place 0 */
    ENCODER_PADDING_STATED, /* pad_token_id of config.json, 1 where it is not there */
    ENCODER_PADDING_ONE,    /* 1, whatever config.json says */
};

struct encoder_kind {
    const char *name;             /* model_type of config.json, and what a plan calls it */
    const char *architectures[4]; /* class names in config.json, up to a NULL */
    const char *prefix;           /* before all names in files that were saved with a task's head */
    const struct encoder_keys *keys;
    const struct encoder_names *names;
    double eps; /* of all norms; 0: layer_norm_eps of config.json */
    enum encoder_padding padding;
    bool has_types;
    bool has_relative;
    bool has_bert_vocab; /* a vocab.txt in its folder is read as BERT's */
};

/* The row of that name, or NULL. */
const struct encoder_kind *encoder_kind_find(struct str name);

/* All names, for a message: "bert, distilbert, …". */
struct encoder_kind_list {
    char text[96];
};
const char *encoder_kind_list(struct encoder_kind_list *out);

#endif
