/* tokens.h — payloads of the operations tokenize and detokenize. */
#ifndef WIRE_TOKENS_H
#define WIRE_TOKENS_H

#include "wire/inputs.h"

#include "base/error.h"

#include <stdbool.h>

/* Both operations: texts for tokenize, ids for detokenize. */
struct tokens_request {
    bool add_special_tokens; /* tokenize only */
    const struct wire_input *inputs;
    size_t count;
};
void tokens_request_write(struct buffer *out, const struct tokens_request *r);
bool tokens_request_read(struct str payload, struct arena *arena, struct tokens_request *out,
                         struct weir_error *err);

/* The reply of tokenize is rows one after another: u32 count, then (i32 id, counted piece) each.
 * The reply of detokenize is one output of plain UTF-8 an input. */
void tokens_row_begin(struct buffer *out, uint32_t count);
void tokens_row_add(struct buffer *out, int32_t id, struct str piece);

struct tokens_reply {
    size_t rows;
    const size_t *starts; /* rows + 1 */
    const int32_t *ids;
    const struct str *pieces; /* borrowed from the payload */
};
bool tokens_reply_read(struct str payload, struct arena *arena, struct tokens_reply *out,
                       struct weir_error *err);

#endif
