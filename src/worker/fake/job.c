#include "worker/fake/job.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "wire/text_embedding.h"
#include "wire/text_to_text.h"
#include "wire/tokens.h"
#include "worker/fake/answer.h"
#include "worker/fake/misbehave.h"
#include "worker/refuse.h"
#include "worker/vectors.h"

#include <stdio.h>
#include <string.h>

enum { ARENA_MAX = 256 * 1024 * 1024, SLEEP_TICK_MS = 100 };

/* ---- reading the request ---- */

static enum weir_code read_embed(struct fake_job *j, struct weir_error *err)
{
    struct text_embedding_request r;
    if (!text_embedding_request_read(j->job.payload, &j->arena, &r, err))
        return WEIR_INVALID;
    j->inputs = r.inputs;
    j->count = r.count;
    j->truncate = r.truncate;
    j->dimensions = r.dimensions > 0 ? r.dimensions : j->spec->dim;
    if (j->dimensions > j->spec->dim)
        return refuse_dimensions(j->dimensions, j->spec->dim, err);
    for (size_t i = 0; i < r.count; i++) {
        const uint32_t tokens = answer_tokens(&r.inputs[i]);
        if (r.inputs[i].data.len == 0)
            return refuse_empty(i, err);
        if (tokens > SPEC_TOKENS_MAX && !r.truncate)
            return refuse_too_long(i, tokens, SPEC_TOKENS_MAX, err);
        j->input_tokens += tokens < SPEC_TOKENS_MAX ? tokens : SPEC_TOKENS_MAX;
    }
    return WEIR_OK;
}

static enum weir_code read_tokens(struct fake_job *j, struct weir_error *err)
{
    struct tokens_request r;
    if (!tokens_request_read(j->job.payload, &j->arena, &r, err))
        return WEIR_INVALID;
    const bool wants_ids = j->job.operation == WEIR_DETOKENIZE;
    j->inputs = r.inputs;
    j->count = r.count;
    for (size_t i = 0; i < r.count; i++) {
        if ((r.inputs[i].kind == WIRE_IDS) != wants_ids)
            return refuse_kind(i, wants_ids ? "token ids" : "a text", err);
        j->input_tokens += answer_words(r.inputs[i].data);
    }
    return WEIR_OK;
}

static enum weir_code read_generate(struct fake_job *j, struct weir_error *err)
{
    struct generate_request r;
    if (!generate_request_read(j->job.payload, &j->arena, &r, err))
        return WEIR_INVALID;
    struct wire_input *prompt = arena_try(&j->arena, 1, sizeof(*prompt));
    if (!prompt)
        return weir_fail(err, WEIR_NO_MEMORY, "no memory for a prompt");
    *prompt = r.prompt;
    j->inputs = prompt;
    j->count = 1;
    j->input_tokens = answer_tokens(prompt);
    struct str text = prompt->data;
    if (prompt->kind == WIRE_IDS) {
        struct buffer words;
        buffer_init(&words, ARENA_MAX);
        answer_detokenize(&words, text);
        text = arena_str(&j->arena, buffer_view(&words));
        buffer_finish(&words);
    }
    j->words = text.data ? answer_reversed(&j->arena, text, &j->words_count) : NULL;
    if (!j->words)
        return weir_fail(err, WEIR_NO_MEMORY, "no memory for a prompt of %zu bytes",
                         r.prompt.data.len);
    if (r.tokens_max > 0 && j->words_count > r.tokens_max)
        j->words_count = r.tokens_max;
    return WEIR_OK;
}

static enum weir_code read_request(struct fake_job *j, struct weir_error *err)
{
    const enum weir_capability can = j->spec->capability;
    if (j->job.capability == can && (can == WEIR_TEXT_EMBEDDING || can == WEIR_TEXT_TO_TEXT)) {
        if (j->job.operation == WEIR_TOKENIZE || j->job.operation == WEIR_DETOKENIZE)
            return read_tokens(j, err);
        if (j->job.operation == WEIR_EMBED && can == WEIR_TEXT_EMBEDDING)
            return read_embed(j, err);
        if (j->job.operation == WEIR_GENERATE && can == WEIR_TEXT_TO_TEXT)
            return read_generate(j, err);
    }
    return refuse_operation(j->job.capability, j->job.operation, err);
}

/* The first input that is an order counts. */
static enum weir_code read_order(struct fake_job *j, struct weir_error *err)
{
    for (size_t i = 0; j->spec->script && i < j->count; i++) {
        const struct wire_input *input = &j->inputs[i];
        if (input->kind == WIRE_TEXT && input->data.len > 0 && input->data.data[0] == '!')
            return order_parse(input->data, &j->order, err);
    }
    return WEIR_OK;
}

/* ---- life ---- */

static void end(struct fake_job *j, struct control *c, const struct weir_error *err)
{
    control_end(c, &j->job, err, err ? 0 : j->input_tokens, err ? 0 : j->output_tokens);
    arena_finish(&j->arena);
}

bool job_begin(struct fake_job *j, struct control *c, const struct worker_job *job,
               const struct spec *spec, uint64_t number)
{
    struct weir_error err;
    *j = (struct fake_job){ .job = *job, .spec = spec, .step_ms = spec->step_ms };
    arena_init(&j->arena, ARENA_MAX);
    enum weir_code code = read_request(j, &err);
    if (code == WEIR_OK)
        code = read_order(j, &err);
    if (code != WEIR_OK) {
        end(j, c, &err);
        return false;
    }
    const int64_t now_ms = clock_ms();
    j->crashes = spec->crash.place == SPEC_EVERY && number % spec->crash.number == 0;
    j->word_steps = spec->steps;
    if (j->order.kind == ORDER_TOKENS) {
        j->words_count = j->order.count;
        j->step_ms = j->order.duration_ms;
        j->word_steps = 1;
    }
    j->steps = j->word_steps;
    if ((j->job.operation == WEIR_GENERATE || j->order.kind == ORDER_TOKENS) && j->words_count > 0)
        j->steps *= j->words_count;
    if (j->order.kind == ORDER_SLEEP)
        j->sleep_until_ms = now_ms + j->order.duration_ms;
    j->due_ms = now_ms + (j->sleep_until_ms > 0 ? 0 : j->step_ms);
    return true;
}

static bool is_here(const struct spec_fault *fault, uint64_t step)
{
    return fault->place == SPEC_STEP && fault->number == step;
}

/* What is not an answer: false when the job is over or will never be. */
static bool behave(struct fake_job *j, struct control *c)
{
    if (j->order.kind == ORDER_CRASH || j->crashes || is_here(&j->spec->crash, j->step))
        misbehave_crash();
    if (j->order.kind == ORDER_HANG || is_here(&j->spec->hang, j->step))
        misbehave_hang();
    if (j->order.kind == ORDER_GARBAGE || j->spec->garbage.place == SPEC_RESULT) {
        misbehave_garbage();
        j->due_ms = CONTROL_FOREVER;
        return false;
    }
    if (j->order.kind == ORDER_FAIL) {
        struct weir_error err;
        weir_fail(&err, WEIR_MODEL_FAILED, "%.*s", STR_ARG(j->order.text));
        end(j, c, &err);
        return false;
    }
    return true;
}

/* ---- answers ---- */

static bool emit_word(struct fake_job *j, struct control *c)
{
    const uint64_t index = j->step / j->word_steps - 1;
    if (j->words_count == 0)
        return true;
    struct buffer text;
    buffer_init(&text, WIRE_PAYLOAD_MAX);
    if (j->order.kind == ORDER_TOKENS) {
        buffer_printf(&text, "token %llu", (unsigned long long)index);
    } else {
        buffer_text(&text, index > 0 ? " " : "");
        buffer_str(&text, j->words[index]);
    }
    const bool sent = !text.failed && control_output(c, &j->job, buffer_view(&text), true);
    buffer_finish(&text);
    j->output_tokens += sent;
    return sent;
}

static enum weir_code answer_embed(struct fake_job *j, struct control *c, struct weir_error *err)
{
    const size_t dim = j->spec->dim;
    struct text_embedding_reply reply = { .rows = (uint32_t)j->count, .dim = j->dimensions };
    float *vectors = mem_try(j->count * dim + 1, sizeof(*vectors));
    uint32_t *tokens = mem_try(j->count + 1, sizeof(*tokens));
    uint32_t *truncated = mem_try(j->count + 1, sizeof(*truncated));
    struct buffer payload;
    buffer_init(&payload, WIRE_PAYLOAD_MAX);
    if (vectors && tokens && truncated) {
        for (size_t i = 0; i < j->count; i++) {
            tokens[i] = answer_tokens(&j->inputs[i]);
            if (tokens[i] > SPEC_TOKENS_MAX) {
                tokens[i] = SPEC_TOKENS_MAX;
                truncated[reply.truncated_count++] = (uint32_t)i;
            }
            answer_vector(&j->inputs[i], tokens[i], vectors + i * dim, dim);
        }
        vectors_cut(vectors, j->count, dim, j->dimensions);
        reply.vectors = vectors;
        reply.tokens = tokens;
        reply.truncated = truncated;
        text_embedding_reply_write(&payload, &reply);
    }
    const bool good = payload.len > 0 && !payload.failed;
    if (good)
        control_output(c, &j->job, buffer_view(&payload), false);
    buffer_finish(&payload);
    mem_free(vectors);
    mem_free(tokens);
    mem_free(truncated);
    return good ? WEIR_OK
                : weir_fail(err, WEIR_MODEL_FAILED, "no room for %zu vectors of %zu numbers",
                            j->count, dim);
}

static enum weir_code answer_tokens_of(struct fake_job *j, struct control *c,
                                       struct weir_error *err)
{
    bool good = true;
    struct buffer payload;
    buffer_init(&payload, WIRE_PAYLOAD_MAX);
    /* Detokenize has an output for each input, tokenize one for all of them. */
    const bool decodes = j->job.operation == WEIR_DETOKENIZE;
    for (size_t i = 0; i < j->count && good; i++) {
        if (!decodes)
            answer_tokenize(&payload, j->inputs[i].data);
        else
            answer_detokenize(&payload, j->inputs[i].data);
        good = !payload.failed;
        if (good && decodes) {
            control_output(c, &j->job, buffer_view(&payload), false);
            buffer_clear(&payload);
        }
    }
    if (good && !decodes)
        control_output(c, &j->job, buffer_view(&payload), false);
    buffer_finish(&payload);
    return good ? WEIR_OK
                : weir_fail(err, WEIR_MODEL_FAILED, "the answer is longer than %zu bytes",
                            WIRE_PAYLOAD_MAX);
}

static void finish(struct fake_job *j, struct control *c)
{
    struct weir_error err;
    enum weir_code code = WEIR_OK;
    if (j->job.operation == WEIR_EMBED)
        code = answer_embed(j, c, &err);
    else if (j->job.operation != WEIR_GENERATE)
        code = answer_tokens_of(j, c, &err);
    end(j, c, code == WEIR_OK ? NULL : &err);
}

static bool is_asleep(struct fake_job *j, struct control *c, int64_t now_ms)
{
    if (j->sleep_until_ms == 0)
        return false;
    control_tick(c);
    if (now_ms < j->sleep_until_ms) {
        const int64_t left_ms = j->sleep_until_ms - now_ms;
        j->due_ms = now_ms + (left_ms < SLEEP_TICK_MS ? left_ms : SLEEP_TICK_MS);
        return true;
    }
    j->sleep_until_ms = 0;
    j->due_ms = now_ms + j->step_ms;
    return j->step_ms > 0;
}

/* Whether the step that is due was done; a parked job has done it and only waits for credit. */
static bool step(struct fake_job *j, struct control *c)
{
    if (!j->parked) {
        j->step++;
        control_tick(c);
        if (!behave(j, c))
            return false;
    }
    const bool streams = j->job.operation == WEIR_GENERATE;
    j->parked = streams && j->step % j->word_steps == 0 && !emit_word(j, c);
    return true;
}

bool job_advance(struct fake_job *j, struct control *c)
{
    const int64_t now_ms = clock_ms();
    if (control_cancelled(c, &j->job)) {
        struct weir_error err;
        refuse_cancelled(&err);
        end(j, c, &err);
        return false;
    }
    if (!j->parked && now_ms < j->due_ms)
        return true;
    if (is_asleep(j, c, now_ms))
        return true;
    if (!step(j, c))
        return j->due_ms == CONTROL_FOREVER;
    if (j->parked) {
        j->due_ms = CONTROL_FOREVER;
        return true;
    }
    if (j->step == j->steps) {
        finish(j, c);
        return false;
    }
    if (j->job.operation != WEIR_GENERATE)
        control_progress(c, &j->job, (uint32_t)j->step, (uint32_t)j->steps);
    /* From when it was due, so that steps do not drift; from now after a pause. */
    const int64_t from_ms =
        j->due_ms > now_ms || j->due_ms + j->step_ms < now_ms ? now_ms : j->due_ms;
    j->due_ms = from_ms + j->step_ms;
    return true;
}
