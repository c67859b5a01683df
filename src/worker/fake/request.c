#include "worker/fake/request.h"

#include "base/check.h"
#include "wire/image_embedding.h"
#include "wire/text_embedding.h"
#include "wire/tokens.h"
#include "wire/vision.h"
#include "worker/fake/answer.h"
#include "worker/fake/reply.h"
#include "worker/refuse.h"

#include <inttypes.h>

#define DRAW_SIDE 64 /* of a picture whose size is left to the model */

/* The first input that is an order counts. */
static enum weir_code obey(struct fake_job *j, const struct wire_input *inputs, size_t count,
                           struct weir_error *err)
{
    for (size_t i = 0; j->spec->script && i < count; i++) {
        if (inputs[i].kind == WIRE_TEXT && str_starts(inputs[i].data, STR("!")))
            return order_parse(inputs[i].data, &j->order, err);
    }
    return WEIR_OK;
}

static enum weir_code no_room(const struct fake_job *j, struct weir_error *err)
{
    return weir_fail(err, WEIR_NO_MEMORY, "no memory for the answer to %zu bytes",
                     j->job.payload.len);
}

/* ---- what is collected ---- */

static enum weir_code read_embed(struct fake_job *j, uint32_t dimensions, struct weir_error *err)
{
    j->dimensions = dimensions > 0 ? dimensions : j->spec->dim;
    if (j->dimensions > j->spec->dim)
        return refuse_dimensions(j->dimensions, j->spec->dim, err);
    for (size_t i = 0; i < j->count; i++) {
        const uint32_t tokens = answer_tokens(&j->inputs[i]);
        if (j->inputs[i].data.len == 0)
            return refuse_empty(i, err);
        if (tokens > SPEC_TOKENS_MAX && !j->truncate)
            return refuse_too_long(i, tokens, SPEC_TOKENS_MAX, err);
        j->usage.input_tokens += tokens < SPEC_TOKENS_MAX ? tokens : SPEC_TOKENS_MAX;
    }
    return obey(j, j->inputs, j->count, err);
}

static enum weir_code read_texts(struct fake_job *j, struct weir_error *err)
{
    struct text_embedding_request r;
    if (!text_embedding_request_read(j->job.payload, &j->arena, &r, err))
        return WEIR_INVALID;
    j->inputs = r.inputs;
    j->count = r.count;
    j->truncate = r.truncate;
    j->truncate_front = r.truncate_front;
    j->normalize = r.normalize;
    return read_embed(j, r.dimensions, err);
}

static enum weir_code read_images(struct fake_job *j, struct weir_error *err)
{
    struct image_embedding_request r;
    if (!image_embedding_request_read(j->job.payload, &j->arena, &r, err))
        return WEIR_INVALID;
    j->inputs = r.inputs;
    j->count = r.count;
    return read_embed(j, r.dimensions, err);
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
        j->usage.input_tokens +=
            wants_ids ? answer_tokens(&r.inputs[i]) : answer_words(r.inputs[i].data);
    }
    return obey(j, j->inputs, j->count, err);
}

/* ---- what is streamed: texts ---- */

static void append_part(struct buffer *out, const struct wire_input *part)
{
    if (part->kind == WIRE_IMAGE)
        return;
    buffer_text(out, out->len > 0 ? " " : "");
    if (part->kind == WIRE_IDS)
        answer_detokenize(out, part->data);
    else
        buffer_str(out, part->data);
}

/* What is to be answered: the prompt, or the last message of the user. */
static struct wire_message question_of(const struct generate_request *r)
{
    struct wire_message question = { .parts = &r->prompt, .count = 1 };
    if (r->messages_count > 0)
        question.count = 0;
    for (size_t i = 0; i < r->messages_count; i++) {
        if (r->messages[i].role == WIRE_ROLE_USER)
            question = r->messages[i];
    }
    return question;
}

/* Words of texts, ids, and one for each image. */
static uint64_t count_tokens(const struct wire_input *parts, size_t count)
{
    uint64_t tokens = 0;
    for (size_t i = 0; i < count; i++)
        tokens +=
            parts[i].kind == WIRE_TEXT ? answer_words(parts[i].data) : answer_tokens(&parts[i]);
    return tokens;
}

static bool say(struct fake_job *j, const struct wire_message *question, struct str last)
{
    struct buffer text;
    if (j->report[0] != '\0')
        return words_reversed(&j->arena, STR(""), str_of(j->report), &j->words);
    if (j->order.kind == ORDER_TOKENS)
        return words_numbered(&j->arena, j->order.count, &j->words);
    buffer_init(&text, WIRE_PAYLOAD_MAX * 2);
    for (size_t i = 0; i < question->count; i++)
        append_part(&text, &question->parts[i]);
    const bool good =
        !text.failed && words_reversed(&j->arena, buffer_view(&text), last, &j->words);
    buffer_finish(&text);
    return good;
}

/* `last`: one word more than the question has. */
static enum weir_code read_text(struct fake_job *j, const struct generate_request *r,
                                struct str last, struct weir_error *err)
{
    const struct wire_message question = question_of(r);
    for (size_t i = 0; i < r->messages_count; i++)
        j->usage.input_tokens += count_tokens(r->messages[i].parts, r->messages[i].count);
    if (r->messages_count == 0)
        j->usage.input_tokens = answer_tokens(&r->prompt);
    if (obey(j, question.parts, question.count, err) != WEIR_OK)
        return WEIR_INVALID;
    if (!say(j, &question, last))
        return no_room(j, err);
    words_stop(&j->words, r->stop, r->stop_count);
    if (r->tokens_max > 0 && words_limit(&j->words, r->tokens_max))
        j->usage.finish = WIRE_FINISH_LENGTH;
    j->pieces = j->words.count;
    return WEIR_OK;
}

static enum weir_code read_generate(struct fake_job *j, struct weir_error *err)
{
    struct generate_request r;
    if (!generate_request_read(j->job.payload, &j->arena, &r, err))
        return WEIR_INVALID;
    return read_text(j, &r, STR(""), err);
}

/* "images=2:89abcdef01234567": how many there were, and a hash over all of them in order. */
static enum weir_code read_describe(struct fake_job *j, struct weir_error *err)
{
    struct generate_request r;
    struct buffer hashes, word;
    if (!describe_request_read(j->job.payload, &j->arena, &r, err))
        return WEIR_INVALID;
    buffer_init(&hashes, WIRE_IMAGES_MAX * sizeof(uint64_t));
    buffer_init(&word, 100);
    for (size_t i = 0; i < r.messages_count; i++) {
        for (size_t k = 0; k < r.messages[i].count; k++) {
            if (r.messages[i].parts[k].kind == WIRE_IMAGE)
                buffer_u64(&hashes, str_hash(r.messages[i].parts[k].data));
        }
    }
    buffer_printf(&word, "images=%zu:%016" PRIx64, describe_request_images(&r),
                  str_hash(buffer_view(&hashes)));
    const enum weir_code code = read_text(j, &r, buffer_view(&word), err);
    buffer_finish(&hashes);
    buffer_finish(&word);
    return code;
}

/* ---- what is streamed: images ---- */

static enum weir_code read_draw(struct fake_job *j, struct weir_error *err)
{
    if (!draw_request_read(j->job.payload, &j->arena, &j->draw, err))
        return WEIR_INVALID;
    const struct wire_input prompt = { WIRE_TEXT, j->draw.prompt };
    if (prompt.data.len == 0)
        return refuse_empty(0, err);
    if (j->draw.width == 0)
        j->draw.width = DRAW_SIDE;
    if (j->draw.height == 0)
        j->draw.height = DRAW_SIDE;
    if (!j->draw.seeded)
        j->draw.seed = 0;
    j->piece_steps = j->draw.steps > 0 ? j->draw.steps : j->spec->steps;
    j->pieces = j->draw.count;
    j->usage.input_tokens = answer_words(j->draw.prompt) + answer_words(j->draw.negative_prompt);
    return obey(j, &prompt, 1, err);
}

static const struct operation operations[] = {
    {WEIR_TEXT_EMBEDDING,   WEIR_EMBED,      true,  read_texts,    NULL,          reply_vectors},
    { WEIR_TEXT_EMBEDDING,  WEIR_TOKENIZE,   true,  read_tokens,   NULL,          reply_ids    },
    { WEIR_TEXT_EMBEDDING,  WEIR_DETOKENIZE, true,  read_tokens,   NULL,          reply_texts  },
    { WEIR_TEXT_TO_TEXT,    WEIR_GENERATE,   false, read_generate, reply_word,    NULL         },
    { WEIR_TEXT_TO_TEXT,    WEIR_TOKENIZE,   true,  read_tokens,   NULL,          reply_ids    },
    { WEIR_TEXT_TO_TEXT,    WEIR_DETOKENIZE, true,  read_tokens,   NULL,          reply_texts  },
    { WEIR_IMAGE_EMBEDDING, WEIR_EMBED,      true,  read_images,   NULL,          reply_vectors},
    { WEIR_VISION,          WEIR_DESCRIBE,   false, read_describe, reply_word,    NULL         },
    { WEIR_TEXT_TO_IMAGE,   WEIR_DRAW,       true,  read_draw,     reply_picture, NULL         },
};

enum weir_code request_read(struct fake_job *j, struct weir_error *err)
{
    const struct worker_job *job = &j->job;
    for (size_t i = 0; i < ARRAY_COUNT(operations); i++) {
        if (operations[i].capability != job->capability ||
            operations[i].operation != job->operation || job->capability != j->spec->capability)
            continue;
        j->operation = &operations[i];
        const enum weir_code code = operations[i].read(j, err);
        /* What is no text cannot carry a report. */
        if (code == WEIR_OK && j->report[0] != '\0' && j->words.count == 0)
            return weir_fail(err, WEIR_MODEL_FAILED, "%s", j->report);
        return code;
    }
    return refuse_operation(job->capability, job->operation, err);
}
