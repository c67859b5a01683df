/* config.h — what config.json and its neighbours say of an encoder, checked.
 *
 * config.json gives the architecture (a row of encoder_kind.h) and its sizes. The length that the
 * model was tuned for comes from sentence_bert_config.json, else from tokenizer_config.json; both
 * may be missing. A value that would change the result in a way we do not compute is refused with
 * its name (WEIR_LOAD_FAILED), never ignored. */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include "base/error.h"
#include "model/encoder_kind.h"
#include "model/folder.h"
#include "tensor/cpu/kernels.h"

#include <stdbool.h>
#include <stdint.h>

struct encoder_config {
    const struct encoder_kind *kind;
    uint32_t hidden;
    uint32_t layers;
    uint32_t heads; /* divides hidden */
    uint32_t intermediate;
    uint32_t vocab;
    uint32_t positions;        /* of tokens in an input: rows of the table less the offset */
    uint32_t position_offset;  /* row of the first token; the row before it is padding's */
    uint32_t types;            /* 0: tokens have none */
    uint32_t relative_buckets; /* 0: attention does not know distances */
    float eps;
    enum activation activation;
    uint32_t tokens_max; /* of one input: 1 … positions */
    bool lowercases;     /* the tokenizer is expected to, see sentence_bert_config.json */
};

/* Buckets of distances in attention, and from which distance on all share the last. */
enum { ENCODER_RELATIVE_BUCKETS = 32, ENCODER_RELATIVE_DISTANCE = 128 };

/* `context` 0: the length the files state; else that length, at most the positions. */
enum weir_code config_read(struct folder *f, uint32_t context, struct encoder_config *out,
                           struct weir_error *err);
/* What `context` changes, of a configuration that was read with 0. */
void config_limit(struct encoder_config *c, uint32_t context);

#endif
