#include "wire/text_to_text.h"

void generate_request_write(struct buffer *out, const struct generate_request *r)
{
    buffer_u32(out, r->tokens_max);
    inputs_write(out, &r->prompt, 1);
}

bool generate_request_read(struct str payload, struct arena *arena, struct generate_request *out,
                           struct weir_error *err)
{
    struct reader r = reader_of(payload.data, payload.len);
    struct generate_request read = { .tokens_max = reader_u32(&r) };
    const struct wire_input *prompt = NULL;
    if (inputs_read(&r, arena, WIRE_TEXTS, 1, &prompt) != 1)
        reader_fail(&r, "number of prompts is not one");
    if (!reader_done(&r, err))
        return false;
    read.prompt = *prompt;
    *out = read;
    return true;
}
