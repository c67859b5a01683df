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
    const char *prompt;  /* its name; NULL: the model's default one */
};

/* What a model is registered with. A number of -1, a NULL and an empty list are left out: then the
 * pool's own default holds. */
struct body_model {
    const char *name, *path;
    int64_t max_workers, min_workers, idle_ms, idle_label_ms, slots, context;
    const struct str *aliases, *capabilities;
    size_t aliases_count, capabilities_count;
    const char *priority, *precision;
    bool truncate, pin, preload;
};
#define BODY_MODEL(NAME, PATH)                                                                     \
    {                                                                                              \
        .name = (NAME), .path = (PATH), .max_workers = -1, .min_workers = -1, .idle_ms = -1,       \
        .idle_label_ms = -1, .slots = -1, .context = -1,                                           \
    }

/* weir_control: {"op":"register",…}, and {"op":OP,"name":NAME} */
void body_register(struct buffer *out, const struct body_model *m);
void body_name(struct buffer *out, const char *op, const char *name);

/* POST /weir/v1/load, unload, pin and unpin: {"model":NAME} */
void body_model(struct buffer *out, const char *name);

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
