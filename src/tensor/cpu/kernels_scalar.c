/* kernels_scalar.c — the definition of correct. Written to be read; every other table is tested
 * against it. Sums are double so that what is compared is the other table's error, not ours. */
#include "tensor/cpu/kernels.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { TILE_ROWS = 4, TILE_COLUMNS = 8 };

static float gelu_of(float x)
{
    return (float)(0.5 * (double)x * erfc(-(double)x * 0.70710678118654752440));
}

static float gelu_tanh_of(float x)
{
    const double inner =
        0.79788456080286535588 * (double)x * (1 + 0.044715 * (double)x * (double)x);
    return (float)(0.5 * (double)x * (1 + tanh(inner)));
}

static float activated(float x, enum activation activation)
{
    switch (activation) {
    case ACTIVATION_NONE: break;
    case ACTIVATION_GELU: return gelu_of(x);
    case ACTIVATION_GELU_TANH: return gelu_tanh_of(x);
    case ACTIVATION_RELU: return x < 0 ? 0 : x;
    }
    return x;
}

static float f32_panel(const void *panel, size_t k, size_t column)
{
    return ((const float *)panel)[k * TILE_COLUMNS + column];
}

static float bf16_panel(const void *panel, size_t k, size_t column)
{
    const size_t half = TILE_COLUMNS / 2;
    const uint16_t *words = panel;
    float number;
    uint32_t bits = (uint32_t)words[k * TILE_COLUMNS + column % half * 2 + column / half] << 16;
    memcpy(&number, &bits, sizeof(number));
    return number;
}

static void tile_of(const struct matmul_tile *t, float (*weight)(const void *, size_t, size_t))
{
    for (size_t row = 0; row < t->rows; row++) {
        const float *a = (const float *)t->a + row * t->a_stride;
        for (size_t column = 0; column < t->columns; column++) {
            double sum = t->bias ? (double)t->bias[column] : 0;
            for (size_t k = 0; k < t->depth; k++)
                sum += (double)a[k] * (double)weight(t->panel, k, column);
            if (t->addend)
                sum += (double)t->addend[row * t->addend_stride + column];
            t->out[row * t->out_stride + column] = activated((float)sum, t->activation);
        }
    }
}

static void tile_f32(const struct matmul_tile *t)
{
    tile_of(t, f32_panel);
}

static void tile_bf16(const struct matmul_tile *t)
{
    tile_of(t, bf16_panel);
}

static uint64_t burn(uint64_t rounds)
{
    volatile double start = 1;
    double a = start, b = start, c = start, d = start, factor = start;
    for (uint64_t i = 0; i < rounds; i++) {
        a += factor * 0.5;
        b += factor * 0.25;
        c += factor * 0.125;
        d += factor * 0.0625;
        factor = factor * 0.999;
    }
    start = a + b + c + d;
    return rounds * 9;
}

static float dot(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return (float)sum;
}

static void add(float *out, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] += x[i];
}

static void scale(float *x, float factor, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] *= factor;
}

static void layer_norm(float *x, const float *gain, const float *shift, size_t n, float eps)
{
    double sum = 0, squares = 0;
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    double factor = 1 / sqrt(squares / (double)n + (double)eps);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(((double)x[i] - mean) * factor * (double)gain[i] + (double)shift[i]);
}

static float exp_sum(float *x, size_t n, float factor, const float *bias)
{
    float largest = -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)((double)x[i] * (double)factor + (bias ? (double)bias[i] : 0));
        largest = fmaxf(largest, x[i]);
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - largest);
        sum += (double)x[i];
    }
    return (float)sum;
}

static void activate(float *x, size_t n, enum activation activation)
{
    for (size_t i = 0; i < n; i++)
        x[i] = activated(x[i], activation);
}

static void transpose(float *to, size_t to_stride, const float *from, size_t from_stride,
                      size_t rows, size_t columns)
{
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++)
            to[j * to_stride + i] = from[i * from_stride + j];
    }
}

const struct kernels kernels_scalar = {
    .name = "scalar",
    .matmul = {
        [PRECISION_F32] = { "f32x8", TILE_ROWS, TILE_COLUMNS, tile_f32, NULL, burn },
        [PRECISION_BF16] = { "bf16x8", TILE_ROWS, TILE_COLUMNS, tile_bf16, NULL, burn },
    },
    .dot = dot,
    .add = add,
    .scale = scale,
    .layer_norm = layer_norm,
    .exp_sum = exp_sum,
    .activate = activate,
    .transpose = transpose,
};
