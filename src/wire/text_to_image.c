#include "wire/text_to_image.h"

void draw_request_write(struct buffer *out, const struct draw_request *r)
{
    const struct wire_input prompts[] = {
        {WIRE_TEXT,  r->prompt         },
        { WIRE_TEXT, r->negative_prompt}
    };
    buffer_u32(out, r->count);
    buffer_u32(out, r->width);
    buffer_u32(out, r->height);
    buffer_u32(out, r->steps);
    buffer_f32(out, r->guidance);
    buffer_u8(out, r->seeded);
    buffer_u64(out, r->seed);
    inputs_write(out, prompts, r->has_negative_prompt ? 2 : 1);
}

static bool is_side(uint32_t side)
{
    return side <= WIRE_DRAW_SIDE_MAX && side % WIRE_DRAW_SIDE_STEP == 0;
}

static void read_numbers(struct reader *in, struct draw_request *out)
{
    out->count = reader_u32(in);
    if (out->count < 1 || out->count > WIRE_DRAW_COUNT_MAX)
        reader_fail(in, "number of images out of range");
    out->width = reader_u32(in);
    out->height = reader_u32(in);
    if (!is_side(out->width) || !is_side(out->height))
        reader_fail(in, "width or height out of range");
    out->steps = reader_u32(in);
    if (out->steps > WIRE_DRAW_STEPS_MAX)
        reader_fail(in, "steps out of range");
    out->guidance = reader_f32(in);
    if (!(out->guidance >= 0 && out->guidance <= WIRE_DRAW_GUIDANCE_MAX))
        reader_fail(in, "guidance out of range");
    const uint8_t seeded = reader_u8(in);
    if (seeded > 1)
        reader_fail(in, "seeded out of range");
    out->seeded = seeded == 1;
    out->seed = reader_u64(in);
}

bool draw_request_read(struct str payload, struct arena *arena, struct draw_request *out,
                       struct weir_error *err)
{
    struct reader r = reader_of(payload.data, payload.len);
    struct draw_request read = { 0 };
    const struct wire_input *prompts = NULL;
    read_numbers(&r, &read);
    const size_t count = inputs_read(&r, arena, 1u << WIRE_TEXT, 2, &prompts);
    if (count == 0)
        reader_fail(&r, "there is no prompt");
    if (!reader_done(&r, err))
        return false;
    read.prompt = prompts[0].data;
    read.has_negative_prompt = count == 2;
    if (count == 2)
        read.negative_prompt = prompts[1].data;
    *out = read;
    return true;
}

void draw_reply_write(struct buffer *out, const struct draw_reply *r)
{
    buffer_u32(out, r->width);
    buffer_u32(out, r->height);
    buffer_counted(out, r->media_type);
    buffer_counted(out, r->image);
}

/* It goes into heads of HTTP: nothing that could end a line there. */
static bool is_media_type(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] <= ' ' || s.data[i] > '~')
            return false;
    }
    return s.len > 0 && s.len <= WIRE_MEDIA_TYPE_MAX;
}

bool draw_reply_read(struct str payload, struct draw_reply *out, struct weir_error *err)
{
    struct reader r = reader_of(payload.data, payload.len);
    struct draw_reply read = { .width = reader_u32(&r) };
    read.height = reader_u32(&r);
    if (read.width < 1 || read.width > WIRE_DRAW_SIDE_MAX || read.height < 1 ||
        read.height > WIRE_DRAW_SIDE_MAX)
        reader_fail(&r, "width or height of an image out of range");
    read.media_type = reader_str(&r);
    if (reader_ok(&r) && !is_media_type(read.media_type))
        reader_fail(&r, "media type of an image out of range");
    read.image = reader_str(&r);
    if (reader_ok(&r) && read.image.len == 0)
        reader_fail(&r, "an image of no bytes");
    if (!reader_done(&r, err))
        return false;
    *out = read;
    return true;
}
