/* text_embedding.h — payloads of the operation embed. */
#ifndef WIRE_TEXT_EMBEDDING_H
#define WIRE_TEXT_EMBEDDING_H

#include "wire/inputs.h"

#include "base/error.h"

#include <stdbool.h>

#define WIRE_INPUTS_MAX      65536 /* sanity of a list; the limit `inputs` is the server's */
#define WIRE_PROMPT_NAME_MAX 256   /* bytes */

/* As enum weir_normalize. */
enum text_embedding_normalize {
    WIRE_NORMALIZE_AS_MODEL,
    WIRE_NORMALIZE_YES,
    WIRE_NORMALIZE_NO,
    WIRE_NORMALIZE_COUNT
};

struct text_embedding_request {
    bool truncate;
    bool truncate_front; /* what is cut loses its beginning */
    enum text_embedding_normalize normalize;
    uint32_t dimensions;    /* 0: all */
    struct str prompt_name; /* of a prompt of the model, before each text; empty: its default */
    const struct wire_input *inputs;
    size_t count;
};
void text_embedding_request_write(struct buffer *out, const struct text_embedding_request *r);
bool text_embedding_request_read(struct str payload, struct arena *arena,
                                 struct text_embedding_request *out, struct weir_error *err);

struct text_embedding_reply {
    uint32_t rows, dim;
    const uint32_t *tokens;    /* rows */
    const uint32_t *truncated; /* indexes, ascending */
    uint32_t truncated_count;
    const float *vectors; /* rows x dim */
};
void text_embedding_reply_write(struct buffer *out, const struct text_embedding_reply *r);
/* Copies into the arena, so that everything is aligned. */
bool text_embedding_reply_read(struct str payload, struct arena *arena,
                               struct text_embedding_reply *out, struct weir_error *err);

#endif
