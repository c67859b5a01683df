#include "model/transformer.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/size.h"
#include "model/attention.h"
#include "tensor/team.h"

#include <math.h>
#include <string.h>

enum { ALIGNMENT = 64 };

/* A task of row-wise work is worth its hand-over from about this many rows on. */
enum { ROWS_PER_TASK = 16 };

struct transformer {
    const struct encoder_config *config;
    const struct encoder_weights *weights;
    const struct kernels *kernels;
    struct team *team;
    size_t batch_tokens;
    void *block;    /* the one allocation: all that follows lies in it */
    float *x;       /* [batch_tokens][hidden]: the tokens' state between the steps */
    float *y;       /* [batch_tokens][hidden]: attention's output; at the end the vectors */
    float *wide;    /* [batch_tokens][max(3·hidden, intermediate)] */
    float *scratch; /* [threads][scratch_floats]: attention's */
    uint64_t scratch_floats;
    size_t *starts; /* [sequences + 1]: the first token of each */
    const struct sequence *sequences;
    size_t sequence_count;
    size_t tokens;
};

static uint64_t wide_of(const struct encoder_config *c)
{
    uint64_t qkv = 3 * (uint64_t)c->hidden;
    return qkv > c->intermediate ? qkv : c->intermediate;
}

/* The block holds, from its start, the places of the sequences and then the floats. */
static uint64_t starts_bytes(uint64_t batch_tokens)
{
    return ((batch_tokens + 1) * sizeof(size_t) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

bool transformer_price(const struct encoder_config *config, const struct kernels *k,
                       size_t batch_tokens, struct transformer_price *out)
{
    uint64_t floats = 2 * (uint64_t)config->hidden + wide_of(config), bytes;
    uint64_t scratch =
        attention_scratch_floats(k, config->positions, config->hidden / config->heads);
    if (!size_mul(floats * sizeof(float), batch_tokens, &bytes) ||
        !size_add(bytes, starts_bytes(batch_tokens), &bytes))
        return false;
    *out = (struct transformer_price){ .fixed_bytes = bytes,
                                       .per_thread_bytes = scratch * sizeof(float) };
    return true;
}

static enum weir_code take_block(struct transformer *b, struct weir_error *err)
{
    const struct encoder_config *c = b->config;
    struct transformer_price price;
    struct size_text text;
    uint64_t scratch = 0, bytes = 0;
    if (transformer_price(c, b->kernels, b->batch_tokens, &price) &&
        size_mul(price.per_thread_bytes, team_threads(b->team), &scratch) &&
        size_add(price.fixed_bytes, scratch, &bytes))
        b->block = mem_try_aligned(bytes, ALIGNMENT);
    if (b->block == NULL)
        return weir_fail(err, WEIR_NO_MEMORY, "no memory for %s of scratch for %zu tokens",
                         size_format(bytes, &text), b->batch_tokens);
    b->starts = b->block;
    b->x = (void *)((char *)b->block + starts_bytes(b->batch_tokens));
    b->y = b->x + b->batch_tokens * c->hidden;
    b->wide = b->y + b->batch_tokens * c->hidden;
    b->scratch = b->wide + b->batch_tokens * wide_of(c);
    b->scratch_floats = price.per_thread_bytes / sizeof(float);
    return WEIR_OK;
}

enum weir_code transformer_create(const struct encoder_config *config,
                                  const struct encoder_weights *weights, const struct kernels *k,
                                  struct team *team, size_t batch_tokens, struct transformer **out,
                                  struct weir_error *err)
{
    struct transformer *b = mem_new(1, sizeof(*b));
    b->config = config;
    b->weights = weights;
    b->kernels = k;
    b->team = team;
    b->batch_tokens = batch_tokens;
    enum weir_code code = take_block(b, err);
    if (code != WEIR_OK) {
        transformer_destroy(b);
        return code;
    }
    *out = b;
    return WEIR_OK;
}

void transformer_destroy(struct transformer *b)
{
    if (b == NULL)
        return;
    mem_free(b->block);
    mem_free(b);
}

/* Row-wise work in equal pieces. */
struct rows {
    const struct transformer *b;
    const float *gain, *shift;
};

static uint32_t rows_tasks(const struct transformer *b)
{
    return (uint32_t)((b->tokens + ROWS_PER_TASK - 1) / ROWS_PER_TASK);
}

static void norm_task(void *context, uint32_t task, uint32_t thread)
{
    const struct rows *r = context;
    const struct transformer *b = r->b;
    const size_t hidden = b->config->hidden;
    size_t end = ((size_t)task + 1) * ROWS_PER_TASK;
    (void)thread;
    for (size_t i = (size_t)task * ROWS_PER_TASK; i < end && i < b->tokens; i++)
        b->kernels->layer_norm(b->x + i * hidden, r->gain, r->shift, hidden, b->config->eps);
}

static void norm(const struct transformer *b, const float *gain, const float *shift)
{
    struct rows r = { .b = b, .gain = gain, .shift = shift };
    team_run(b->team, norm_task, &r, rows_tasks(b));
}

/* One sequence's tokens: word + position and type, normed. */
static void embed_task(void *context, uint32_t task, uint32_t thread)
{
    const struct transformer *b = context;
    const struct encoder_weights *w = b->weights;
    const struct sequence *s = &b->sequences[task];
    const size_t hidden = b->config->hidden;
    float *x = b->x + b->starts[task] * hidden;
    (void)thread;
    for (size_t i = 0; i < s->count; i++, x += hidden) {
        dtype_to_f32(w->words.dtype, tensor_row(&w->words, (size_t)s->ids[i]), x, hidden);
        b->kernels->add(x, w->places + i * hidden, hidden);
        b->kernels->layer_norm(x, w->gain, w->shift, hidden, b->config->eps);
    }
}

static void attention_task(void *context, uint32_t task, uint32_t thread)
{
    const struct transformer *b = context;
    const size_t hidden = b->config->hidden, heads = b->config->heads;
    const size_t dim = hidden / heads;
    const size_t sequence = task / heads, head = task % heads;
    const float *row = b->wide + b->starts[sequence] * 3 * hidden + head * dim;
    struct attention a = {
        .query = row,
        .key = row + hidden,
        .value = row + 2 * hidden,
        .stride = 3 * hidden,
        .out = b->y + b->starts[sequence] * hidden + head * dim,
        .out_stride = hidden,
        .tokens = b->sequences[sequence].count,
        .dim = dim,
    };
    attention_run(&a, b->kernels, b->scratch + thread * b->scratch_floats);
}

/* x += what the weights make of `from`. */
static void add_product(const struct transformer *b, const struct packed *weights,
                        const float *from)
{
    struct matmul m = {
        .weights = weights,
        .a = from,
        .a_stride = weights->depth,
        .rows = b->tokens,
        .addend = b->x,
        .addend_stride = b->config->hidden,
        .out = b->x,
        .out_stride = b->config->hidden,
    };
    matmul_run(&m, b->kernels, b->team);
}

static void widen(const struct transformer *b, const struct packed *weights,
                  enum activation activation)
{
    struct matmul m = {
        .weights = weights,
        .a = b->x,
        .a_stride = b->config->hidden,
        .rows = b->tokens,
        .out = b->wide,
        .out_stride = weights->columns,
        .activation = activation,
    };
    matmul_run(&m, b->kernels, b->team);
}

static void run_layer(struct transformer *b, const struct encoder_layer *layer)
{
    widen(b, &layer->qkv, ACTIVATION_NONE);
    team_run(b->team, attention_task, b, (uint32_t)(b->sequence_count * b->config->heads));
    add_product(b, &layer->mix, b->y);
    norm(b, layer->mix_gain, layer->mix_shift);
    widen(b, &layer->up, ACTIVATION_GELU);
    add_product(b, &layer->down, b->wide);
    norm(b, layer->down_gain, layer->down_shift);
}

static void pool_task(void *context, uint32_t task, uint32_t thread)
{
    const struct transformer *b = context;
    const struct kernels *k = b->kernels;
    const size_t hidden = b->config->hidden, count = b->sequences[task].count;
    const float *x = b->x + b->starts[task] * hidden;
    float *out = b->y + task * hidden;
    (void)thread;
    memcpy(out, x, hidden * sizeof(*out));
    for (size_t i = 1; i < count; i++)
        k->add(out, x + i * hidden, hidden);
    k->scale(out, 1 / (float)count, hidden);
    float length = sqrtf(k->dot(out, out, hidden));
    k->scale(out, 1 / fmaxf(length, 1e-12f), hidden);
}

static void place_sequences(struct transformer *b, const struct sequence *sequences, size_t count)
{
    b->sequences = sequences;
    b->sequence_count = count;
    b->tokens = 0;
    CHECK(count <= b->batch_tokens);
    for (size_t i = 0; i < count; i++) {
        CHECK(sequences[i].count > 0 && sequences[i].count <= b->config->tokens_max);
        CHECK(sequences[i].count <= b->batch_tokens - b->tokens);
        b->starts[i] = b->tokens;
        b->tokens += sequences[i].count;
    }
    b->starts[count] = b->tokens;
}

const float *transformer_forward(struct transformer *b, const struct sequence *sequences,
                                 size_t count, void (*tick)(void *context), void *context)
{
    place_sequences(b, sequences, count);
    team_run(b->team, embed_task, b, (uint32_t)count);
    for (uint32_t i = 0; i < b->weights->layer_count; i++) {
        run_layer(b, &b->weights->layers[i]);
        if (tick)
            tick(context);
    }
    team_run(b->team, pool_task, b, (uint32_t)count);
    return b->y;
}
