/* kernels_avx2.c — 8 floats at a time. Needs AVX2 and FMA.
 *
 * The tile is 6 rows × 2 vectors: 12 sums, two vectors of the panel and one broadcast fill the 16
 * registers, and each step of k is 12 FMAs for 8 loads, so that arithmetic is the limit while the
 * panel comes from L1 or L2. */
#include "tensor/cpu/intrinsics.h"
#include "tensor/cpu/kernels.h"
#include "tensor/cpu/poly.h"

#include <math.h>
#include <stdint.h>

enum { WIDTH = 8, TILE_ROWS = 6, TILE_VECTORS = 2, TILE_COLUMNS = TILE_VECTORS * WIDTH };

/* So many k a turn of the loop, for one line of what is wanted next in most cases. */
enum { UNROLL = 8, LINE_BYTES = 64 };

#define INLINE       static inline __attribute__((always_inline))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The first `left` lanes; all of them from 8 on. */
INLINE __m256i lanes(size_t left)
{
    static const int32_t window[2 * WIDTH] = { -1, -1, -1, -1, -1, -1, -1, -1 };
    size_t used = left < WIDTH ? left : WIDTH;
    return _mm256_loadu_si256((const __m256i *)(const void *)(window + WIDTH - used));
}

/* The next 8 numbers, or the `left` that there are and zeros. Masked moves are often slow. */
INLINE __m256 load(const float *from, size_t left)
{
    return left >= WIDTH ? _mm256_loadu_ps(from) : _mm256_maskload_ps(from, lanes(left));
}

INLINE void store(float *to, size_t left, __m256 v)
{
    if (left >= WIDTH)
        _mm256_storeu_ps(to, v);
    else
        _mm256_maskstore_ps(to, lanes(left), v);
}

/* v with zeros from lane `left` on. */
INLINE __m256 keep(__m256 v, size_t left)
{
    return left >= WIDTH ? v : _mm256_and_ps(v, _mm256_castsi256_ps(lanes(left)));
}

INLINE float sum_of(__m256 v)
{
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

INLINE float largest_of(__m256 v)
{
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

/* Even and odd powers apart: half of the waiting. */
INLINE __m256 poly(__m256 x, const float *factors, size_t count)
{
    const __m256 square = _mm256_mul_ps(x, x);
    __m256 high = _mm256_set1_ps(factors[0]), low = _mm256_set1_ps(factors[1]);
    size_t i = 2;
    for (; i + 1 < count; i += 2) {
        high = _mm256_fmadd_ps(high, square, _mm256_set1_ps(factors[i]));
        low = _mm256_fmadd_ps(low, square, _mm256_set1_ps(factors[i + 1]));
    }
    if (i == count)
        return _mm256_fmadd_ps(high, x, low);
    high = _mm256_fmadd_ps(high, square, _mm256_set1_ps(factors[i]));
    return _mm256_fmadd_ps(low, x, high);
}

/* 2^whole · 2^part, whole in -126 … 127 and a whole number, part in [-½, ½]. */
INLINE __m256 exp2_of(__m256 whole, __m256 part)
{
    __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));
    __m256 power = _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
    return _mm256_mul_ps(poly(part, poly_exp2, COUNT(poly_exp2)), power);
}

INLINE __m256 round_of(__m256 x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT);
}

/* For x <= 0; relative error 2e-7. A NaN stays one: max returns its second operand then. */
INLINE __m256 exp_of(__m256 x)
{
    const __m256 log2e = _mm256_set1_ps(POLY_LOG2E);
    x = _mm256_max_ps(_mm256_set1_ps(POLY_EXP_LEAST), x);
    __m256 whole = round_of(_mm256_mul_ps(x, log2e));
    __m256 part = _mm256_fmsub_ps(x, log2e, whole);
    part = _mm256_fmadd_ps(x, _mm256_set1_ps(POLY_LOG2E_REST), part);
    return exp2_of(whole, part);
}

/* See poly.h; within 5e-7 · max(1, |x|). */
INLINE __m256 gelu_of(__m256 x)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    __m256 size = _mm256_andnot_ps(sign, x);
    __m256 inside = _mm256_min_ps(size, _mm256_set1_ps(POLY_PHI_END));
    __m256 at = _mm256_fmsub_ps(inside, _mm256_set1_ps(2 / POLY_PHI_END), _mm256_set1_ps(1));
    __m256 log2_phi = poly(at, poly_log2_phi, COUNT(poly_log2_phi));
    __m256 whole = round_of(log2_phi);
    __m256 phi = exp2_of(whole, _mm256_sub_ps(log2_phi, whole));
    return _mm256_fnmadd_ps(size, phi, _mm256_max_ps(x, _mm256_setzero_ps()));
}

/* x · σ(2u), u = √(2/π) · (x + 0.044715 x³). Of exp only the falling side is asked, e = exp(−2|u|):
 * σ(2u) is 1 / (1 + e) for x > 0 and e / (1 + e) for the rest. Within 5e-7 · max(1, |x|). */
INLINE __m256 gelu_tanh_of(__m256 x)
{
    const __m256 zero = _mm256_setzero_ps();
    __m256 rate = _mm256_fmadd_ps(_mm256_mul_ps(x, x), _mm256_set1_ps(POLY_TANH_CUBIC),
                                  _mm256_set1_ps(POLY_TANH_LINEAR));
    __m256 e = exp_of(_mm256_mul_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), x), rate));
    __m256 upper = _mm256_fmadd_ps(_mm256_min_ps(zero, x), e, _mm256_max_ps(zero, x));
    return _mm256_div_ps(upper, _mm256_add_ps(e, _mm256_set1_ps(1)));
}

INLINE __m256 activated(__m256 x, enum activation activation)
{
    switch (activation) {
    case ACTIVATION_NONE: break;
    case ACTIVATION_GELU: return gelu_of(x);
    case ACTIVATION_GELU_TANH: return gelu_tanh_of(x);
    case ACTIVATION_RELU: return _mm256_max_ps(_mm256_setzero_ps(), x);
    }
    return x;
}

static void activate(float *x, size_t n, enum activation activation);

/* Two vectors of one row, with what is to be added to them. */
INLINE void store_row(const struct matmul_tile *t, size_t row, __m256 left, __m256 right)
{
    float *out = t->out + row * t->out_stride;
    const float *addend = t->addend ? t->addend + row * t->addend_stride : NULL;
    const size_t columns = t->columns;
    if (columns == TILE_COLUMNS) {
        if (addend) {
            left = _mm256_add_ps(left, _mm256_loadu_ps(addend));
            right = _mm256_add_ps(right, _mm256_loadu_ps(addend + WIDTH));
        }
        _mm256_storeu_ps(out, left);
        _mm256_storeu_ps(out + WIDTH, right);
        return;
    }
    if (addend)
        left = _mm256_add_ps(left, load(addend, columns));
    store(out, columns, left);
    if (columns > WIDTH) {
        if (addend)
            right = _mm256_add_ps(right, load(addend + WIDTH, columns - WIDTH));
        store(out + WIDTH, columns - WIDTH, right);
    }
}

/* The numbers of all columns at one k. BF16 numbers are the upper halves of F32. */
INLINE void panel_of(const char *panel, const enum precision precision, __m256 *left, __m256 *right)
{
    if (precision == PRECISION_F32) {
        *left = _mm256_loadu_ps((const float *)(const void *)panel);
        *right = _mm256_loadu_ps((const float *)(const void *)panel + WIDTH);
        return;
    }
    __m256i both = _mm256_loadu_si256((const __m256i *)(const void *)panel);
    *left = _mm256_castsi256_ps(_mm256_slli_epi32(both, 16));
    *right = _mm256_castsi256_ps(_mm256_and_si256(both, _mm256_set1_epi32((int)0xffff0000)));
}

/* The products of one k. */
INLINE void add_step(__m256 sums[][TILE_VECTORS], const char *panel, const float *const a[],
                     size_t k, const size_t rows, const enum precision precision)
{
    __m256 left, right;
    panel_of(panel, precision, &left, &right);
    KEEP_VECTOR(left);
    KEEP_VECTOR(right);
    UNROLL_ROWS
    for (size_t row = 0; row < rows; row++) {
        __m256 x = _mm256_broadcast_ss(a[row] + k);
        sums[row][0] = _mm256_fmadd_ps(x, left, sums[row][0]);
        sums[row][1] = _mm256_fmadd_ps(x, right, sums[row][1]);
        KEEP_VECTOR(x);
    }
    KEEP_VECTOR(left);
    KEEP_VECTOR(right);
}

/* `rows` and `precision` are constants at every call, so that the sums live in registers. */
INLINE void tile_of(const struct matmul_tile *t, const size_t rows, const enum precision precision)
{
    __m256 sums[TILE_ROWS][TILE_VECTORS];
    const float *a[TILE_ROWS];
    const size_t step = TILE_COLUMNS * (precision == PRECISION_F32 ? 4 : 2);
    const char *panel = t->panel, *ahead = t->ahead;
    const size_t depth = t->depth, ahead_bytes = UNROLL * t->ahead_step;
    size_t k = 0;
    UNROLL_ROWS
    for (size_t row = 0; row < rows; row++) {
        sums[row][0] = sums[row][1] = _mm256_setzero_ps();
        a[row] = (const float *)t->a + row * t->a_stride;
        __builtin_prefetch(t->out + row * t->out_stride, 1);
    }
    for (; k + UNROLL <= depth; k += UNROLL) {
        KEEP_INDEX(k);
        _mm_prefetch(ahead, _MM_HINT_T1);
        if (ahead_bytes > LINE_BYTES) {
            for (size_t i = LINE_BYTES; i < ahead_bytes; i += LINE_BYTES)
                _mm_prefetch(ahead + i, _MM_HINT_T1);
        }
        UNROLL_ROWS
        for (size_t i = 0; i < UNROLL; i++)
            add_step(sums, panel + i * step, a, k + i, rows, precision);
        panel += UNROLL * step;
        ahead += ahead_bytes;
    }
    for (; k < depth; k++) {
        add_step(sums, panel, a, k, rows, precision);
        panel += step;
    }
    const __m256 left = t->bias ? _mm256_loadu_ps(t->bias) : _mm256_setzero_ps();
    const __m256 right = t->bias ? _mm256_loadu_ps(t->bias + WIDTH) : _mm256_setzero_ps();
    UNROLL_ROWS
    for (size_t row = 0; row < rows; row++)
        store_row(t, row, _mm256_add_ps(sums[row][0], left), _mm256_add_ps(sums[row][1], right));
}

INLINE void tile_any(const struct matmul_tile *t, const enum precision precision)
{
    switch (t->rows) {
    case 1: tile_of(t, 1, precision); break;
    case 2: tile_of(t, 2, precision); break;
    case 3: tile_of(t, 3, precision); break;
    case 4: tile_of(t, 4, precision); break;
    case 5: tile_of(t, 5, precision); break;
    default: tile_of(t, TILE_ROWS, precision); break;
    }
    if (t->activation == ACTIVATION_NONE)
        return;
    for (size_t row = 0; row < t->rows; row++)
        activate(t->out + row * t->out_stride, t->columns, t->activation);
}

static void tile_f32(const struct matmul_tile *t)
{
    tile_any(t, PRECISION_F32);
}

static void tile_bf16(const struct matmul_tile *t)
{
    tile_any(t, PRECISION_BF16);
}

/* Enough sums that two FMAs a cycle, each of four cycles or five, never wait. */
enum { BURN_SUMS = 12 };

static uint64_t burn(uint64_t rounds)
{
    volatile float start = 0.999f;
    const __m256 factor = _mm256_set1_ps(start);
    __m256 sums[BURN_SUMS];
    UNROLL_ROWS
    for (size_t i = 0; i < BURN_SUMS; i++)
        sums[i] = _mm256_set1_ps(1 + (float)i); /* or equal sums are computed once */
    for (uint64_t round = 0; round < rounds; round++) {
        UNROLL_ROWS
        for (size_t i = 0; i < BURN_SUMS; i++)
            sums[i] = _mm256_fmadd_ps(sums[i], factor, factor);
    }
    for (size_t i = 1; i < BURN_SUMS; i++)
        sums[0] = _mm256_add_ps(sums[0], sums[i]);
    start = sum_of(sums[0]);
    return rounds * BURN_SUMS * WIDTH * 2;
}

static float dot(const float *a, const float *b, size_t n)
{
    __m256 sum = _mm256_setzero_ps();
    for (size_t i = 0; i < n; i += WIDTH)
        sum = _mm256_fmadd_ps(load(a + i, n - i), load(b + i, n - i), sum);
    return sum_of(sum);
}

static void add(float *out, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += WIDTH)
        store(out + i, n - i, _mm256_add_ps(load(out + i, n - i), load(x + i, n - i)));
}

static void scale(float *x, float factor, size_t n)
{
    const __m256 factors = _mm256_set1_ps(factor);
    for (size_t i = 0; i < n; i += WIDTH)
        store(x + i, n - i, _mm256_mul_ps(load(x + i, n - i), factors));
}

static float mean_of(const float *x, size_t n)
{
    __m256 sum = _mm256_setzero_ps();
    for (size_t i = 0; i < n; i += WIDTH)
        sum = _mm256_add_ps(sum, load(x + i, n - i));
    return sum_of(sum) / (float)n;
}

/* Takes the mean off x on the way. */
static float variance_of(float *x, size_t n, float mean)
{
    const __m256 means = _mm256_set1_ps(mean);
    __m256 sum = _mm256_setzero_ps();
    for (size_t i = 0; i < n; i += WIDTH) {
        __m256 v = keep(_mm256_sub_ps(load(x + i, n - i), means), n - i);
        sum = _mm256_fmadd_ps(v, v, sum);
        store(x + i, n - i, v);
    }
    return sum_of(sum) / (float)n;
}

static void layer_norm(float *x, const float *gain, const float *shift, size_t n, float eps)
{
    if (n == 0)
        return;
    const __m256 factor = _mm256_set1_ps(1 / sqrtf(variance_of(x, n, mean_of(x, n)) + eps));
    for (size_t i = 0; i < n; i += WIDTH) {
        __m256 v = _mm256_mul_ps(load(x + i, n - i), factor);
        v = _mm256_fmadd_ps(v, load(gain + i, n - i), load(shift + i, n - i));
        store(x + i, n - i, v);
    }
}

static float largest_in(const float *x, size_t n)
{
    __m256 largest = _mm256_set1_ps(-INFINITY);
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH)
        largest = _mm256_max_ps(largest, _mm256_loadu_ps(x + i));
    float most = largest_of(largest);
    for (; i < n; i++)
        most = fmaxf(most, x[i]);
    return most;
}

static float exp_sum(float *x, size_t n, float factor, const float *bias)
{
    __m256 factors = _mm256_set1_ps(factor), sum = _mm256_setzero_ps();
    if (bias) {
        for (size_t i = 0; i < n; i += WIDTH)
            store(x + i, n - i,
                  _mm256_fmadd_ps(load(x + i, n - i), factors, load(bias + i, n - i)));
        factors = _mm256_set1_ps(1);
    }
    const __m256 largest = _mm256_set1_ps(largest_in(x, n));
    for (size_t i = 0; i < n; i += WIDTH) {
        __m256 v = _mm256_mul_ps(_mm256_sub_ps(load(x + i, n - i), largest), factors);
        v = keep(exp_of(v), n - i);
        sum = _mm256_add_ps(sum, v);
        store(x + i, n - i, v);
    }
    return sum_of(sum);
}

static void activate(float *x, size_t n, enum activation activation)
{
    for (size_t i = 0; i < n; i += WIDTH)
        store(x + i, n - i, activated(load(x + i, n - i), activation));
}

const struct kernels kernels_avx2 = {
    .name = "avx2",
    .matmul = {
        [PRECISION_F32] = { "f32x16", TILE_ROWS, TILE_COLUMNS, tile_f32, NULL, burn },
        [PRECISION_BF16] = { "bf16x16", TILE_ROWS, TILE_COLUMNS, tile_bf16, NULL, burn },
    },
    .dot = dot,
    .add = add,
    .scale = scale,
    .layer_norm = layer_norm,
    .exp_sum = exp_sum,
    .activate = activate,
};
