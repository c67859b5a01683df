#include "wire/image_embedding.h"

#include "wire/text_embedding.h"

void image_embedding_request_write(struct buffer *out, const struct image_embedding_request *r)
{
    buffer_u32(out, r->dimensions);
    inputs_write(out, r->inputs, r->count);
}

bool image_embedding_request_read(struct str payload, struct arena *arena,
                                  struct image_embedding_request *out, struct weir_error *err)
{
    struct reader r = reader_of(payload.data, payload.len);
    struct image_embedding_request read = { .dimensions = reader_u32(&r) };
    read.count = inputs_read(&r, arena, 1u << WIRE_IMAGE, WIRE_INPUTS_MAX, &read.inputs);
    if (!reader_done(&r, err))
        return false;
    *out = read;
    return true;
}
