/* kernels_avx512.c — 16 floats at a time. Needs AVX-512 F, BW, VL and DQ.
 *
 * The tile is 12 rows × 2 vectors: 24 sums and two vectors of the panel of the 32 registers; the
 * broadcast of a row's number is part of the FMA. */
#include "tensor/cpu/intrinsics.h"
#include "tensor/cpu/kernels.h"
#include "tensor/cpu/poly.h"

#include <math.h>
#include <stdint.h>

enum { WIDTH = 16, TILE_ROWS = 12, TILE_VECTORS = 2, TILE_COLUMNS = TILE_VECTORS * WIDTH };

/* How far ahead of its use the panel is asked for: 8 KiB, 64 steps of k. */
enum { PREFETCH_FLOATS = 2048 };

#define INLINE       static inline __attribute__((always_inline))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The first `left` lanes; all of them from 16 on. */
INLINE __mmask16 lanes(size_t left)
{
    return (__mmask16)(left < WIDTH ? (1u << left) - 1 : 0xffff);
}

INLINE __m512 poly(__m512 x, const float *factors, size_t count)
{
    __m512 value = _mm512_set1_ps(factors[0]);
    for (size_t i = 1; i < count; i++)
        value = _mm512_fmadd_ps(value, x, _mm512_set1_ps(factors[i]));
    return value;
}

/* 2^whole · 2^part, whole in -126 … 127 and a whole number, part in [-½, ½]. */
INLINE __m512 exp2_of(__m512 whole, __m512 part)
{
    __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(whole), _mm512_set1_epi32(127));
    __m512 power = _mm512_castsi512_ps(_mm512_slli_epi32(biased, 23));
    return _mm512_mul_ps(poly(part, poly_exp2, COUNT(poly_exp2)), power);
}

INLINE __m512 round_of(__m512 x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT);
}

/* For x <= 0; relative error 2e-7. A NaN stays one: max returns its second operand then. */
INLINE __m512 exp_of(__m512 x)
{
    const __m512 log2e = _mm512_set1_ps(POLY_LOG2E);
    x = _mm512_max_ps(_mm512_set1_ps(POLY_EXP_LEAST), x);
    __m512 whole = round_of(_mm512_mul_ps(x, log2e));
    __m512 part = _mm512_fmsub_ps(x, log2e, whole);
    part = _mm512_fmadd_ps(x, _mm512_set1_ps(POLY_LOG2E_REST), part);
    return exp2_of(whole, part);
}

/* See poly.h; within 5e-7 · max(1, |x|). */
INLINE __m512 gelu_of(__m512 x)
{
    __m512 size = _mm512_abs_ps(x);
    __m512 inside = _mm512_min_ps(size, _mm512_set1_ps(POLY_PHI_END));
    __m512 at = _mm512_fmsub_ps(inside, _mm512_set1_ps(2 / POLY_PHI_END), _mm512_set1_ps(1));
    __m512 log2_phi = poly(at, poly_log2_phi, COUNT(poly_log2_phi));
    __m512 whole = round_of(log2_phi);
    __m512 phi = exp2_of(whole, _mm512_sub_ps(log2_phi, whole));
    return _mm512_fnmadd_ps(size, phi, _mm512_max_ps(x, _mm512_setzero_ps()));
}

INLINE void store_vector(const struct matmul_tile *t, size_t row, size_t column, __m512 sum)
{
    __mmask16 mask = lanes(t->columns - column);
    if (t->bias)
        sum = _mm512_add_ps(sum, _mm512_loadu_ps(t->bias + column));
    if (t->addend) {
        const float *addend = t->addend + row * t->addend_stride + column;
        sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, addend));
    }
    if (t->activation == ACTIVATION_GELU)
        sum = gelu_of(sum);
    _mm512_mask_storeu_ps(t->out + row * t->out_stride + column, mask, sum);
}

/* `rows` is a constant at every call, so that the sums live in registers. */
INLINE void tile_of(const struct matmul_tile *t, const size_t rows)
{
    __m512 sums[TILE_ROWS][TILE_VECTORS];
    const float *panel = t->panel;
    const float *a = t->a;
    const size_t depth = t->depth, stride = t->a_stride;
    UNROLL_ROWS
    for (size_t row = 0; row < rows; row++)
        sums[row][0] = sums[row][1] = _mm512_setzero_ps();
    for (size_t k = 0; k < depth; k++) {
        __m512 left = _mm512_loadu_ps(panel);
        __m512 right = _mm512_loadu_ps(panel + WIDTH);
        _mm_prefetch((const char *)(panel + PREFETCH_FLOATS), _MM_HINT_T0);
        _mm_prefetch((const char *)(panel + PREFETCH_FLOATS + WIDTH), _MM_HINT_T0);
        UNROLL_ROWS
        for (size_t row = 0; row < rows; row++) {
            __m512 x = _mm512_set1_ps(a[row * stride]);
            sums[row][0] = _mm512_fmadd_ps(x, left, sums[row][0]);
            sums[row][1] = _mm512_fmadd_ps(x, right, sums[row][1]);
        }
        panel += TILE_COLUMNS;
        a++;
    }
    UNROLL_ROWS
    for (size_t row = 0; row < rows; row++) {
        store_vector(t, row, 0, sums[row][0]);
        if (t->columns > WIDTH)
            store_vector(t, row, WIDTH, sums[row][1]);
    }
}

static void matmul_tile(const struct matmul_tile *t)
{
    switch (t->rows) {
    case 1: tile_of(t, 1); break;
    case 2: tile_of(t, 2); break;
    case 3: tile_of(t, 3); break;
    case 4: tile_of(t, 4); break;
    case 5: tile_of(t, 5); break;
    case 6: tile_of(t, 6); break;
    case 7: tile_of(t, 7); break;
    case 8: tile_of(t, 8); break;
    case 9: tile_of(t, 9); break;
    case 10: tile_of(t, 10); break;
    case 11: tile_of(t, 11); break;
    default: tile_of(t, TILE_ROWS); break;
    }
}

static float dot(const float *a, const float *b, size_t n)
{
    __m512 sum = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += WIDTH) {
        __mmask16 mask = lanes(n - i);
        sum = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, a + i),
                              _mm512_maskz_loadu_ps(mask, b + i), sum);
    }
    return _mm512_reduce_add_ps(sum);
}

static void add(float *out, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += WIDTH) {
        __mmask16 mask = lanes(n - i);
        __m512 v = _mm512_maskz_loadu_ps(mask, out + i);
        v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, x + i));
        _mm512_mask_storeu_ps(out + i, mask, v);
    }
}

static void scale(float *x, float factor, size_t n)
{
    const __m512 factors = _mm512_set1_ps(factor);
    for (size_t i = 0; i < n; i += WIDTH) {
        __mmask16 mask = lanes(n - i);
        _mm512_mask_storeu_ps(x + i, mask,
                              _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), factors));
    }
}

static float mean_of(const float *x, size_t n)
{
    __m512 sum = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += WIDTH)
        sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(lanes(n - i), x + i));
    return _mm512_reduce_add_ps(sum) / (float)n;
}

/* Takes the mean off x on the way. */
static float variance_of(float *x, size_t n, float mean)
{
    const __m512 means = _mm512_set1_ps(mean);
    __m512 sum = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += WIDTH) {
        __mmask16 mask = lanes(n - i);
        __m512 v = _mm512_maskz_sub_ps(mask, _mm512_maskz_loadu_ps(mask, x + i), means);
        sum = _mm512_fmadd_ps(v, v, sum);
        _mm512_mask_storeu_ps(x + i, mask, v);
    }
    return _mm512_reduce_add_ps(sum) / (float)n;
}

static void layer_norm(float *x, const float *gain, const float *shift, size_t n, float eps)
{
    if (n == 0)
        return;
    const __m512 factor = _mm512_set1_ps(1 / sqrtf(variance_of(x, n, mean_of(x, n)) + eps));
    for (size_t i = 0; i < n; i += WIDTH) {
        __mmask16 mask = lanes(n - i);
        __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), factor);
        v = _mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(mask, gain + i),
                            _mm512_maskz_loadu_ps(mask, shift + i));
        _mm512_mask_storeu_ps(x + i, mask, v);
    }
}

static void softmax(float *x, float factor, size_t n)
{
    const __m512 least = _mm512_set1_ps(-INFINITY);
    const __m512 factors = _mm512_set1_ps(factor);
    __m512 largest = least, sum = _mm512_setzero_ps();
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i += WIDTH)
        largest = _mm512_max_ps(largest, _mm512_mask_loadu_ps(least, lanes(n - i), x + i));
    largest = _mm512_set1_ps(_mm512_reduce_max_ps(largest));
    for (size_t i = 0; i < n; i += WIDTH) {
        __mmask16 mask = lanes(n - i);
        __m512 v = _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), largest);
        v = exp_of(_mm512_mul_ps(v, factors));
        sum = _mm512_mask_add_ps(sum, mask, sum, v);
        _mm512_mask_storeu_ps(x + i, mask, v);
    }
    scale(x, 1 / _mm512_reduce_add_ps(sum), n);
}

static void gelu(float *x, size_t n)
{
    for (size_t i = 0; i < n; i += WIDTH) {
        __mmask16 mask = lanes(n - i);
        _mm512_mask_storeu_ps(x + i, mask, gelu_of(_mm512_maskz_loadu_ps(mask, x + i)));
    }
}

const struct kernels kernels_avx512 = {
    .name = "avx512",
    .matmul = {.rows = TILE_ROWS, .columns = TILE_COLUMNS, .tile = matmul_tile},
    .dot = dot,
    .add = add,
    .scale = scale,
    .layer_norm = layer_norm,
    .softmax = softmax,
    .gelu = gelu,
};
