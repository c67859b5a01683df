#include "wire/tokens.h"

#include "wire/text_embedding.h"

#define TOKEN_BYTES_LEAST 8 /* an id and the length of an empty piece */

void tokens_request_write(struct buffer *out, const struct tokens_request *r)
{
    buffer_u8(out, r->add_special_tokens);
    inputs_write(out, r->inputs, r->count);
}

bool tokens_request_read(struct str payload, struct arena *arena, struct tokens_request *out,
                         struct weir_error *err)
{
    struct reader r = reader_of(payload.data, payload.len);
    const uint8_t add_special = reader_u8(&r);
    struct tokens_request read = { .add_special_tokens = add_special == 1 };
    if (add_special > 1)
        reader_fail(&r, "add_special_tokens out of range");
    read.count = inputs_read(&r, arena, WIRE_TEXTS, WIRE_INPUTS_MAX, &read.inputs);
    if (!reader_done(&r, err))
        return false;
    *out = read;
    return true;
}

void tokens_row_begin(struct buffer *out, uint32_t count)
{
    buffer_u32(out, count);
}

void tokens_row_add(struct buffer *out, int32_t id, struct str piece)
{
    buffer_u32(out, (uint32_t)id);
    buffer_counted(out, piece);
}

/* Walks over the rows and counts them; a reply states no totals. */
static void count_rows(struct reader *r, size_t *rows, size_t *ids)
{
    *rows = *ids = 0;
    while (reader_ok(r) && reader_has(r, 1)) {
        const size_t count = reader_u32(r);
        if (reader_ok(r) && (r->size - r->pos) / TOKEN_BYTES_LEAST < count)
            reader_fail(r, "more tokens than there are bytes");
        for (size_t i = 0; i < count && reader_ok(r); i++) {
            (void)reader_u32(r);
            (void)reader_str(r);
        }
        *rows += 1;
        *ids += count;
    }
    if (*rows > WIRE_INPUTS_MAX)
        reader_fail(r, "rows of a reply out of range");
}

bool tokens_reply_read(struct str payload, struct arena *arena, struct tokens_reply *out,
                       struct weir_error *err)
{
    size_t rows, count;
    struct reader r = reader_of(payload.data, payload.len);
    count_rows(&r, &rows, &count);
    if (!reader_done(&r, err))
        return false;

    size_t *starts = arena_try(arena, rows + 1, sizeof(*starts));
    int32_t *ids = arena_try(arena, count + 1, sizeof(*ids));
    struct str *pieces = arena_try(arena, count + 1, sizeof(*pieces));
    if (!starts || !ids || !pieces) {
        weir_fail(err, WEIR_INVALID, "a reply of %zu tokens needs more than the %zu bytes allowed",
                  count, arena->max);
        return false;
    }
    r = reader_of(payload.data, payload.len);
    size_t at = 0;
    for (size_t row = 0; row < rows; row++) {
        starts[row] = at;
        const size_t end = at + reader_u32(&r);
        for (; at < end; at++) {
            ids[at] = (int32_t)reader_u32(&r);
            pieces[at] = reader_str(&r);
        }
    }
    starts[rows] = at;
    *out = (struct tokens_reply){ .rows = rows, .starts = starts, .ids = ids, .pieces = pieces };
    return true;
}
