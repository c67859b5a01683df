/* config.h — what the configuration files of an embedding model say, checked.
 *
 * config.json gives the architecture, sentence_bert_config.json the length that the model was tuned
 * for, modules.json and the pooling module's config.json what happens to the token vectors. The
 * last three may be missing. A value that would change the result in a way we do not compute is
 * refused with its name (WEIR_LOAD_FAILED), never ignored. */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include "base/error.h"
#include "model/folder.h"
#include "tensor/cpu/kernels.h"

#include <stdint.h>

struct encoder_config {
    uint32_t hidden;
    uint32_t layers;
    uint32_t heads; /* divides hidden */
    uint32_t intermediate;
    uint32_t vocab;
    uint32_t positions;
    uint32_t position_offset;
    uint32_t types;
    float eps;
    enum activation activation;
    uint32_t tokens_max; /* of one input: 1 … positions */
};

/* `context` 0: the length the files state; else that length, at most the positions. */
enum weir_code config_read(struct folder *f, uint32_t context, struct encoder_config *out,
                           struct weir_error *err);

#endif
