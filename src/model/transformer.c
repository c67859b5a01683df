#include "model/transformer.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/size.h"
#include "model/attention.h"
#include "tensor/matmul.h"
#include "tensor/team.h"

#include <assert.h>

enum { ALIGNMENT = PACKED_ALIGNMENT };

/* A block of rows is as large as the cache of a core allows, of which what it makes of the widest
 * step should fill two thirds, but not so small that reading all weights for it costs more than
 * multiplying by them. */
enum { BLOCK_ROWS_LEAST = 24, BLOCK_ROWS_MOST = 48, BLOCK_BYTES = 320 * 1024 };

/* Up to so many rows a thread, less weight is read when columns are divided. */
enum { FEW_ROWS = 24 };

/* With few rows, a norm is worth its hand-over from about this many on. */
enum { NORM_ROWS = 16 };

/* Up to so many blocks a thread, their number is rounded up to the same for each. */
enum { EVEN_BLOCKS = 16 };

/* More tasks of attention than this for each thread are put together. */
enum { ATTENTION_TASKS = 32 };

struct transformer {
    const struct encoder_config *config;
    const struct encoder_weights *weights;
    const struct kernels *kernels;
    struct team *team;
    size_t batch_tokens;
    void *block;    /* the one allocation: all that follows lies in it */
    size_t *starts; /* [batch_tokens + 1]: the first token of each sequence */
    float *x;       /* [batch_tokens][hidden]: the tokens' states */
    float *y;       /* [batch_tokens][hidden]: attention's output */
    float *qkv;     /* [batch_tokens][3·hidden] */
    float *work;    /* [threads][work_floats]: a block's widest step, or attention's scratch */
    char *rounded;  /* [threads][rounded_bytes]: rows for kernels that want them rounded */
    size_t work_floats;
    size_t rounded_bytes;
    const struct sequence *sequences;
    size_t sequence_count;
    size_t tokens;
    /* How this pass is divided. */
    size_t blocks;
    size_t heads_a_task;
};

static uint64_t aligned(uint64_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t block_rows(const struct encoder_config *c)
{
    size_t rows = BLOCK_BYTES / ((size_t)c->intermediate * sizeof(float));
    if (rows > BLOCK_ROWS_MOST)
        rows = BLOCK_ROWS_MOST;
    return rows < BLOCK_ROWS_LEAST ? BLOCK_ROWS_LEAST : rows / BLOCK_ROWS_LEAST * BLOCK_ROWS_LEAST;
}

/* What each thread has for itself. With few rows the work of all threads together holds the widest
 * step of all rows; so it has room for at least FEW_ROWS, as BLOCK_ROWS_LEAST says. */
static_assert((int)FEW_ROWS <= (int)BLOCK_ROWS_LEAST, "few rows fit into the threads' blocks");

static uint64_t work_floats(const struct encoder_config *c, const struct kernels *k)
{
    uint64_t block = block_rows(c) * (uint64_t)c->intermediate;
    uint64_t attention = attention_scratch_floats(k, c->positions, c->hidden / c->heads);
    return aligned((block > attention ? block : attention) * sizeof(float)) / sizeof(float);
}

static uint64_t rounded_bytes(const struct encoder_config *c, const struct kernels *k,
                              enum precision precision)
{
    uint64_t depth = c->hidden > c->intermediate ? c->hidden : c->intermediate;
    return matmul_scratch_bytes(k, precision, depth);
}

bool transformer_price(const struct encoder_config *config, const struct kernels *k,
                       enum precision precision, size_t batch_tokens, struct transformer_price *out)
{
    uint64_t floats = 5 * (uint64_t)config->hidden, bytes;
    if (!size_mul(floats * sizeof(float), batch_tokens, &bytes) ||
        !size_add(bytes, aligned((batch_tokens + UINT64_C(1)) * sizeof(size_t)), &bytes) ||
        !size_add(bytes, ALIGNMENT - 1, &bytes))
        return false;
    *out = (struct transformer_price){
        .fixed_bytes = bytes / ALIGNMENT * ALIGNMENT,
        .per_thread_bytes =
            work_floats(config, k) * sizeof(float) + rounded_bytes(config, k, precision),
    };
    return true;
}

static enum precision precision_of(const struct transformer *t)
{
    return t->weights->layers[0].qkv.precision;
}

static enum weir_code take_block(struct transformer *t, struct weir_error *err)
{
    const struct encoder_config *c = t->config;
    const uint32_t threads = team_threads(t->team);
    struct transformer_price price;
    struct size_text text;
    uint64_t scratch = 0, bytes = 0;
    if (transformer_price(c, t->kernels, precision_of(t), t->batch_tokens, &price) &&
        size_mul(price.per_thread_bytes, threads, &scratch) &&
        size_add(price.fixed_bytes, scratch, &bytes))
        t->block = mem_try_aligned(bytes, ALIGNMENT);
    if (t->block == NULL)
        return weir_fail(err, WEIR_NO_MEMORY, "no memory for %s of scratch for %zu tokens",
                         size_format(bytes, &text), t->batch_tokens);
    t->work_floats = (size_t)work_floats(c, t->kernels);
    t->rounded_bytes = (size_t)rounded_bytes(c, t->kernels, precision_of(t));
    t->rounded = t->block;
    t->work = (float *)(void *)(t->rounded + threads * t->rounded_bytes);
    t->starts = (size_t *)(void *)(t->work + threads * t->work_floats);
    t->x = (float *)(void *)((char *)t->starts + aligned((t->batch_tokens + 1) * sizeof(size_t)));
    t->y = t->x + t->batch_tokens * c->hidden;
    t->qkv = t->y + t->batch_tokens * c->hidden;
    return WEIR_OK;
}

enum weir_code transformer_create(const struct encoder_config *config,
                                  const struct encoder_weights *weights, const struct kernels *k,
                                  struct team *team, size_t batch_tokens, struct transformer **out,
                                  struct weir_error *err)
{
    struct transformer *t = mem_new(1, sizeof(*t));
    t->config = config;
    t->weights = weights;
    t->kernels = k;
    t->team = team;
    t->batch_tokens = batch_tokens;
    enum weir_code code = take_block(t, err);
    if (code != WEIR_OK) {
        transformer_destroy(t);
        return code;
    }
    *out = t;
    return WEIR_OK;
}

void transformer_destroy(struct transformer *t)
{
    if (t == NULL)
        return;
    mem_free(t->block);
    mem_free(t);
}

static void norm_rows(const struct transformer *t, const float *gain, const float *shift,
                      size_t first, size_t end)
{
    const size_t hidden = t->config->hidden;
    for (size_t i = first; i < end; i++)
        t->kernels->layer_norm(t->x + i * hidden, gain, shift, hidden, t->config->eps);
}

/* One sequence's tokens: word + position and type, normed. Where padding is embedded in its own
 * way it takes no position: the tokens behind it go on counting. */
static void embed_task(void *context, uint32_t task, uint32_t thread)
{
    const struct transformer *t = context;
    const struct encoder_weights *w = t->weights;
    const struct sequence *s = &t->sequences[task];
    const size_t hidden = t->config->hidden, first = t->starts[task];
    const int64_t padding = (int64_t)t->config->position_offset - 1;
    const float *place = w->places;
    (void)thread;
    for (size_t i = 0; i < s->count; i++) {
        const bool pads = w->padding && s->ids[i] == padding;
        float *x = t->x + (first + i) * hidden;
        dtype_to_f32(w->words.dtype, tensor_row(&w->words, (size_t)s->ids[i]), x, hidden);
        t->kernels->add(x, pads ? w->padding : place, hidden);
        place += pads ? 0 : hidden;
    }
    norm_rows(t, w->gain, w->shift, first, first + s->count);
}

static void attend(const struct transformer *t, size_t sequence, size_t head, float *scratch)
{
    const size_t hidden = t->config->hidden, dim = hidden / t->config->heads;
    const size_t positions = t->config->positions;
    const float *row = t->qkv + t->starts[sequence] * 3 * hidden + head * dim;
    const float *relative = t->weights->relative;
    struct attention a = {
        .query = row,
        .key = row + hidden,
        .value = row + 2 * hidden,
        .stride = 3 * hidden,
        .out = t->y + t->starts[sequence] * hidden + head * dim,
        .out_stride = hidden,
        .tokens = t->sequences[sequence].count,
        .dim = dim,
        .bias = relative ? relative + head * (2 * positions - 1) + positions - 1 : NULL,
    };
    attention_run(&a, t->kernels, scratch);
}

/* Some heads of one sequence. */
static void attention_task(void *context, uint32_t task, uint32_t thread)
{
    const struct transformer *t = context;
    const size_t heads = t->config->heads;
    const size_t groups = (heads + t->heads_a_task - 1) / t->heads_a_task;
    const size_t first = task % groups * t->heads_a_task;
    for (size_t i = first; i < first + t->heads_a_task && i < heads; i++)
        attend(t, task / groups, i, t->work + thread * t->work_floats);
}

static void attention(const struct transformer *t)
{
    const size_t heads = t->config->heads;
    const size_t groups = (heads + t->heads_a_task - 1) / t->heads_a_task;
    team_run(t->team, attention_task, (void *)t, (uint32_t)(t->sequence_count * groups));
}

/* Rows of `from` times the weights; `from` and `to` hold just these rows. */
static struct matmul product(const struct transformer *t, const struct packed *weights,
                             const float *from, float *to, size_t rows)
{
    return (struct matmul){ .weights = weights,
                            .a = from,
                            .a_stride = weights->depth,
                            .rows = rows,
                            .out = to,
                            .out_stride = weights->columns,
                            .scratch = t->rounded };
}

/* x += what the weights make of `from`. */
static struct matmul added(const struct transformer *t, const struct packed *weights,
                           const float *from, float *x, size_t rows)
{
    struct matmul m = product(t, weights, from, x, rows);
    m.addend = x;
    m.addend_stride = weights->columns;
    return m;
}

static struct matmul widened(const struct transformer *t, const struct packed *weights,
                             const float *from, float *to, size_t rows)
{
    struct matmul m = product(t, weights, from, to, rows);
    m.activation = t->config->activation;
    return m;
}

/* One region of row-wise work: what follows attention in a layer, then query, key and value for the
 * next one. Either may be missing. */
struct row_work {
    const struct transformer *t;
    const struct encoder_layer *after;  /* the layer whose attention has been computed, or NULL */
    const struct encoder_layer *before; /* the layer whose attention comes next, or NULL */
};

static void alone(const struct transformer *t, struct matmul m, uint32_t thread)
{
    m.scratch = t->rounded + thread * t->rounded_bytes;
    matmul_alone(&m, t->kernels);
}

static void block_task(void *context, uint32_t task, uint32_t thread)
{
    const struct row_work *w = context;
    const struct transformer *t = w->t;
    const struct encoder_layer *layer = w->after;
    const size_t hidden = t->config->hidden;
    const size_t first = t->tokens * task / t->blocks;
    const size_t end = t->tokens * (task + (size_t)1) / t->blocks, rows = end - first;
    float *x = t->x + first * hidden, *wide = t->work + thread * t->work_floats;
    if (layer) {
        alone(t, added(t, &layer->mix, t->y + first * hidden, x, rows), thread);
        norm_rows(t, layer->mix_gain, layer->mix_shift, first, end);
        alone(t, widened(t, &layer->up, x, wide, rows), thread);
        alone(t, added(t, &layer->down, wide, x, rows), thread);
        norm_rows(t, layer->down_gain, layer->down_shift, first, end);
    }
    if (w->before)
        alone(t, product(t, &w->before->qkv, x, t->qkv + first * 3 * hidden, rows), thread);
}

/* The same with few rows: each step by the whole team. */
struct few_norm {
    const struct transformer *t;
    const float *gain, *shift;
};

static void norm_task(void *context, uint32_t task, uint32_t thread)
{
    const struct few_norm *n = context;
    const size_t first = (size_t)task * NORM_ROWS;
    const size_t left = n->t->tokens - first;
    (void)thread;
    norm_rows(n->t, n->gain, n->shift, first, first + (left < NORM_ROWS ? left : NORM_ROWS));
}

static void norm(const struct transformer *t, const float *gain, const float *shift)
{
    struct few_norm n = { .t = t, .gain = gain, .shift = shift };
    team_run(t->team, norm_task, &n, (uint32_t)((t->tokens + NORM_ROWS - 1) / NORM_ROWS));
}

static void together(const struct transformer *t, struct matmul m)
{
    matmul_run(&m, t->kernels, t->team);
}

static void run_few(const struct row_work *w)
{
    const struct transformer *t = w->t;
    const struct encoder_layer *layer = w->after;
    if (layer) {
        together(t, added(t, &layer->mix, t->y, t->x, t->tokens));
        norm(t, layer->mix_gain, layer->mix_shift);
        together(t, widened(t, &layer->up, t->x, t->work, t->tokens));
        together(t, added(t, &layer->down, t->work, t->x, t->tokens));
        norm(t, layer->down_gain, layer->down_shift);
    }
    if (w->before)
        together(t, product(t, &w->before->qkv, t->x, t->qkv, t->tokens));
}

/* `blocks` 0: few rows. */
static void run_rows(const struct transformer *t, const struct encoder_layer *after,
                     const struct encoder_layer *before)
{
    struct row_work work = { .t = t, .after = after, .before = before };
    if (t->blocks == 0)
        run_few(&work);
    else
        team_run(t->team, block_task, &work, (uint32_t)t->blocks);
}

static void place_sequences(struct transformer *t, const struct sequence *sequences, size_t count)
{
    t->sequences = sequences;
    t->sequence_count = count;
    t->tokens = 0;
    CHECK(count <= t->batch_tokens);
    for (size_t i = 0; i < count; i++) {
        CHECK(sequences[i].count > 0 && sequences[i].count <= t->config->tokens_max);
        CHECK(sequences[i].count <= t->batch_tokens - t->tokens);
        t->starts[i] = t->tokens;
        t->tokens += sequences[i].count;
    }
    t->starts[count] = t->tokens;
}

/* Blocks are equal, and where they are not many each thread gets the same number of them. */
static void divide(struct transformer *t)
{
    const size_t most = block_rows(t->config), threads = team_share(t->team);
    const size_t tasks = t->sequence_count * t->config->heads;
    t->heads_a_task = 1 + tasks / (ATTENTION_TASKS * threads);
    if (t->heads_a_task > t->config->heads)
        t->heads_a_task = t->config->heads;
    t->blocks = (t->tokens + most - 1) / most;
    if (threads > 1 && t->tokens <= FEW_ROWS * threads)
        t->blocks = 0;
    else if (t->blocks < EVEN_BLOCKS * threads)
        t->blocks = (t->blocks + threads - 1) / threads * threads;
}

const float *transformer_forward(struct transformer *t, const struct sequence *sequences,
                                 size_t count, void (*tick)(void *context), void *context)
{
    const struct encoder_weights *w = t->weights;
    place_sequences(t, sequences, count);
    divide(t);
    team_run(t->team, embed_task, t, (uint32_t)count);
    run_rows(t, NULL, &w->layers[0]);
    for (uint32_t i = 0; i < w->layer_count; i++) {
        attention(t);
        run_rows(t, &w->layers[i], i + 1 < w->layer_count ? &w->layers[i + 1] : NULL);
        if (tick)
            tick(context);
    }
    return t->x;
}
