/* openai_embeddings.h — the body of an answer of POST /v1/embeddings. Pure: an output in, JSON
 * out. */
#ifndef SERVER_OPENAI_EMBEDDINGS_H
#define SERVER_OPENAI_EMBEDDINGS_H

#include "base/buffer.h"

#include "weir/weir.h"

#include <stdbool.h>

/* `is_base64`: vectors as base64 of little-endian floats, which is what the official clients ask
 * for. */
void openai_embeddings_reply(struct buffer *out, const struct weir_output *output,
                             const char *model, bool is_base64);

#endif
