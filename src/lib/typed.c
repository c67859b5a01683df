/* typed.c — the typed requests of weir.h to payload bytes, and payload bytes to typed outputs. */
#include "base/capability.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/size.h"
#include "lib/pool.h"
#include "wire/text_embedding.h"
#include "wire/text_to_text.h"
#include "wire/tokens.h"

#include <inttypes.h>

static enum weir_code take_input(const struct weir_input *in, size_t index, struct wire_input *out,
                                 struct weir_error *err)
{
    static const uint8_t kinds[] = { WIRE_TEXT, WIRE_IDS, WIRE_IMAGE };
    enum weir_code code = WEIR_OK;
    if (in->size != sizeof *in || (unsigned)in->kind >= sizeof kinds ||
        (in->data == NULL && in->bytes > 0))
        code = weir_fail(err, WEIR_INVALID, "input %zu is not a struct weir_input", index);
    else if (in->kind == WEIR_INPUT_IDS && in->bytes % sizeof(int32_t) != 0)
        code = weir_fail(err, WEIR_INVALID, "input %zu: %zu bytes are no array of 32-bit ids",
                         index, in->bytes);
    else if (in->kind == WEIR_INPUT_TEXT) {
        struct str text = { in->data, in->bytes };
        size_t good = str_utf8_valid(text);
        if (good < text.len)
            code = weir_fail(err, WEIR_INVALID, "input %zu is not UTF-8 at byte %zu", index, good);
    }
    if (code != WEIR_OK) {
        if (err != NULL)
            err->index = (int32_t)index;
        return code;
    }
    *out = (struct wire_input){
        .kind = kinds[in->kind], .data = {in->data, in->bytes}
    };
    return WEIR_OK;
}

static enum weir_code take_inputs(const struct weir_input *inputs, size_t count,
                                  struct wire_input **out, struct weir_error *err)
{
    if (count > WIRE_INPUTS_MAX)
        return weir_fail(err, WEIR_INVALID, "%zu inputs, the limit is %d", count, WIRE_INPUTS_MAX);
    if (inputs == NULL && count > 0)
        return weir_fail(err, WEIR_INVALID, "%zu inputs, but no pointer to them", count);
    struct wire_input *list = mem_new(count + 1, sizeof *list);
    for (size_t i = 0; i < count; i++) {
        enum weir_code code = take_input(&inputs[i], i, &list[i], err);
        if (code != WEIR_OK) {
            mem_free(list);
            return code;
        }
    }
    *out = list;
    return WEIR_OK;
}

static enum weir_code wrong_struct(const struct weir_request *r, struct weir_error *err)
{
    return weir_fail(err, WEIR_INVALID,
                     "the input of a request to %s is missing or of another size",
                     operation_name(r->operation));
}

static enum weir_code write_embed(const struct weir_request *r, struct buffer *out,
                                  struct weir_error *err)
{
    const struct weir_embed *e = r->input;
    struct wire_input *inputs = NULL;
    if (e == NULL || e->size != sizeof *e)
        return wrong_struct(r, err);
    enum weir_code code = take_inputs(e->inputs, e->count, &inputs, err);
    if (code != WEIR_OK)
        return code;
    text_embedding_request_write(out, &(struct text_embedding_request){ .truncate = e->truncate,
                                                                        .dimensions = e->dimensions,
                                                                        .inputs = inputs,
                                                                        .count = e->count });
    mem_free(inputs);
    return WEIR_OK;
}

static enum weir_code write_tokens(const struct weir_request *r, struct buffer *out,
                                   struct weir_error *err)
{
    const struct weir_tokenize *t = r->input;
    struct wire_input *inputs = NULL;
    if (t == NULL || t->size != sizeof *t)
        return wrong_struct(r, err);
    enum weir_code code = take_inputs(t->inputs, t->count, &inputs, err);
    if (code != WEIR_OK)
        return code;
    tokens_request_write(out, &(struct tokens_request){ .add_special_tokens = !t->no_special_tokens,
                                                        .inputs = inputs,
                                                        .count = t->count });
    mem_free(inputs);
    return WEIR_OK;
}

static enum weir_code write_generate(const struct weir_request *r, struct buffer *out,
                                     struct weir_error *err)
{
    const struct weir_generate *g = r->input;
    struct generate_request w = { 0 };
    if (g == NULL || g->size != sizeof *g)
        return wrong_struct(r, err);
    w.tokens_max = g->tokens_max;
    enum weir_code code = take_input(&g->prompt, 0, &w.prompt, err);
    if (code == WEIR_OK)
        generate_request_write(out, &w);
    return code;
}

enum weir_code typed_request(const struct weir_request *r, uint8_t **out, size_t *out_bytes,
                             struct weir_error *err)
{
    struct buffer b;
    buffer_init(&b, WIRE_PAYLOAD_MAX);
    enum weir_code code = WEIR_OK;
    switch (r->operation) {
    case WEIR_EMBED: code = write_embed(r, &b, err); break;
    case WEIR_TOKENIZE:
    case WEIR_DETOKENIZE: code = write_tokens(r, &b, err); break;
    case WEIR_GENERATE: code = write_generate(r, &b, err); break;
    default: break; /* LOAD has no input */
    }
    if (code == WEIR_OK && b.failed) {
        struct size_text limit;
        code = weir_fail(err, WEIR_BODY_TOO_LARGE, "the inputs are more than %s",
                         size_format(WIRE_PAYLOAD_MAX, &limit));
    }
    if (code != WEIR_OK) {
        buffer_finish(&b);
        return code;
    }
    *out = (uint8_t *)buffer_take(&b, out_bytes);
    return WEIR_OK;
}

void typed_expected(const struct weir_request *r, size_t *outputs, size_t *rows)
{
    const struct weir_embed *embed = r->input;
    const struct weir_tokenize *tokenize = r->input;
    *outputs = *rows = SIZE_MAX;
    switch (r->operation) {
    case WEIR_EMBED:
        *outputs = 1;
        *rows = embed->count;
        break;
    case WEIR_TOKENIZE:
        *outputs = 1;
        *rows = tokenize->count;
        break;
    case WEIR_DETOKENIZE: *outputs = tokenize->count; break;
    default: break;
    }
}

static bool read_tokens(struct str payload, struct arena *arena, struct weir_output *out,
                        struct weir_error *err)
{
    struct tokens_reply t;
    if (!tokens_reply_read(payload, arena, &t, err))
        return false;
    size_t count = t.starts[t.rows];
    struct weir_input *pieces = arena_try(arena, count + 1, sizeof *pieces);
    if (pieces == NULL) {
        weir_fail(err, WEIR_INTERNAL, "no memory for %zu pieces", count);
        return false;
    }
    for (size_t i = 0; i < count; i++)
        pieces[i] = (struct weir_input){ .size = sizeof pieces[i],
                                         .kind = WEIR_INPUT_TEXT,
                                         .data = t.pieces[i].data,
                                         .bytes = t.pieces[i].len };
    out->rows = t.rows;
    out->starts = t.starts;
    out->ids = t.ids;
    out->pieces = pieces;
    return true;
}

bool typed_output(enum weir_operation operation, struct str payload, struct arena *arena,
                  struct weir_output *out, struct weir_error *err)
{
    *out = (struct weir_output){ .size = sizeof *out, .operation = operation };
    struct text_embedding_reply e;
    switch (operation) {
    case WEIR_EMBED:
        if (!text_embedding_reply_read(payload, arena, &e, err))
            return false;
        out->vectors = e.vectors;
        out->rows = e.rows;
        out->dim = e.dim;
        out->tokens = e.tokens;
        out->truncated = e.truncated;
        out->truncated_count = e.truncated_count;
        return true;
    case WEIR_TOKENIZE: return read_tokens(payload, arena, out, err);
    default:
        out->text = payload.data;
        out->bytes = payload.len;
        return true;
    }
}
