#include "worker/embed_job.h"

#include "base/check.h"
#include "base/mem.h"
#include "model/model.h"
#include "worker/refuse.h"
#include "worker/vectors.h"

#include <string.h>

#define ARENA_MAX ((size_t)16 * 1024 * 1024)

/* How many tokens the prompt makes, alone: with the special tokens that lead a sequence and without
 * those that close it. */
static enum weir_code count_prompt(struct embed_job *j, const struct tokenizer *t,
                                   struct weir_error *err)
{
    struct tokens whole = { 0 }, bare = { 0 };
    enum weir_code code = tokenizer_encode(t, j->prompt, true, &whole, err);
    if (code == WEIR_OK)
        code = tokenizer_encode(t, j->prompt, false, &bare, err);
    if (code == WEIR_OK) {
        const size_t bytes = bare.count * sizeof(*bare.ids);
        size_t lead = 0;
        if (bytes == 0 && whole.count > 0) /* white space: all but what closes it */
            lead = whole.count - 1;
        while (bytes > 0 && lead + bare.count < whole.count &&
               memcmp(whole.ids + lead, bare.ids, bytes) != 0)
            lead++;
        j->lead = (uint32_t)lead;
        j->skip = (uint32_t)(lead + bare.count);
    }
    tokens_finish(&whole);
    tokens_finish(&bare);
    return code == WEIR_OK ? code : weir_wrap(err, "the prompt");
}

static enum weir_code find_prompt(struct embed_job *j, const struct embed_limits *limits,
                                  struct weir_error *err)
{
    bool is_pooled = true;
    const enum weir_code code =
        encoder_prompt(limits->encoder, j->request.prompt_name, &j->prompt, &is_pooled, err);
    j->has_prompt = j->request.prompt_name.len > 0;
    if (code != WEIR_OK || j->prompt.len == 0 || is_pooled)
        return code;
    return count_prompt(j, limits->tokenizer, err);
}

/* The text as the tokenizer is given it. */
static enum weir_code put_prompt(struct embed_job *j, struct str *text, struct weir_error *err)
{
    if (j->prompt.len == 0)
        return WEIR_OK;
    buffer_clear(&j->text);
    buffer_str(&j->text, j->prompt);
    buffer_str(&j->text, *text);
    if (j->text.failed)
        return weir_fail(err, WEIR_NO_MEMORY, "no memory for a prompt and %zu bytes", text->len);
    *text = buffer_view(&j->text);
    return WEIR_OK;
}

/* What is left of the prompt once `gone` tokens of prompt and text were cut from the front. */
static uint32_t skip_after(const struct embed_job *j, size_t gone)
{
    return gone < j->skip - j->lead ? j->skip - (uint32_t)gone : j->lead;
}

static enum weir_code add_text(struct embed_job *j, const struct embed_limits *limits, size_t input,
                               struct weir_error *err)
{
    const size_t start = j->tokens.count;
    struct str text = j->request.inputs[input].data;
    if (put_prompt(j, &text, err) != WEIR_OK ||
        tokenizer_encode(limits->tokenizer, text, true, &j->tokens, err) != WEIR_OK) {
        weir_wrap(err, "input %zu", input);
        err->index = (int32_t)input;
        return err->code;
    }
    const size_t count = j->tokens.count - start;
    j->skips[input] = j->skip;
    if (count <= limits->tokens_max)
        return WEIR_OK;
    /* A prompt that leaves no room for any of the text cannot be cut to fit. */
    const bool front = j->request.truncate_front;
    if (!j->request.truncate || (front ? j->lead : j->skip) >= limits->tokens_max)
        return refuse_too_long(input, count, limits->tokens_max, err);
    tokenizer_truncate(limits->tokenizer, &j->tokens, start, limits->tokens_max, front);
    if (front) /* the prompt goes first */
        j->skips[input] = skip_after(j, count - limits->tokens_max);
    j->truncated[j->truncated_count++] = (uint32_t)input;
    return WEIR_OK;
}

/* Ids are taken as they are: whoever counts tokens adds the special ones too, and a prompt. */
static enum weir_code add_ids(struct embed_job *j, const struct embed_limits *limits, size_t input,
                              struct weir_error *err)
{
    const struct str data = j->request.inputs[input].data;
    size_t count = data.len / sizeof(int32_t), from = 0;
    if (count > limits->tokens_max) {
        if (!j->request.truncate)
            return refuse_too_long(input, count, limits->tokens_max, err);
        if (j->request.truncate_front)
            from = count - limits->tokens_max;
        count = limits->tokens_max;
        j->truncated[j->truncated_count++] = (uint32_t)input;
    }
    if (!tokens_reserve(&j->tokens, count))
        return weir_fail(err, WEIR_NO_MEMORY, "no memory for %zu token ids", count);
    int32_t *ids = j->tokens.ids + j->tokens.count;
    memcpy(ids, data.data + from * sizeof(*ids), count * sizeof(*ids));
    j->tokens.count += count;
    for (size_t i = 0; i < count; i++) {
        if (ids[i] >= 0 && (uint32_t)ids[i] < limits->vocab)
            continue;
        weir_fail(err, WEIR_INVALID, "input %zu has the token id %d, the model knows 0 to %u",
                  input, (int)ids[i], (unsigned)limits->vocab - 1);
        err->value = ids[i];
        err->limit = limits->vocab;
        err->index = (int32_t)input;
        return err->code;
    }
    return WEIR_OK;
}

static enum weir_code add_inputs(struct embed_job *j, struct control *c,
                                 const struct embed_limits *limits, struct weir_error *err)
{
    for (size_t i = 0; i < j->request.count; i++) {
        enum weir_code code;
        j->starts[i] = j->tokens.count;
        if (control_cancelled(c, &j->job))
            return refuse_cancelled(err);
        if (j->request.inputs[i].data.len == 0)
            return refuse_empty(i, err);
        if (j->request.inputs[i].kind == WIRE_IDS && j->has_prompt)
            return refuse_kind(i, "a text where there is a prompt_name", err);
        if (j->request.inputs[i].kind == WIRE_IDS)
            code = add_ids(j, limits, i, err);
        else
            code = add_text(j, limits, i, err);
        if (code != WEIR_OK)
            return code;
        j->counts[i] = (uint32_t)(j->tokens.count - j->starts[i]);
        control_tick(c);
    }
    j->starts[j->request.count] = j->tokens.count;
    return WEIR_OK;
}

static enum weir_code prepare(struct embed_job *j, struct control *c,
                              const struct embed_limits *limits, struct weir_error *err)
{
    if (!text_embedding_request_read(j->job.payload, &j->arena, &j->request, err))
        return err->code;
    if (j->request.dimensions > limits->dim)
        return refuse_dimensions(j->request.dimensions, limits->dim, err);
    if (find_prompt(j, limits, err) != WEIR_OK)
        return err->code;
    const size_t count = j->request.count;
    j->dim = limits->dim;
    j->starts = arena_try(&j->arena, count + 1, sizeof(*j->starts));
    j->counts = arena_try(&j->arena, count + 1, sizeof(*j->counts));
    j->skips = arena_try(&j->arena, count + 1, sizeof(*j->skips));
    j->truncated = arena_try(&j->arena, count + 1, sizeof(*j->truncated));
    j->vectors = mem_try(count * limits->dim + 1, sizeof(*j->vectors));
    if (!j->starts || !j->counts || !j->skips || !j->truncated || !j->vectors)
        return weir_fail(err, WEIR_NO_MEMORY, "no memory for %zu vectors of %u numbers", count,
                         (unsigned)limits->dim);
    return add_inputs(j, c, limits, err);
}

enum weir_code embed_job_begin(struct embed_job *j, struct control *c,
                               const struct embed_limits *limits, const struct worker_job *job,
                               struct weir_error *err)
{
    *j = (struct embed_job){ .job = *job };
    arena_init(&j->arena, ARENA_MAX);
    buffer_init(&j->text, TOKENIZER_TEXT_BYTES_MAX);
    const enum weir_code code = prepare(j, c, limits, err);
    if (code != WEIR_OK)
        embed_job_finish(j);
    return code;
}

void embed_job_finish(struct embed_job *j)
{
    tokens_finish(&j->tokens);
    buffer_finish(&j->text);
    mem_free(j->vectors);
    arena_finish(&j->arena);
    *j = (struct embed_job){ .job = j->job };
}

void embed_job_row(struct embed_job *j, size_t input, const float *vector)
{
    CHECK(input < j->request.count && j->done < j->request.count);
    memcpy(j->vectors + input * j->dim, vector, j->dim * sizeof(*vector));
    j->done++;
}

enum weir_code embed_job_answer(struct embed_job *j, struct control *c, struct weir_error *err)
{
    CHECK(j->done == j->request.count);
    const uint32_t keep = j->request.dimensions > 0 ? j->request.dimensions : j->dim;
    vectors_cut(j->vectors, j->done, j->dim, keep, j->request.normalize);
    struct buffer payload;
    buffer_init(&payload, WIRE_PAYLOAD_MAX);
    text_embedding_reply_write(
        &payload, &(struct text_embedding_reply){ .rows = (uint32_t)j->done,
                                                  .dim = keep,
                                                  .tokens = j->counts,
                                                  .truncated = j->truncated,
                                                  .truncated_count = j->truncated_count,
                                                  .vectors = j->vectors });
    const bool fits = !payload.failed;
    if (fits)
        control_output(c, &j->job, buffer_view(&payload), false);
    buffer_finish(&payload);
    return fits ? WEIR_OK
                : weir_fail(err, WEIR_INVALID, "%zu vectors of %u numbers are more than %zu bytes",
                            j->done, (unsigned)keep, WIRE_PAYLOAD_MAX);
}
