/* vision.h — payload of the operation describe: the request to generate with images allowed among
 * the parts of its messages. Its outputs are plain UTF-8, streamed. */
#ifndef WIRE_VISION_H
#define WIRE_VISION_H

#include "wire/text_to_text.h"

#define WIRE_IMAGES_MAX 16 /* of one request; the limit `images` is the server's */

/* Images of the whole conversation. */
size_t describe_request_images(const struct generate_request *r);

/* It is written by generate_request_write. */
bool describe_request_read(struct str payload, struct arena *arena, struct generate_request *out,
                           struct weir_error *err);

#endif
