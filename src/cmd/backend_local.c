/* backend_local.c — embed and tokenize by the pool inside the command. */
#include "base/check.h"
#include "base/mem.h"
#include "base/size.h"
#include "cmd/backend.h"
#include "cmd/local_models.h"
#include "cmd/pool.h"

#include <string.h>

struct local {
    struct backend base;
    struct pool *pool;
};

static struct local *local_of(struct backend *b)
{
    return CONTAINER_OF(b, struct local, base);
}

/* Caller frees with mem_free. */
static struct weir_input *inputs_of(const struct str *texts, size_t count)
{
    struct weir_input *const inputs = mem_new(count > 0 ? count : 1, sizeof(*inputs));
    for (size_t i = 0; i < count; i++)
        inputs[i] = (struct weir_input){ .size = sizeof(struct weir_input),
                                         .kind = WEIR_INPUT_TEXT,
                                         .data = texts[i].data,
                                         .bytes = texts[i].len };
    return inputs;
}

/* Copies the one collected answer; leaves `out` empty when there is no memory for it. */
static void take_vectors(void *context, const struct weir_output *output)
{
    struct embeddings *const out = context;
    uint64_t numbers;
    if (!size_mul(output->rows, output->dim, &numbers))
        return;
    out->vectors = mem_try(numbers > 0 ? (size_t)numbers : 1, sizeof(float));
    if (out->vectors == NULL)
        return;
    out->tokens = mem_new(output->rows + 1, sizeof(*out->tokens));
    out->rows = output->rows;
    out->dim = output->dim;
    if (numbers > 0)
        memcpy(out->vectors, output->vectors, (size_t)numbers * sizeof(float));
    if (output->rows > 0)
        memcpy(out->tokens, output->tokens, output->rows * sizeof(*out->tokens));
}

static enum weir_code local_embed(struct backend *b, const struct str *texts, size_t count,
                                  const struct embed_choice *choice, struct embeddings *out,
                                  struct weir_error *err)
{
    struct weir_input *const inputs = inputs_of(texts, count);
    const struct weir_embed embed = { .size = sizeof(embed),
                                      .inputs = inputs,
                                      .count = count,
                                      .truncate = choice->truncate ? WEIR_TRUNCATE_CUT
                                                                   : WEIR_TRUNCATE_AS_MODEL,
                                      .dimensions = choice->dimensions,
                                      .prompt_name = choice->prompt };
    *out = (struct embeddings){ 0 };
    enum weir_code code = pool_run(local_of(b)->pool, WEIR_EMBED, &embed, take_vectors, out, err);
    mem_free(inputs);
    if (code == WEIR_OK && out->rows != count)
        code = weir_fail(err, WEIR_INTERNAL, "%zu texts gave %zu vectors", count, out->rows);
    if (code != WEIR_OK)
        embeddings_finish(out);
    return code;
}

static void take_tokens(void *context, const struct weir_output *output)
{
    struct buffer *const lines = context;
    for (size_t r = 0; r < output->rows; r++) {
        const size_t start = output->starts[r], count = output->starts[r + 1] - start;
        struct str *const pieces = mem_new(count + 1, sizeof(*pieces));
        for (size_t i = 0; i < count; i++)
            pieces[i] =
                (struct str){ output->pieces[start + i].data, output->pieces[start + i].bytes };
        line_tokens(lines, output->ids + start, pieces, count);
        mem_free(pieces);
    }
}

static enum weir_code local_tokenize(struct backend *b, const struct str *texts, size_t count,
                                     bool special, struct buffer *lines, struct weir_error *err)
{
    struct weir_input *const inputs = inputs_of(texts, count);
    const struct weir_tokenize tokenize = {
        .size = sizeof(tokenize), .inputs = inputs, .count = count, .no_special_tokens = !special
    };
    const enum weir_code code =
        pool_run(local_of(b)->pool, WEIR_TOKENIZE, &tokenize, take_tokens, lines, err);
    mem_free(inputs);
    return code;
}

static void take_text(void *context, const struct weir_output *output)
{
    line_text(context, (struct str){ output->text, output->bytes });
}

static enum weir_code local_detokenize(struct backend *b, const int32_t *ids, size_t count,
                                       struct buffer *lines, struct weir_error *err)
{
    const struct weir_input input = {
        .size = sizeof(input), .kind = WEIR_INPUT_IDS, .data = ids, .bytes = count * sizeof(*ids)
    };
    const struct weir_tokenize detokenize = { .size = sizeof(detokenize),
                                              .inputs = &input,
                                              .count = 1 };
    return pool_run(local_of(b)->pool, WEIR_DETOKENIZE, &detokenize, take_text, lines, err);
}

static void local_close(struct backend *b)
{
    struct local *const l = local_of(b);
    pool_close(l->pool);
    mem_free(l);
}

static const struct backend_ops ops = {
    .name = "local",
    .embed = local_embed,
    .tokenize = local_tokenize,
    .detokenize = local_detokenize,
    .close = local_close,
};

enum weir_code backend_local_open(const char *model, const struct pool_settings *settings,
                                  struct backend **out, struct weir_error *err)
{
    struct pool_settings filled = *settings;
    struct pool *pool;
    const enum weir_code code = local_models_open(model, &filled, &pool, err);
    if (code != WEIR_OK)
        return code;
    struct local *const l = mem_new(1, sizeof(*l));
    *l = (struct local){ .base = { .ops = &ops }, .pool = pool };
    *out = &l->base;
    return WEIR_OK;
}
