/* tei.h — what the routes of Text Embeddings Inference share.
 *
 * That server has one model and its requests name none. Here `model`, a field of the body or of the
 * query, names it; without a name the only model that embeds texts is meant. Errors have that
 * server's body and our statuses. */
#ifndef SERVER_TEI_H
#define SERVER_TEI_H

#include "base/buffer.h"
#include "base/error.h"

struct exchange;

/* {"error","error_type"} */
void tei_error_write(const struct exchange *x, struct buffer *out, const struct weir_error *err,
                     const char *param);

/* The model that the query names, or else the only one, copied into the exchange's arena. While
 * models are not inspected yet it may be WEIR_UNAVAILABLE. */
enum weir_code tei_model_find(struct exchange *x, const char **out, struct weir_error *err);

#endif
