/* text_to_image.h — payloads of the operation draw: a prompt, and one streamed output an image. */
#ifndef WIRE_TEXT_TO_IMAGE_H
#define WIRE_TEXT_TO_IMAGE_H

#include "wire/inputs.h"

#include "base/error.h"

#include <stdbool.h>

#define WIRE_DRAW_COUNT_MAX    10
#define WIRE_DRAW_STEPS_MAX    200
#define WIRE_DRAW_SIDE_MAX     2048
#define WIRE_DRAW_SIDE_STEP    16 /* sides are multiples of it */
#define WIRE_DRAW_GUIDANCE_MAX 100
#define WIRE_MEDIA_TYPE_MAX    64

struct draw_request {
    struct str prompt;
    bool has_negative_prompt;
    struct str negative_prompt;
    uint32_t count;         /* images, 1 to WIRE_DRAW_COUNT_MAX */
    uint32_t width, height; /* 0: the model's own */
    uint32_t steps;         /* 0: the model's own */
    float guidance;         /* 0: the model's own */
    bool seeded;
    uint64_t seed; /* image i is drawn with seed + i */
};
void draw_request_write(struct buffer *out, const struct draw_request *r);
bool draw_request_read(struct str payload, struct arena *arena, struct draw_request *out,
                       struct weir_error *err);

/* One image. Read, everything is borrowed from the payload. */
struct draw_reply {
    uint32_t width, height; /* 1 to WIRE_DRAW_SIDE_MAX */
    struct str media_type;  /* "image/png": printable ASCII */
    struct str image;       /* the encoded file */
};
void draw_reply_write(struct buffer *out, const struct draw_reply *r);
bool draw_reply_read(struct str payload, struct draw_reply *out, struct weir_error *err);

#endif
