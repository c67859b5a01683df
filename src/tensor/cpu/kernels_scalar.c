/* kernels_scalar.c — the definition of correct. Written to be read; every other table is tested
 * against it. Sums are double so that what is compared is the other table's error, not ours. */
#include "tensor/cpu/kernels.h"

#include <math.h>

enum { TILE_ROWS = 4, TILE_COLUMNS = 8 };

static float gelu_of(float x)
{
    return (float)(0.5 * (double)x * erfc(-(double)x * 0.70710678118654752440));
}

static float finish(const struct matmul_tile *t, size_t row, size_t column, double sum)
{
    if (t->bias)
        sum += (double)t->bias[column];
    if (t->addend)
        sum += (double)t->addend[row * t->addend_stride + column];
    return t->activation == ACTIVATION_GELU ? gelu_of((float)sum) : (float)sum;
}

static void matmul_tile(const struct matmul_tile *t)
{
    for (size_t row = 0; row < t->rows; row++) {
        const float *a = t->a + row * t->a_stride;
        for (size_t column = 0; column < t->columns; column++) {
            double sum = 0;
            for (size_t k = 0; k < t->depth; k++)
                sum += (double)a[k] * (double)t->panel[k * TILE_COLUMNS + column];
            t->out[row * t->out_stride + column] = finish(t, row, column, sum);
        }
    }
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

static void softmax(float *x, float factor, size_t n)
{
    float largest = -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmaxf(largest, x[i]);
    for (size_t i = 0; i < n; i++) {
        x[i] = expf((x[i] - largest) * factor);
        sum += (double)x[i];
    }
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((double)x[i] / sum);
}

static void gelu(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = gelu_of(x[i]);
}

const struct kernels kernels_scalar = {
    .name = "scalar",
    .matmul = {.rows = TILE_ROWS, .columns = TILE_COLUMNS, .tile = matmul_tile},
    .dot = dot,
    .add = add,
    .scale = scale,
    .layer_norm = layer_norm,
    .softmax = softmax,
    .gelu = gelu,
};
