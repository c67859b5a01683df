#include "wire/text_embedding.h"

#include "base/size.h"

#include <string.h>

/* Vectors and counts are written as they lie in memory. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && sizeof(float) == 4,
               "the wire is little-endian");

void text_embedding_request_write(struct buffer *out, const struct text_embedding_request *r)
{
    buffer_u8(out, r->truncate);
    buffer_u8(out, r->truncate_front);
    buffer_u8(out, (uint8_t)r->normalize);
    buffer_u32(out, r->dimensions);
    buffer_counted(out, r->prompt_name);
    inputs_write(out, r->inputs, r->count);
}

bool text_embedding_request_read(struct str payload, struct arena *arena,
                                 struct text_embedding_request *out, struct weir_error *err)
{
    struct reader r = reader_of(payload.data, payload.len);
    const uint8_t truncate = reader_u8(&r), front = reader_u8(&r), normalize = reader_u8(&r);
    struct text_embedding_request read = { .truncate = truncate == 1,
                                           .truncate_front = front == 1 };
    if (truncate > 1 || front > 1)
        reader_fail(&r, "truncate out of range");
    if (normalize >= WIRE_NORMALIZE_COUNT)
        reader_fail(&r, "normalize out of range");
    else
        read.normalize = (enum text_embedding_normalize)normalize;
    read.dimensions = reader_u32(&r);
    read.prompt_name = reader_str(&r);
    if (read.prompt_name.len > WIRE_PROMPT_NAME_MAX)
        reader_fail(&r, "prompt name too long");
    read.count = inputs_read(&r, arena, WIRE_TEXTS, WIRE_INPUTS_MAX, &read.inputs);
    if (!reader_done(&r, err))
        return false;
    *out = read;
    return true;
}

void text_embedding_reply_write(struct buffer *out, const struct text_embedding_reply *r)
{
    buffer_u32(out, r->rows);
    buffer_u32(out, r->dim);
    buffer_u32(out, r->truncated_count);
    if (r->rows > 0)
        buffer_append(out, r->tokens, r->rows * sizeof(*r->tokens));
    if (r->truncated_count > 0)
        buffer_append(out, r->truncated, r->truncated_count * sizeof(*r->truncated));
    if (r->rows > 0 && r->dim > 0)
        buffer_append(out, r->vectors, (size_t)r->rows * r->dim * sizeof(*r->vectors));
}

/* Copies count numbers of 4 bytes out of the payload; NULL for none of them and on failure. */
static void *copy_numbers(struct reader *r, struct arena *arena, uint64_t count)
{
    uint64_t bytes;
    if (!size_mul(count, 4, &bytes) || bytes > SIZE_MAX || !reader_has(r, (size_t)bytes)) {
        reader_fail(r, "more numbers than there are bytes");
        return NULL;
    }
    if (count == 0)
        return NULL;
    void *copy = arena_try(arena, (size_t)count, 4);
    const uint8_t *from = reader_bytes(r, (size_t)bytes);
    if (!copy || !from) {
        reader_fail(r, "more numbers than there are bytes");
        return NULL;
    }
    memcpy(copy, from, (size_t)bytes);
    return copy;
}

static bool truncated_ascend(const struct text_embedding_reply *r)
{
    for (uint32_t i = 0; i < r->truncated_count; i++) {
        if (r->truncated[i] >= r->rows || (i > 0 && r->truncated[i] <= r->truncated[i - 1]))
            return false;
    }
    return true;
}

bool text_embedding_reply_read(struct str payload, struct arena *arena,
                               struct text_embedding_reply *out, struct weir_error *err)
{
    struct reader r = reader_of(payload.data, payload.len);
    struct text_embedding_reply read = { 0 };
    read.rows = reader_u32(&r);
    read.dim = reader_u32(&r);
    read.truncated_count = reader_u32(&r);
    if (read.rows > WIRE_INPUTS_MAX || read.truncated_count > read.rows)
        reader_fail(&r, "rows of a reply out of range");
    if (reader_ok(&r))
        read.tokens = copy_numbers(&r, arena, read.rows);
    if (reader_ok(&r))
        read.truncated = copy_numbers(&r, arena, read.truncated_count);
    if (reader_ok(&r) && !truncated_ascend(&read))
        reader_fail(&r, "truncated inputs that do not ascend");
    if (reader_ok(&r))
        read.vectors = copy_numbers(&r, arena, (uint64_t)read.rows * read.dim);
    if (!reader_done(&r, err))
        return false;
    *out = read;
    return true;
}
