/* kernels_avx512.c — 16 floats at a time. Needs AVX-512 F, BW, VL and DQ; the small table
 * at the end needs BF16 as well.
 *
 * The tile is 12 rows × 2 vectors: 24 sums, two vectors of the panel and a row's number in the 32
 * registers. */
#include "tensor/cpu/intrinsics.h"
#include "tensor/cpu/kernels.h"
#include "tensor/cpu/poly.h"
#include "tensor/dtype.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { WIDTH = 16, TILE_ROWS = 12, TILE_VECTORS = 2, TILE_COLUMNS = TILE_VECTORS * WIDTH };

#define INLINE       static inline __attribute__((always_inline))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The first `left` lanes; all of them from 16 on. */
INLINE __mmask16 lanes(size_t left)
{
    return (__mmask16)(left < WIDTH ? (1u << left) - 1 : 0xffff);
}

/* Even and odd powers apart: half of the waiting. */
INLINE __m512 poly(__m512 x, const float *factors, size_t count)
{
    const __m512 square = _mm512_mul_ps(x, x);
    __m512 high = _mm512_set1_ps(factors[0]), low = _mm512_set1_ps(factors[1]);
    size_t i = 2;
    for (; i + 1 < count; i += 2) {
        high = _mm512_fmadd_ps(high, square, _mm512_set1_ps(factors[i]));
        low = _mm512_fmadd_ps(low, square, _mm512_set1_ps(factors[i + 1]));
    }
    if (i == count)
        return _mm512_fmadd_ps(high, x, low);
    high = _mm512_fmadd_ps(high, square, _mm512_set1_ps(factors[i]));
    return _mm512_fmadd_ps(low, x, high);
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

/* x · σ(2u), u = √(2/π) · (x + 0.044715 x³). Of exp only the falling side is asked, e = exp(−2|u|):
 * σ(2u) is 1 / (1 + e) for x > 0 and e / (1 + e) for the rest. Within 5e-7 · max(1, |x|). */
INLINE __m512 gelu_tanh_of(__m512 x)
{
    const __m512 zero = _mm512_setzero_ps();
    __m512 rate = _mm512_fmadd_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(POLY_TANH_CUBIC),
                                  _mm512_set1_ps(POLY_TANH_LINEAR));
    __m512 e = exp_of(_mm512_mul_ps(_mm512_abs_ps(x), rate));
    __m512 upper = _mm512_fmadd_ps(_mm512_min_ps(zero, x), e, _mm512_max_ps(zero, x));
    return _mm512_div_ps(upper, _mm512_add_ps(e, _mm512_set1_ps(1)));
}

INLINE __m512 activated(__m512 x, enum activation activation)
{
    switch (activation) {
    case ACTIVATION_NONE: break;
    case ACTIVATION_GELU: return gelu_of(x);
    case ACTIVATION_GELU_TANH: return gelu_tanh_of(x);
    case ACTIVATION_RELU: return _mm512_max_ps(_mm512_setzero_ps(), x);
    }
    return x;
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
    _mm512_mask_storeu_ps(t->out + row * t->out_stride + column, mask, sum);
}

static void activate(float *x, size_t n, enum activation activation);

/* What is in the first-level cache is gone through once more: each tile's code stays small. */
static void activate_tile(const struct matmul_tile *t)
{
    if (t->activation == ACTIVATION_NONE)
        return;
    for (size_t row = 0; row < t->rows; row++)
        activate(t->out + row * t->out_stride, t->columns, t->activation);
}

/* The numbers of all columns at one k. BF16 numbers are the upper halves of F32. */
INLINE void panel_of(const char *panel, const enum precision precision, __m512 *left, __m512 *right)
{
    if (precision == PRECISION_F32) {
        *left = _mm512_loadu_ps((const float *)(const void *)panel);
        *right = _mm512_loadu_ps((const float *)(const void *)panel + WIDTH);
        return;
    }
    __m512i both = _mm512_loadu_si512(panel);
    *left = _mm512_castsi512_ps(_mm512_slli_epi32(both, 16));
    *right = _mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32((int)0xffff0000)));
}

/* `rows` and `precision` are constants at every call, so that the sums live in registers. */
INLINE void tile_of(const struct matmul_tile *t, const size_t rows, const enum precision precision)
{
    __m512 sums[TILE_ROWS][TILE_VECTORS], left, right;
    const size_t step = TILE_COLUMNS * (precision == PRECISION_F32 ? 4 : 2);
    const char *panel = t->panel, *ahead = t->ahead;
    const float *a = t->a;
    const size_t depth = t->depth, stride = t->a_stride, ahead_step = t->ahead_step;
    UNROLL_ROWS
    for (size_t row = 0; row < rows; row++) {
        sums[row][0] = sums[row][1] = _mm512_setzero_ps();
        __builtin_prefetch(t->out + row * t->out_stride, 1);
    }
    for (size_t k = 0; k < depth; k++) {
        panel_of(panel, precision, &left, &right);
        _mm_prefetch(ahead, _MM_HINT_T1);
        _mm_prefetch(ahead + ahead_step / 2, _MM_HINT_T1);
        UNROLL_ROWS
        for (size_t row = 0; row < rows; row++) {
            __m512 x = _mm512_set1_ps(a[row * stride]);
            sums[row][0] = _mm512_fmadd_ps(x, left, sums[row][0]);
            sums[row][1] = _mm512_fmadd_ps(x, right, sums[row][1]);
        }
        panel += step;
        ahead += ahead_step;
        a++;
    }
    UNROLL_ROWS
    for (size_t row = 0; row < rows; row++) {
        store_vector(t, row, 0, sums[row][0]);
        if (t->columns > WIDTH)
            store_vector(t, row, WIDTH, sums[row][1]);
    }
}

/* Two k at a time, both factors BF16: each lane adds the products of its pair. */
INLINE TARGET_BF16 void pairs_of(const struct matmul_tile *t, const size_t rows)
{
    __m512 sums[TILE_ROWS][TILE_VECTORS];
    const char *panel = t->panel, *ahead = t->ahead;
    const uint16_t *a = t->a;
    const size_t stride = t->a_stride, ahead_step = t->ahead_step;
    UNROLL_ROWS
    for (size_t row = 0; row < rows; row++) {
        sums[row][0] = sums[row][1] = _mm512_setzero_ps();
        __builtin_prefetch(t->out + row * t->out_stride, 1);
    }
    for (size_t k = 0; k < t->depth; k += 2) {
        __m512bh left = PAIRS_OF(_mm512_loadu_si512(panel));
        __m512bh right = PAIRS_OF(_mm512_loadu_si512(panel + TILE_COLUMNS * 2));
        _mm_prefetch(ahead, _MM_HINT_T1);
        _mm_prefetch(ahead + ahead_step, _MM_HINT_T1);
        UNROLL_ROWS
        for (size_t row = 0; row < rows; row++) {
            int32_t pair;
            memcpy(&pair, a + row * stride, sizeof(pair));
            __m512bh x = PAIRS_OF(_mm512_set1_epi32(pair));
            sums[row][0] = _mm512_dpbf16_ps(sums[row][0], x, left);
            sums[row][1] = _mm512_dpbf16_ps(sums[row][1], x, right);
        }
        panel += TILE_COLUMNS * 4;
        ahead += 2 * ahead_step;
        a += 2;
    }
    UNROLL_ROWS
    for (size_t row = 0; row < rows; row++) {
        store_vector(t, row, 0, sums[row][0]);
        if (t->columns > WIDTH)
            store_vector(t, row, WIDTH, sums[row][1]);
    }
}

/* Calls `of` with the tile's number of rows as a constant. */
#define FOR_ROWS(of, t, ...)                                                                       \
    switch ((t)->rows) {                                                                           \
    case 1: of(t, 1 __VA_ARGS__); break;                                                           \
    case 2: of(t, 2 __VA_ARGS__); break;                                                           \
    case 3: of(t, 3 __VA_ARGS__); break;                                                           \
    case 4: of(t, 4 __VA_ARGS__); break;                                                           \
    case 5: of(t, 5 __VA_ARGS__); break;                                                           \
    case 6: of(t, 6 __VA_ARGS__); break;                                                           \
    case 7: of(t, 7 __VA_ARGS__); break;                                                           \
    case 8: of(t, 8 __VA_ARGS__); break;                                                           \
    case 9: of(t, 9 __VA_ARGS__); break;                                                           \
    case 10: of(t, 10 __VA_ARGS__); break;                                                         \
    case 11: of(t, 11 __VA_ARGS__); break;                                                         \
    default: of(t, TILE_ROWS __VA_ARGS__); break;                                                  \
    }

#define COMMA ,

static void tile_f32(const struct matmul_tile *t)
{
    FOR_ROWS(tile_of, t, COMMA PRECISION_F32)
    activate_tile(t);
}

static void tile_bf16(const struct matmul_tile *t)
{
    FOR_ROWS(tile_of, t, COMMA PRECISION_BF16)
    activate_tile(t);
}

static TARGET_BF16 void tile_pairs(const struct matmul_tile *t)
{
    FOR_ROWS(pairs_of, t, )
    activate_tile(t);
}

/* See dtype_bf16; in the instruction for this, subnormal numbers become 0. */
static void round_row(uint16_t *to, const float *from, size_t n)
{
    const __m512i most = _mm512_set1_epi32(0x7fff), one = _mm512_set1_epi32(1);
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH) {
        __m512 x = _mm512_loadu_ps(from + i);
        __m512i bits = _mm512_castps_si512(x);
        __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), one);
        __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(most, odd));
        __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
        __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
        up = _mm512_srli_epi32(_mm512_mask_mov_epi32(up, nan, quiet), 16);
        _mm256_storeu_si256((__m256i *)(void *)(to + i), _mm512_cvtepi32_epi16(up));
    }
    for (; i < n; i++)
        to[i] = dtype_bf16(from[i]);
    if (n % 2)
        to[n] = 0;
}

/* Enough sums that two operations a cycle, of up to six cycles, never wait. */
enum { BURN_SUMS = 16 };

static uint64_t burn(uint64_t rounds)
{
    volatile float start = 0.999f;
    const __m512 factor = _mm512_set1_ps(start);
    __m512 sums[BURN_SUMS];
    UNROLL_ROWS
    for (size_t i = 0; i < BURN_SUMS; i++)
        sums[i] = _mm512_set1_ps(1 + (float)i); /* or equal sums are computed once */
    for (uint64_t round = 0; round < rounds; round++) {
        UNROLL_ROWS
        for (size_t i = 0; i < BURN_SUMS; i++)
            sums[i] = _mm512_fmadd_ps(sums[i], factor, factor);
    }
    for (size_t i = 1; i < BURN_SUMS; i++)
        sums[0] = _mm512_add_ps(sums[0], sums[i]);
    start = _mm512_reduce_add_ps(sums[0]);
    return rounds * BURN_SUMS * WIDTH * 2;
}

static TARGET_BF16 uint64_t burn_pairs(uint64_t rounds)
{
    volatile float start = 0.999f;
    const __m512 factor = _mm512_set1_ps(start);
    const __m512bh pairs = PAIRS_OF(_mm512_castps_si512(factor));
    __m512 sums[BURN_SUMS];
    UNROLL_ROWS
    for (size_t i = 0; i < BURN_SUMS; i++)
        sums[i] = _mm512_set1_ps(1 + (float)i); /* or equal sums are computed once */
    for (uint64_t round = 0; round < rounds; round++) {
        UNROLL_ROWS
        for (size_t i = 0; i < BURN_SUMS; i++)
            sums[i] = _mm512_dpbf16_ps(sums[i], pairs, pairs);
    }
    for (size_t i = 1; i < BURN_SUMS; i++)
        sums[0] = _mm512_add_ps(sums[0], sums[i]);
    start = _mm512_reduce_add_ps(sums[0]);
    return rounds * BURN_SUMS * WIDTH * 4;
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

static float exp_sum(float *x, size_t n, float factor, const float *bias)
{
    const __m512 least = _mm512_set1_ps(-INFINITY);
    __m512 factors = _mm512_set1_ps(factor), largest = least, sum = _mm512_setzero_ps();
    if (bias) {
        for (size_t i = 0; i < n; i += WIDTH) {
            __mmask16 mask = lanes(n - i);
            __m512 v = _mm512_maskz_loadu_ps(mask, x + i);
            v = _mm512_fmadd_ps(v, factors, _mm512_maskz_loadu_ps(mask, bias + i));
            _mm512_mask_storeu_ps(x + i, mask, v);
        }
        factors = _mm512_set1_ps(1);
    }
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
    return _mm512_reduce_add_ps(sum);
}

static void activate(float *x, size_t n, enum activation activation)
{
    for (size_t i = 0; i < n; i += WIDTH) {
        __mmask16 mask = lanes(n - i);
        _mm512_mask_storeu_ps(x + i, mask,
                              activated(_mm512_maskz_loadu_ps(mask, x + i), activation));
    }
}

const struct kernels kernels_avx512 = {
    .name = "avx512",
    .matmul = {
        [PRECISION_F32] = { "f32x32", TILE_ROWS, TILE_COLUMNS, tile_f32, NULL, burn },
        [PRECISION_BF16] = { "bf16x32", TILE_ROWS, TILE_COLUMNS, tile_bf16, NULL, burn },
    },
    .dot = dot,
    .add = add,
    .scale = scale,
    .layer_norm = layer_norm,
    .exp_sum = exp_sum,
    .activate = activate,
};

const struct kernels kernels_avx512_bf16 = {
    .name = "avx512_bf16",
    .matmul = {
        [PRECISION_BF16] = {
            "bf16x32k2", TILE_ROWS, TILE_COLUMNS, tile_pairs, round_row, burn_pairs,
        },
    },
};
