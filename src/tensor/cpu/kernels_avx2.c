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

/* Vectors that are computed side by side outside of products. */
enum { GROUP = 4 };

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

INLINE float sum_of_group(const __m256 *v)
{
    return sum_of(_mm256_add_ps(_mm256_add_ps(v[0], v[1]), _mm256_add_ps(v[2], v[3])));
}

INLINE float largest_of(__m256 v)
{
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

/* What follows computes some vectors at once, so that none waits for its own steps and a constant
 * is loaded once for all. Their count is a constant at every call. */
#define EACH(i, count) UNROLL_ROWS for (size_t i = 0; i < (count); i++)

INLINE void poly(__m256 *out, const __m256 *x, const size_t n, const float *factors,
                 const size_t count)
{
    EACH(i, n)
        out[i] = _mm256_set1_ps(factors[0]);
    EACH(j, count - 1) {
        const __m256 factor = _mm256_set1_ps(factors[j + 1]);
        EACH(i, n)
            out[i] = _mm256_fmadd_ps(out[i], x[i], factor);
    }
}

INLINE __m256 round_of(__m256 x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT);
}

/* x = 2^whole · 2^x, whole in -126 … 127 and a whole number, x in [-½, ½]. */
INLINE void exp2_of(__m256 *x, const __m256 *whole, const size_t n)
{
    __m256 part[GROUP];
    poly(part, x, n, poly_exp2, COUNT(poly_exp2));
    EACH(i, n) {
        __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(whole[i]), _mm256_set1_epi32(127));
        x[i] = _mm256_mul_ps(part[i], _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23)));
    }
}

/* For x <= 0; relative error 2e-7. A NaN stays one: max returns its second operand then. */
INLINE void exp_of(__m256 *x, const size_t n)
{
    const __m256 log2e = _mm256_set1_ps(POLY_LOG2E), rest = _mm256_set1_ps(POLY_LOG2E_REST);
    __m256 whole[GROUP];
    EACH(i, n) {
        const __m256 from = _mm256_max_ps(_mm256_set1_ps(POLY_EXP_LEAST), x[i]);
        whole[i] = round_of(_mm256_mul_ps(from, log2e));
        x[i] = _mm256_fmadd_ps(from, rest, _mm256_fmsub_ps(from, log2e, whole[i]));
    }
    exp2_of(x, whole, n);
}

/* See poly.h; within 5e-7 · max(1, |x|). */
INLINE void gelu_of(__m256 *x, const size_t n)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    __m256 at[GROUP], phi[GROUP], whole[GROUP];
    EACH(i, n) {
        at[i] = _mm256_min_ps(_mm256_andnot_ps(sign, x[i]), _mm256_set1_ps(POLY_PHI_END));
        at[i] = _mm256_fmsub_ps(at[i], _mm256_set1_ps(2 / POLY_PHI_END), _mm256_set1_ps(1));
    }
    poly(phi, at, n, poly_log2_phi, COUNT(poly_log2_phi));
    EACH(i, n) {
        whole[i] = round_of(phi[i]);
        phi[i] = _mm256_sub_ps(phi[i], whole[i]);
    }
    exp2_of(phi, whole, n);
    EACH(i, n)
        x[i] = _mm256_fnmadd_ps(_mm256_andnot_ps(sign, x[i]), phi[i],
                                _mm256_max_ps(x[i], _mm256_setzero_ps()));
}

/* x · σ(2u), u = √(2/π) · (x + 0.044715 x³). Of exp only the falling side is asked, e = exp(−2|u|):
 * σ(2u) is 1 / (1 + e) for x > 0 and e / (1 + e) for the rest. Within 5e-7 · max(1, |x|). */
INLINE void gelu_tanh_of(__m256 *x, const size_t n)
{
    const __m256 zero = _mm256_setzero_ps(), sign = _mm256_set1_ps(-0.0f);
    __m256 e[GROUP];
    EACH(i, n) {
        e[i] = _mm256_fmadd_ps(_mm256_mul_ps(x[i], x[i]), _mm256_set1_ps(POLY_TANH_CUBIC),
                               _mm256_set1_ps(POLY_TANH_LINEAR));
        e[i] = _mm256_mul_ps(_mm256_andnot_ps(sign, x[i]), e[i]);
    }
    exp_of(e, n);
    EACH(i, n) {
        __m256 upper = _mm256_fmadd_ps(_mm256_min_ps(zero, x[i]), e[i], _mm256_max_ps(zero, x[i]));
        x[i] = _mm256_div_ps(upper, _mm256_add_ps(e[i], _mm256_set1_ps(1)));
    }
}

INLINE void activate_vectors(__m256 *x, const size_t n, enum activation activation)
{
    switch (activation) {
    case ACTIVATION_NONE: break;
    case ACTIVATION_GELU: gelu_of(x, n); break;
    case ACTIVATION_GELU_TANH: gelu_tanh_of(x, n); break;
    case ACTIVATION_RELU:
        EACH(i, n)
            x[i] = _mm256_max_ps(_mm256_setzero_ps(), x[i]);
        break;
    }
}

/* A row of floats, and the row behind it at `stride` where there are two. */
INLINE void activate_full(float *x, size_t stride, enum activation activation)
{
    __m256 v[GROUP];
    EACH(i, GROUP)
        v[i] = _mm256_loadu_ps(x + i / 2 * stride + i % 2 * WIDTH);
    activate_vectors(v, GROUP, activation);
    EACH(i, GROUP)
        _mm256_storeu_ps(x + i / 2 * stride + i % 2 * WIDTH, v[i]);
}

static void activate(float *x, size_t n, enum activation activation)
{
    size_t i = 0;
    for (; i + GROUP * WIDTH <= n; i += GROUP * WIDTH)
        activate_full(x + i, GROUP / 2 * WIDTH, activation);
    for (; i < n; i += WIDTH) {
        __m256 v = load(x + i, n - i);
        activate_vectors(&v, 1, activation);
        store(x + i, n - i, v);
    }
}

/* Two whole rows of a tile are a group. */
static void activate_tile(const struct matmul_tile *t)
{
    size_t row = 0;
    if (t->columns == TILE_COLUMNS) {
        for (; row + 2 <= t->rows; row += 2)
            activate_full(t->out + row * t->out_stride, t->out_stride, t->activation);
    }
    for (; row < t->rows; row++)
        activate(t->out + row * t->out_stride, t->columns, t->activation);
}

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

/* The first row of `a` and the fourth, each of which has two more behind it: an address is one of
 * them plus a multiple of the stride plus a constant, and so part of the instruction that loads. */
struct rows {
    const char *low, *high;
    size_t stride; /* bytes */
};

/* The products of k, counted from where `a` stands. */
INLINE void add_step(__m256 sums[][TILE_VECTORS], const char *panel, const struct rows *a,
                     const size_t k, const size_t rows, const enum precision precision)
{
    __m256 left, right;
    panel_of(panel, precision, &left, &right);
    KEEP_VECTOR(left);
    KEEP_VECTOR(right);
    EACH(row, rows) {
        const char *from = row < 3 ? a->low + row * a->stride : a->high + (row - 3) * a->stride;
        __m256 x = _mm256_broadcast_ss((const float *)(const void *)from + k);
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
    const size_t stride = t->a_stride * sizeof(float);
    struct rows a = { t->a, (const char *)t->a + 3 * stride, stride };
    const size_t step = TILE_COLUMNS * (precision == PRECISION_F32 ? 4 : 2);
    const char *panel = t->panel, *ahead = t->ahead;
    const size_t ahead_bytes = UNROLL * t->ahead_step;
    UNROLL_ROWS
    for (size_t row = 0; row < rows; row++) {
        sums[row][0] = sums[row][1] = _mm256_setzero_ps();
        __builtin_prefetch(t->out + row * t->out_stride, 1);
    }
    for (size_t turns = t->depth / UNROLL; turns > 0; turns--) {
        KEEP_INDEX(a.low);
        KEEP_INDEX(a.high);
        _mm_prefetch(ahead, _MM_HINT_T1);
        if (ahead_bytes > LINE_BYTES) {
            for (size_t i = LINE_BYTES; i < ahead_bytes; i += LINE_BYTES)
                _mm_prefetch(ahead + i, _MM_HINT_T1);
        }
        EACH(i, UNROLL)
            add_step(sums, panel + i * step, &a, i, rows, precision);
        a.low += UNROLL * sizeof(float), a.high += UNROLL * sizeof(float);
        panel += UNROLL * step;
        ahead += ahead_bytes;
    }
    for (size_t left = t->depth % UNROLL; left > 0; left--) {
        add_step(sums, panel, &a, 0, rows, precision);
        a.low += sizeof(float), a.high += sizeof(float);
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
    if (t->activation != ACTIVATION_NONE)
        activate_tile(t);
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
    __m256 sums[GROUP] = { _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                           _mm256_setzero_ps() };
    size_t i = 0;
    for (; i + GROUP * WIDTH <= n; i += GROUP * WIDTH) {
        EACH(j, GROUP)
            sums[j] = _mm256_add_ps(sums[j], _mm256_loadu_ps(x + i + j * WIDTH));
    }
    for (; i < n; i += WIDTH)
        sums[0] = _mm256_add_ps(sums[0], load(x + i, n - i));
    return sum_of_group(sums) / (float)n;
}

/* Takes the mean off x on the way. */
static float variance_of(float *x, size_t n, float mean)
{
    const __m256 means = _mm256_set1_ps(mean);
    __m256 sums[GROUP] = { _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                           _mm256_setzero_ps() };
    size_t i = 0;
    for (; i + GROUP * WIDTH <= n; i += GROUP * WIDTH) {
        EACH(j, GROUP) {
            const __m256 v = _mm256_sub_ps(_mm256_loadu_ps(x + i + j * WIDTH), means);
            sums[j] = _mm256_fmadd_ps(v, v, sums[j]);
            _mm256_storeu_ps(x + i + j * WIDTH, v);
        }
    }
    for (; i < n; i += WIDTH) {
        const __m256 v = keep(_mm256_sub_ps(load(x + i, n - i), means), n - i);
        sums[0] = _mm256_fmadd_ps(v, v, sums[0]);
        store(x + i, n - i, v);
    }
    return sum_of_group(sums) / (float)n;
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
    const __m256 least = _mm256_set1_ps(-INFINITY);
    __m256 largest[GROUP] = { least, least, least, least };
    size_t i = 0;
    for (; i + GROUP * WIDTH <= n; i += GROUP * WIDTH) {
        EACH(j, GROUP)
            largest[j] = _mm256_max_ps(largest[j], _mm256_loadu_ps(x + i + j * WIDTH));
    }
    for (; i < n; i += WIDTH) {
        const __m256 v = n - i >= WIDTH ? _mm256_loadu_ps(x + i)
                                        : _mm256_blendv_ps(least, load(x + i, n - i),
                                                           _mm256_castsi256_ps(lanes(n - i)));
        largest[0] = _mm256_max_ps(largest[0], v);
    }
    return largest_of(_mm256_max_ps(_mm256_max_ps(largest[0], largest[1]),
                                    _mm256_max_ps(largest[2], largest[3])));
}

static float exp_sum(float *x, size_t n, float factor, const float *bias)
{
    __m256 factors = _mm256_set1_ps(factor);
    if (bias) {
        for (size_t i = 0; i < n; i += WIDTH)
            store(x + i, n - i,
                  _mm256_fmadd_ps(load(x + i, n - i), factors, load(bias + i, n - i)));
        factors = _mm256_set1_ps(1);
    }
    const __m256 largest = _mm256_set1_ps(largest_in(x, n));
    __m256 sums[GROUP] = { _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                           _mm256_setzero_ps() };
    size_t i = 0;
    for (; i + GROUP * WIDTH <= n; i += GROUP * WIDTH) {
        __m256 v[GROUP];
        EACH(j, GROUP)
            v[j] =
                _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(x + i + j * WIDTH), largest), factors);
        exp_of(v, GROUP);
        EACH(j, GROUP) {
            sums[j] = _mm256_add_ps(sums[j], v[j]);
            _mm256_storeu_ps(x + i + j * WIDTH, v[j]);
        }
    }
    for (; i < n; i += WIDTH) {
        __m256 v = _mm256_mul_ps(_mm256_sub_ps(load(x + i, n - i), largest), factors);
        exp_of(&v, 1);
        v = keep(v, n - i);
        sums[0] = _mm256_add_ps(sums[0], v);
        store(x + i, n - i, v);
    }
    return sum_of_group(sums);
}

/* Of 8 rows of 8: pairs of rows interleaved, then pairs of pairs, then the halves exchanged. */
INLINE void transpose_block(float *to, size_t to_stride, const float *from, size_t from_stride)
{
    __m256 v[WIDTH], w[WIDTH];
    EACH(i, WIDTH)
        v[i] = _mm256_loadu_ps(from + i * from_stride);
    EACH(i, WIDTH / 2) {
        w[2 * i] = _mm256_unpacklo_ps(v[2 * i], v[2 * i + 1]);
        w[2 * i + 1] = _mm256_unpackhi_ps(v[2 * i], v[2 * i + 1]);
    }
    EACH(i, WIDTH / 2) {
        const __m256 a = w[i / 2 * 4 + i % 2], b = w[i / 2 * 4 + i % 2 + 2];
        v[i / 2 * 4 + i % 2 * 2] = _mm256_shuffle_ps(a, b, 0x44);
        v[i / 2 * 4 + i % 2 * 2 + 1] = _mm256_shuffle_ps(a, b, 0xee);
    }
    EACH(i, WIDTH / 2) {
        _mm256_storeu_ps(to + i * to_stride, _mm256_permute2f128_ps(v[i], v[i + 4], 0x20));
        _mm256_storeu_ps(to + (i + 4) * to_stride, _mm256_permute2f128_ps(v[i], v[i + 4], 0x31));
    }
}

static void transpose(float *to, size_t to_stride, const float *from, size_t from_stride,
                      size_t rows, size_t columns)
{
    const size_t whole_rows = rows / WIDTH * WIDTH, whole_columns = columns / WIDTH * WIDTH;
    for (size_t i = 0; i < whole_rows; i += WIDTH) {
        for (size_t j = 0; j < whole_columns; j += WIDTH)
            transpose_block(to + j * to_stride + i, to_stride, from + i * from_stride + j,
                            from_stride);
    }
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = i < whole_rows ? whole_columns : 0; j < columns; j++)
            to[j * to_stride + i] = from[i * from_stride + j];
    }
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
    .transpose = transpose,
};
