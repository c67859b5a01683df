#include "worker/tokenize.h"

#include "base/arena.h"
#include "base/mem.h"
#include "text/tokenizer.h"
#include "wire/tokens.h"
#include "worker/refuse.h"

#include <string.h>

#define ARENA_MAX ((size_t)16 * 1024 * 1024)

struct run {
    struct control *control;
    const struct tokenizer *tokenizer;
    const struct worker_job *job;
    struct tokens_request request;
    struct buffer payload;
    uint64_t tokens;
};

static enum weir_code at_input(size_t index, struct weir_error *err)
{
    weir_wrap(err, "input %zu", index);
    err->index = (int32_t)index;
    return err->code;
}

static enum weir_code too_much(struct weir_error *err)
{
    weir_fail(err, WEIR_INVALID, "the answer is longer than %zu bytes", WIRE_PAYLOAD_MAX);
    err->limit = (int64_t)WIRE_PAYLOAD_MAX;
    return err->code;
}

static enum weir_code tokenize(struct run *r, size_t index, struct weir_error *err)
{
    struct tokens tokens = { 0 };
    const enum weir_code code = tokenizer_encode(r->tokenizer, r->request.inputs[index].data,
                                                 r->request.add_special_tokens, &tokens, err);
    if (code == WEIR_OK) {
        tokens_row_begin(&r->payload, (uint32_t)tokens.count);
        for (size_t i = 0; i < tokens.count; i++)
            tokens_row_add(&r->payload, tokens.ids[i],
                           tokenizer_piece(r->tokenizer, tokens.ids[i]));
        r->tokens += tokens.count;
    }
    tokens_finish(&tokens);
    return code == WEIR_OK ? code : at_input(index, err);
}

/* The reading text: special tokens are left out. Each input has its own output, in order. */
static enum weir_code detokenize(struct run *r, size_t index, struct weir_error *err)
{
    const struct str data = r->request.inputs[index].data;
    const size_t count = data.len / sizeof(int32_t);
    /* The payload's bytes lie on any address. */
    int32_t *ids = mem_try(count + 1, sizeof(*ids));
    if (!ids)
        return weir_fail(err, WEIR_NO_MEMORY, "no memory for %zu token ids", count);
    if (count > 0)
        memcpy(ids, data.data, count * sizeof(*ids));
    const enum weir_code code = tokenizer_decode(r->tokenizer, ids, count, true, &r->payload, err);
    mem_free(ids);
    if (code != WEIR_OK)
        return at_input(index, err);
    if (r->payload.failed)
        return too_much(err);
    control_output(r->control, r->job, buffer_view(&r->payload), false);
    buffer_clear(&r->payload);
    r->tokens += count;
    return WEIR_OK;
}

static enum weir_code answer(struct run *r, struct weir_error *err)
{
    const bool decodes = r->job->operation == WEIR_DETOKENIZE;
    for (size_t i = 0; i < r->request.count; i++) {
        if (control_cancelled(r->control, r->job))
            return refuse_cancelled(err);
        if ((r->request.inputs[i].kind == WIRE_IDS) != decodes)
            return refuse_kind(i, decodes ? "token ids" : "a text", err);
        const enum weir_code code = decodes ? detokenize(r, i, err) : tokenize(r, i, err);
        if (code != WEIR_OK)
            return code;
        control_tick(r->control);
    }
    if (r->payload.failed)
        return too_much(err);
    if (!decodes)
        control_output(r->control, r->job, buffer_view(&r->payload), false);
    return WEIR_OK;
}

void tokenize_run(struct control *c, const struct tokenizer *t, const struct worker_job *job)
{
    struct weir_error err;
    struct arena arena;
    struct run r = { .control = c, .tokenizer = t, .job = job };
    arena_init(&arena, ARENA_MAX);
    buffer_init(&r.payload, WIRE_PAYLOAD_MAX);
    const bool good =
        tokens_request_read(job->payload, &arena, &r.request, &err) && answer(&r, &err) == WEIR_OK;
    const struct control_usage usage = { .input_tokens = r.tokens };
    control_end(c, job, good ? NULL : &err, good ? &usage : NULL);
    buffer_finish(&r.payload);
    arena_finish(&arena);
}
