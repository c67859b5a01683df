/* image_embedding.h — payload of the operation embed for images, the encoded files. Its reply is
 * that of text_embedding.h: a row of numbers an input. */
#ifndef WIRE_IMAGE_EMBEDDING_H
#define WIRE_IMAGE_EMBEDDING_H

#include "wire/inputs.h"

#include "base/error.h"

#include <stdbool.h>

struct image_embedding_request {
    uint32_t dimensions; /* 0: all */
    const struct wire_input *inputs;
    size_t count;
};
void image_embedding_request_write(struct buffer *out, const struct image_embedding_request *r);
bool image_embedding_request_read(struct str payload, struct arena *arena,
                                  struct image_embedding_request *out, struct weir_error *err);

#endif
