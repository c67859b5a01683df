/* text_to_text.h — payload of the operation generate. Its outputs are plain UTF-8, streamed. */
#ifndef WIRE_TEXT_TO_TEXT_H
#define WIRE_TEXT_TO_TEXT_H

#include "wire/inputs.h"

#include "base/error.h"

#include <stdbool.h>

struct generate_request {
    uint32_t tokens_max; /* 0: the model's own end */
    struct wire_input prompt;
};
void generate_request_write(struct buffer *out, const struct generate_request *r);
bool generate_request_read(struct str payload, struct arena *arena, struct generate_request *out,
                           struct weir_error *err);

#endif
