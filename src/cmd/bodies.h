/* bodies.h — the JSON that the verbs write: orders to the pool, requests to a server, lines of
 * output.
 *
 * Pure, into a buffer whose ceiling the caller gave; the caller checks `failed`. What they read is
 * parsed elsewhere, with jansson. */
#ifndef CMD_BODIES_H
#define CMD_BODIES_H

#include "base/buffer.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct embed_choice {
    bool truncate;
    uint32_t dimensions; /* 0: all */
};

/* weir_control: {"op":"register",…} */
void body_register(struct buffer *out, const char *name, const char *path);

/* POST /v1/embeddings, asking for base64 vectors. */
void body_embed(struct buffer *out, const char *model, const struct str *texts, size_t count,
                const struct embed_choice *choice);

/* POST /weir/v1/tokenize and /weir/v1/detokenize. */
void body_tokenize(struct buffer *out, const char *model, const struct str *texts, size_t count,
                   bool special);
void body_detokenize(struct buffer *out, const char *model, const int32_t *ids, size_t count);

/* {"index":0,"tokens":5,"embedding":[…]} and a line end */
void line_embedding(struct buffer *out, size_t index, uint32_t tokens, const float *vector,
                    size_t dim);

/* {"tokens":[ids],"pieces":["…"]} and a line end */
void line_tokens(struct buffer *out, const int32_t *ids, const struct str *pieces, size_t count);

/* {"text":"…"} and a line end */
void line_text(struct buffer *out, struct str text);

#endif
