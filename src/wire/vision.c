#include "wire/vision.h"

size_t describe_request_images(const struct generate_request *r)
{
    size_t images = 0;
    for (size_t i = 0; i < r->messages_count; i++) {
        for (size_t k = 0; k < r->messages[i].count; k++)
            images += r->messages[i].parts[k].kind == WIRE_IMAGE;
    }
    return images;
}

bool describe_request_read(struct str payload, struct arena *arena, struct generate_request *out,
                           struct weir_error *err)
{
    struct generate_request read;
    if (!generate_request_read_kinds(payload, arena, 1u << WIRE_TEXT | 1u << WIRE_IMAGE, &read,
                                     err))
        return false;
    const size_t images = describe_request_images(&read);
    if (images > WIRE_IMAGES_MAX) {
        weir_fail(err, WEIR_INVALID, "%zu images in one request, the limit is %d", images,
                  WIRE_IMAGES_MAX);
        return false;
    }
    *out = read;
    return true;
}
