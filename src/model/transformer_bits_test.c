/* The forward pass on random weights, for every table, both precisions and odd shapes: against
 * plain loops in double precision, and the law that a state's bits depend on its sequence alone, on
 * both ways through a layer. */
#include "model/transformer.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/rand.h"
#include "tensor/team.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { VOCAB = 50, LAYERS = 2, TEAMS = 3, SEQUENCES = 64, LONGEST = 40, BATCH = 1200 };

struct shape {
    uint32_t hidden, heads, intermediate;
    enum activation activation;
    bool relative, padding;
};

static const struct shape shapes[] = {
    {64,   2, 100, ACTIVATION_GELU,      false, false},
    { 128, 2, 70,  ACTIVATION_GELU_TANH, true,  true },
    { 30,  3, 51,  ACTIVATION_RELU,      true,  false},
};

/* Weights as a file has them. */
struct matrix {
    size_t rows, columns;
    float *weight, *bias; /* [rows][columns], [rows] */
};

struct model {
    struct encoder_config config;
    struct matrix products[LAYERS][4]; /* qkv, mix, up, down */
    float *vectors[LAYERS][4];         /* the norms' gains and shifts, like in encoder_layer */
    float *words, *places, *padding, *gain, *shift, *relative;
};

struct rig {
    struct kernels kernels;
    struct encoder_layer layers[LAYERS];
    struct encoder_weights weights;
    void *blocks[LAYERS][4];
    struct team *teams[TEAMS];
    struct transformer *passes[TEAMS];
};

static int32_t ids[SEQUENCES][LONGEST];
static struct sequence sequences[SEQUENCES];

static float *numbers(struct rng *rng, size_t count, double middle, double spread)
{
    float *x = mem_new(count, sizeof(*x));
    for (size_t i = 0; i < count; i++)
        x[i] = (float)(middle + (rand_unit(rng) * 2 - 1) * spread);
    return x;
}

static void model_init(struct model *m, const struct shape *shape)
{
    const size_t hidden = shape->hidden;
    const size_t sides[4][2] = {
        {3 * hidden,           hidden             },
        { hidden,              hidden             },
        { shape->intermediate, hidden             },
        { hidden,              shape->intermediate}
    };
    struct rng rng;
    rand_seed(&rng, hidden);
    memset(m, 0, sizeof(*m));
    m->config = (struct encoder_config){ .hidden = shape->hidden,
                                         .layers = LAYERS,
                                         .heads = shape->heads,
                                         .intermediate = shape->intermediate,
                                         .vocab = VOCAB,
                                         .positions = LONGEST,
                                         .position_offset = shape->padding ? 2 : 0,
                                         .eps = 1e-5f,
                                         .activation = shape->activation,
                                         .tokens_max = LONGEST };
    m->words = numbers(&rng, VOCAB * hidden, 0, 1);
    m->places = numbers(&rng, LONGEST * hidden, 0, 1);
    m->padding = shape->padding ? numbers(&rng, hidden, 0, 1) : NULL;
    m->gain = numbers(&rng, hidden, 1, 0.2);
    m->shift = numbers(&rng, hidden, 0, 0.2);
    if (shape->relative)
        m->relative = numbers(&rng, shape->heads * (2 * LONGEST - 1), 0, 2);
    for (size_t i = 0; i < LAYERS * 4; i++) {
        struct matrix *w = &m->products[i / 4][i % 4];
        *w = (struct matrix){ .rows = sides[i % 4][0], .columns = sides[i % 4][1] };
        w->weight = numbers(&rng, w->rows * w->columns, 0, 1.5 / sqrt((double)w->columns));
        w->bias = numbers(&rng, w->rows, 0, 0.2);
        m->vectors[i / 4][i % 4] = numbers(&rng, hidden, i % 2 ? 0 : 1, 0.2);
    }
}

static void model_finish(struct model *m)
{
    float *all[] = { m->words, m->places, m->padding, m->gain, m->shift, m->relative };
    for (size_t i = 0; i < ARRAY_COUNT(all); i++)
        mem_free(all[i]);
    for (size_t i = 0; i < LAYERS * 4; i++) {
        mem_free(m->products[i / 4][i % 4].weight);
        mem_free(m->products[i / 4][i % 4].bias);
        mem_free(m->vectors[i / 4][i % 4]);
    }
}

static void *pack(struct packed *to, const struct matrix *w, const struct kernels *k,
                  enum precision precision, struct team *team)
{
    uint64_t bytes;
    struct tensor weight = {
        .dtype = DTYPE_F32,
        .rank = 2,
        .dims = {(int64_t)w->rows, (int64_t)w->columns},
        .data = w->weight
    };
    struct tensor bias = {
        .dtype = DTYPE_F32, .rank = 1, .dims = { (int64_t)w->rows }, .data = w->bias
    };
    CHECK(packed_bytes(k, precision, w->rows, w->columns, &bytes));
    void *block = mem_try_aligned(bytes, PACKED_ALIGNMENT);
    packed_view(to, k, precision, w->rows, w->columns, block);
    packed_fill(to, block, k, team, 0, &weight, &bias);
    return block;
}

static void rig_init(struct rig *r, const struct model *m, const struct kernels *k,
                     enum precision precision)
{
    memset(r, 0, sizeof(*r));
    r->kernels = *k;
    for (uint32_t i = 0; i < TEAMS; i++)
        r->teams[i] = team_create(i + 1, NULL);
    r->weights = (struct encoder_weights){
        .words = {.dtype = DTYPE_F32,
                  .rank = 2,
                  .dims = { VOCAB, m->config.hidden },
                  .data = m->words},
        .places = m->places,
        .padding = m->padding,
        .gain = m->gain,
        .shift = m->shift,
        .relative = m->relative,
        .layers = r->layers,
        .layer_count = LAYERS,
    };
    for (size_t i = 0; i < LAYERS; i++) {
        struct encoder_layer *layer = &r->layers[i];
        struct packed *const to[] = { &layer->qkv, &layer->mix, &layer->up, &layer->down };
        for (size_t j = 0; j < 4; j++)
            r->blocks[i][j] = pack(to[j], &m->products[i][j], k, precision, r->teams[1]);
        layer->mix_gain = m->vectors[i][0];
        layer->mix_shift = m->vectors[i][1];
        layer->down_gain = m->vectors[i][2];
        layer->down_shift = m->vectors[i][3];
    }
    for (size_t i = 0; i < TEAMS; i++)
        CHECK(transformer_create(&m->config, &r->weights, &r->kernels, r->teams[i], BATCH,
                                 &r->passes[i], NULL) == WEIR_OK);
}

static void rig_finish(struct rig *r)
{
    for (size_t i = 0; i < TEAMS; i++) {
        transformer_destroy(r->passes[i]);
        team_destroy(r->teams[i]);
    }
    for (size_t i = 0; i < LAYERS * 4; i++)
        mem_free(r->blocks[i / 4][i % 4]);
}

/* The reference: one sequence, plain loops, double. x is [count][hidden]. */
static void plain_norm(double *x, const float *gain, const float *shift, size_t n, double eps)
{
    double mean = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean) / (double)n;
    for (size_t i = 0; i < n; i++)
        x[i] = (x[i] - mean) / sqrt(squares + eps) * (double)gain[i] + (double)shift[i];
}

static void plain_product(const struct matrix *w, const double *from, double *to)
{
    for (size_t n = 0; n < w->rows; n++) {
        to[n] = (double)w->bias[n];
        for (size_t i = 0; i < w->columns; i++)
            to[n] += from[i] * (double)w->weight[n * w->columns + i];
    }
}

static double plain_activation(double x, enum activation activation)
{
    if (activation == ACTIVATION_RELU)
        return x > 0 ? x : 0;
    if (activation == ACTIVATION_GELU)
        return x / 2 * erfc(-x / sqrt(2));
    return x / 2 * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}

static void plain_attention(const struct model *m, const double *qkv, size_t count, double *out)
{
    const size_t hidden = m->config.hidden, heads = m->config.heads, dim = hidden / heads;
    for (size_t at = 0; at < count * heads; at++) {
        const size_t query = at / heads, head = at % heads;
        double scores[LONGEST], sum = 0;
        for (size_t key = 0; key < count; key++) {
            double dot = 0;
            for (size_t i = head * dim; i < (head + 1) * dim; i++)
                dot += qkv[query * 3 * hidden + i] * qkv[key * 3 * hidden + hidden + i];
            dot /= sqrt((double)dim);
            if (m->relative)
                dot += (double)m->relative[head * (2 * LONGEST - 1) + LONGEST - 1 + key - query];
            scores[key] = exp(dot);
            sum += scores[key];
        }
        for (size_t i = head * dim; i < (head + 1) * dim; i++) {
            out[query * hidden + i] = 0;
            for (size_t key = 0; key < count; key++)
                out[query * hidden + i] +=
                    scores[key] / sum * qkv[key * 3 * hidden + 2 * hidden + i];
        }
    }
}

static void plain_embed(const struct model *m, const struct sequence *s, double *x)
{
    const size_t hidden = m->config.hidden;
    size_t place = 0;
    for (size_t i = 0; i < s->count; i++) {
        const float *add = m->places + place * hidden;
        if (m->padding && s->ids[i] + 1 == (int32_t)m->config.position_offset)
            add = m->padding;
        else
            place++;
        for (size_t j = 0; j < hidden; j++)
            x[i * hidden + j] = (double)m->words[(size_t)s->ids[i] * hidden + j] + (double)add[j];
        plain_norm(x + i * hidden, m->gain, m->shift, hidden, (double)m->config.eps);
    }
}

static void plain_layer(const struct model *m, size_t layer, size_t count, double *x)
{
    static double qkv[LONGEST * 3 * 128], y[LONGEST * 128], wide[256], sum[128];
    const size_t hidden = m->config.hidden;
    const struct matrix *w = m->products[layer];
    float *const *v = m->vectors[layer];
    for (size_t i = 0; i < count; i++)
        plain_product(&w[0], x + i * hidden, qkv + i * 3 * hidden);
    plain_attention(m, qkv, count, y);
    for (size_t i = 0; i < count; i++) {
        double *row = x + i * hidden;
        plain_product(&w[1], y + i * hidden, sum);
        for (size_t j = 0; j < hidden; j++)
            row[j] += sum[j];
        plain_norm(row, v[0], v[1], hidden, (double)m->config.eps);
        plain_product(&w[2], row, wide);
        for (size_t j = 0; j < w[2].rows; j++)
            wide[j] = plain_activation(wide[j], m->config.activation);
        plain_product(&w[3], wide, sum);
        for (size_t j = 0; j < hidden; j++)
            row[j] += sum[j];
        plain_norm(row, v[2], v[3], hidden, (double)m->config.eps);
    }
}

/* The states of each sequence computed alone by one thread. */
static float alone[SEQUENCES][LONGEST * 128];

static void check_values(const struct model *m, const struct rig *r, enum precision precision,
                         size_t most)
{
    static double x[LONGEST * 128];
    const size_t hidden = m->config.hidden;
    for (size_t s = 0; s < most; s++) {
        const size_t count = sequences[s].count;
        const float *got = transformer_forward(r->passes[0], &sequences[s], 1, NULL, NULL);
        memcpy(alone[s], got, count * hidden * sizeof(*got));
        plain_embed(m, &sequences[s], x);
        for (size_t i = 0; i < LAYERS; i++)
            plain_layer(m, i, count, x);
        double dot = 0, length = 0, want = 0, worst = 0;
        for (size_t i = 0; i < count * hidden; i++) {
            dot += (double)got[i] * x[i];
            length += (double)got[i] * (double)got[i];
            want += x[i] * x[i];
            worst = fmax(worst, fabs((double)got[i] - x[i]));
        }
        if (precision == PRECISION_F32 ? !(worst <= 5e-5) : !(dot >= 0.999 * sqrt(length * want)))
            fail_msg("%s %s hidden %zu sequence %zu: off by %g, cosine %.6f", r->kernels.name,
                     precision_name(precision), hidden, s, worst, dot / sqrt(length * want));
    }
}

/* `count` sequences from `first` on in one batch, on each team. */
static void check_batch(const struct model *m, const struct rig *r, size_t first, size_t count)
{
    const size_t hidden = m->config.hidden;
    for (size_t team = 0; team < TEAMS; team++) {
        const float *got =
            transformer_forward(r->passes[team], &sequences[first], count, NULL, NULL);
        for (size_t s = first; s < first + count; s++) {
            const size_t n = sequences[s].count * hidden;
            if (memcmp(got, alone[s], n * sizeof(*got)) != 0)
                fail_msg("%s, %zu threads, hidden %zu: sequence %zu has other bits among %zu",
                         r->kernels.name, team + 1, hidden, s, count);
            got += n;
        }
    }
}

/* With so many sequences at most: enough for both ways through a layer. */
static void check_table(const struct kernels *k, size_t most)
{
    for (size_t i = 0; i < ARRAY_COUNT(shapes) * PRECISION_COUNT; i++) {
        const enum precision precision = (enum precision)(i % PRECISION_COUNT);
        struct model m;
        struct rig r;
        model_init(&m, &shapes[i / PRECISION_COUNT]);
        rig_init(&r, &m, k, precision);
        check_values(&m, &r, precision, most);
        check_batch(&m, &r, 0, most);
        for (size_t first = 0; first + 7 <= most; first += 19) {
            check_batch(&m, &r, first, 1);
            check_batch(&m, &r, first, 2);
            check_batch(&m, &r, first, 7);
        }
        rig_finish(&r);
        model_finish(&m);
    }
}

static void test_states_are_right_and_repeatable(void **state)
{
    static const char *const levels[] = { "scalar", "avx2", "avx512" };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(levels); i++) {
        struct kernels k;
        if (kernels_choose(levels[i], &k, NULL) == WEIR_OK)
            check_table(&k, i == 0 ? SEQUENCES / 4 : SEQUENCES);
        else
            print_message("this CPU has no %s: skipped\n", levels[i]);
    }
}

static void round_nothing(uint16_t *to, const float *from, size_t n)
{
    (void)to;
    (void)from;
    (void)n;
}

/* The bytes that the plan states, rebuilt here from the shapes. */
static void test_prices_are_exact(void **state)
{
    const struct encoder_config c = {
        .hidden = 10, .layers = 3, .heads = 2, .intermediate = 20, .positions = 50, .tokens_max = 9
    };
    struct kernels k;
    struct transformer_price price;
    (void)state;
    assert_int_equal(kernels_choose("scalar", &k, NULL), WEIR_OK);
    const size_t mr = k.matmul[PRECISION_F32].rows;
    assert_int_equal(k.matmul[PRECISION_F32].columns, 8);
    assert_true(transformer_price(&c, &k, PRECISION_F32, 100, &price));
    assert_int_equal(price.fixed_bytes, (832 + 4 * 100 * 5 * 10 + 63) / 64 * 64);
    const uint64_t block = 48 * 20 * 4, attention = 4 * (56 * 5 + 8 * 50 + mr * 56);
    assert_true(block > attention);
    assert_int_equal(price.per_thread_bytes, block);
    k.matmul[PRECISION_BF16].round = round_nothing; /* any: it says that rows are rounded */
    assert_true(transformer_price(&c, &k, PRECISION_BF16, 100, &price));
    assert_int_equal(price.per_thread_bytes, block + 48 * 20 * 2);
    assert_false(transformer_price(&c, &k, PRECISION_F32, SIZE_MAX / 2, &price));
}

static int make_sequences(void **state)
{
    struct rng rng;
    size_t tokens = 0;
    (void)state;
    rand_seed(&rng, 3);
    for (size_t s = 0; s < SEQUENCES; s++) {
        const size_t count = s == 1 ? LONGEST : 1 + (size_t)(rand_unit(&rng) * 6);
        for (size_t i = 0; i < count; i++)
            ids[s][i] = (int32_t)(rand_unit(&rng) * VOCAB);
        ids[s][count / 2] = s % 4 ? ids[s][count / 2] : 1; /* padding, where there is one */
        sequences[s] = (struct sequence){ .ids = ids[s], .count = count };
        tokens += count;
    }
    CHECK(tokens <= BATCH);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states_are_right_and_repeatable),
        cmocka_unit_test(test_prices_are_exact),
    };
    return cmocka_run_group_tests(tests, make_sequences, NULL);
}
