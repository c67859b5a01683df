#include "model/attention.h"

#include "base/check.h"

#include <math.h>
#include <string.h>

/* Of a tile of any kernel. */
enum { ROWS_MOST = 16 };

static uint64_t rounded(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

/*  keys: [tokens / NR][dim][NR]    values: [dim / NR][tokens][NR]    scores: [MR][tokens]  */
uint64_t attention_scratch_floats(const struct kernels *k, uint64_t tokens, uint64_t dim)
{
    const uint64_t nr = k->matmul[PRECISION_F32].columns, row = rounded(tokens, nr);
    return row * dim + rounded(dim, nr) * tokens + k->matmul[PRECISION_F32].rows * row;
}

static void pack_keys(const struct attention *a, const struct kernels *k, size_t nr, float *panels)
{
    for (size_t first = 0; first < a->tokens; first += nr) {
        size_t used = a->tokens - first < nr ? a->tokens - first : nr;
        if (used < nr)
            memset(panels, 0, a->dim * nr * sizeof(*panels));
        k->transpose(panels, nr, a->key + first * a->stride, a->stride, used, a->dim);
        panels += a->dim * nr;
    }
}

static void pack_values(const struct attention *a, size_t nr, float *panels)
{
    for (size_t first = 0; first < a->dim; first += nr) {
        size_t used = a->dim - first < nr ? a->dim - first : nr;
        for (size_t token = 0; token < a->tokens; token++) {
            memcpy(panels, a->value + token * a->stride + first, used * sizeof(*panels));
            memset(panels + used, 0, (nr - used) * sizeof(*panels));
            panels += nr;
        }
    }
}

/* out = a × panelsᵀ for the few rows of one tile. */
static void multiply(struct matmul_tile t, const struct kernels *k, size_t columns)
{
    const size_t nr = k->matmul[PRECISION_F32].columns;
    t.ahead = t.panel; /* it is in the cache */
    for (size_t first = 0; first < columns; first += nr) {
        t.columns = columns - first < nr ? columns - first : nr;
        k->matmul[PRECISION_F32].tile(&t);
        t.panel = (const float *)t.panel + nr * t.depth;
        t.out += nr;
    }
}

void attention_run(const struct attention *a, const struct kernels *k, float *scratch)
{
    const size_t nr = k->matmul[PRECISION_F32].columns, mr = k->matmul[PRECISION_F32].rows;
    const size_t row = (size_t)rounded(a->tokens, nr);
    const float scale = 1 / sqrtf((float)a->dim);
    float sums[ROWS_MOST];
    float *keys = scratch;
    float *values = keys + row * a->dim;
    float *scores = values + (size_t)rounded(a->dim, nr) * a->tokens;
    CHECK(mr <= ROWS_MOST);
    pack_keys(a, k, nr, keys);
    pack_values(a, nr, values);
    struct matmul_tile score = {
        .a_stride = a->stride, .panel = keys, .depth = a->dim, .out = scores, .out_stride = row
    };
    struct matmul_tile mix = { .a = scores,
                               .a_stride = row,
                               .panel = values,
                               .depth = a->tokens,
                               .out_stride = a->out_stride };
    for (size_t first = 0; first < a->tokens; first += mr) {
        const size_t rows = a->tokens - first < mr ? a->tokens - first : mr;
        score.rows = mix.rows = rows;
        score.a = a->query + first * a->stride;
        mix.out = a->out + first * a->out_stride;
        multiply(score, k, a->tokens);
        for (size_t i = 0; i < rows; i++)
            sums[i] = k->exp_sum(scores + i * row, a->tokens, scale,
                                 a->bias ? a->bias - (first + i) : NULL);
        multiply(mix, k, a->dim);
        for (size_t i = 0; i < rows; i++)
            k->scale(mix.out + i * mix.out_stride, 1 / sums[i], a->dim);
    }
}
