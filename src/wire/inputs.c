#include "wire/inputs.h"

#define INPUT_BYTES_LEAST 5 /* a kind and the length of an empty run */

void inputs_write(struct buffer *out, const struct wire_input *inputs, size_t count)
{
    buffer_u32(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        buffer_u8(out, inputs[i].kind);
        buffer_counted(out, inputs[i].data);
    }
}

size_t inputs_read(struct reader *in, struct arena *arena, unsigned kinds, size_t count_max,
                   const struct wire_input **out)
{
    const size_t count = reader_u32(in);
    if (!reader_ok(in))
        return 0;
    /* A count that the bytes cannot hold is refused before anything is allocated for it. */
    if (count > count_max || !reader_has(in, count * INPUT_BYTES_LEAST)) {
        reader_fail(in, "number of inputs out of range");
        return 0;
    }
    if (count == 0) {
        *out = NULL;
        return 0;
    }
    struct wire_input *inputs = arena_try(arena, count, sizeof(*inputs));
    if (!inputs) {
        reader_fail(in, "number of inputs out of range");
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        inputs[i].kind = reader_u8(in);
        inputs[i].data = reader_str(in);
        if (inputs[i].kind >= WIRE_INPUT_KINDS)
            reader_fail(in, "kind of an input out of range");
        else if ((kinds & 1u << inputs[i].kind) == 0)
            reader_fail(in, "an input of another kind than belongs here");
        else if (inputs[i].kind == WIRE_IDS && inputs[i].data.len % sizeof(int32_t) != 0)
            reader_fail(in, "length of an input of ids out of range");
        if (!reader_ok(in))
            return 0;
    }
    *out = inputs;
    return count;
}
