/* intrinsics.h — where a kernel file gets its vector intrinsics from: the compiler, or, in the test
 * that runs kernels this machine has no instructions for, their emulation in portable C (SIMDe). */
#ifndef TENSOR_CPU_INTRINSICS_H
#define TENSOR_CPU_INTRINSICS_H

/* Before a loop over the rows of a tile: their sums live in registers only when it is unrolled. */
#if defined(__clang__)
#define UNROLL_ROWS _Pragma("unroll")
#else
#define UNROLL_ROWS _Pragma("GCC unroll 16")
#endif

/* In a register, here. Else an unrolled loop moves its sums and loads a vector for each use. */
#define KEEP_VECTOR(value) __asm__ volatile("" : "+x"(value))
#define KEEP_INDEX(value)  __asm__ volatile("" : "+r"(value))

#ifndef WEIR_SIMDE
#include <immintrin.h>

/* For the few functions that need more than their file is compiled for. */
#define TARGET_BF16 __attribute__((target("avx512bf16")))
#define PAIRS_OF(v) ((__m512bh)(v))
#else
#define TARGET_BF16
#define PAIRS_OF(v) (v)
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#include <math.h>
#include <stdint.h>
#include <string.h>

/* What we use and SIMDe 0.7 lacks, and the fused operations, which it rounds twice.
 * A lane that the mask leaves out is not touched in memory. */
#define __mmask16             simde__mmask16
#define _mm512_cvtps_epi32    emulated_cvtps_epi32
#define _mm512_cvtepi32_epi16 emulated_cvtepi32_epi16
#define _mm512_mask_loadu_ps  emulated_mask_loadu_ps
#define _mm512_maskz_loadu_ps emulated_maskz_loadu_ps
#define _mm512_mask_storeu_ps emulated_mask_storeu_ps
#define _mm512_reduce_add_ps  emulated_reduce_add_ps
#define _mm512_reduce_max_ps  emulated_reduce_max_ps
#undef _mm512_dpbf16_ps
#undef _mm512_fmadd_ps
#undef _mm512_fmsub_ps
#undef _mm512_fnmadd_ps
#undef __m512bh
#define __m512bh                  __m512i
#define _mm512_dpbf16_ps          emulated_dpbf16
#define _mm512_fmadd_ps(a, b, c)  emulated_fma(a, b, c, 1, 1)
#define _mm512_fmsub_ps(a, b, c)  emulated_fma(a, b, c, 1, -1)
#define _mm512_fnmadd_ps(a, b, c) emulated_fma(a, b, c, -1, 1)

static inline __m512 emulated_fma(__m512 a, __m512 b, __m512 c, float sign_a, float sign_c)
{
    float x[16], y[16], z[16];
    memcpy(x, &a, sizeof(x));
    memcpy(y, &b, sizeof(y));
    memcpy(z, &c, sizeof(z));
    for (int i = 0; i < 16; i++)
        z[i] = fmaf(sign_a * x[i], y[i], sign_c * z[i]);
    return _mm512_loadu_ps(z);
}

/* The odd product of a pair first, each sum rounded once. Subnormals are not flushed here. */
static inline __m512 emulated_dpbf16(__m512 sum, __m512i a, __m512i b)
{
    float sums[16];
    uint32_t x[16], y[16];
    memcpy(sums, &sum, sizeof(sums));
    memcpy(x, &a, sizeof(x));
    memcpy(y, &b, sizeof(y));
    for (int i = 0; i < 16; i++) {
        float odd[2], even[2];
        uint32_t bits[4] = { x[i] & 0xffff0000, y[i] & 0xffff0000, x[i] << 16, y[i] << 16 };
        memcpy(odd, bits, sizeof(odd));
        memcpy(even, bits + 2, sizeof(even));
        sums[i] = fmaf(even[0], even[1], fmaf(odd[0], odd[1], sums[i]));
    }
    return _mm512_loadu_ps(sums);
}

static inline __m512i emulated_cvtps_epi32(__m512 x)
{
    float from[16];
    int32_t to[16];
    memcpy(from, &x, sizeof(from));
    for (int i = 0; i < 16; i++)
        to[i] = (int32_t)lrintf(from[i]);
    return _mm512_loadu_si512(to);
}

static inline __m256i emulated_cvtepi32_epi16(__m512i x)
{
    uint32_t from[16];
    uint16_t to[16];
    memcpy(from, &x, sizeof(from));
    for (int i = 0; i < 16; i++)
        to[i] = (uint16_t)from[i];
    return _mm256_loadu_si256((const __m256i *)(const void *)to);
}

static inline __m512 emulated_mask_loadu_ps(__m512 otherwise, __mmask16 mask, const float *from)
{
    float lanes[16];
    memcpy(lanes, &otherwise, sizeof(lanes));
    for (int i = 0; i < 16; i++) {
        if (mask >> i & 1)
            lanes[i] = from[i];
    }
    return _mm512_loadu_ps(lanes);
}

static inline __m512 emulated_maskz_loadu_ps(__mmask16 mask, const float *from)
{
    return emulated_mask_loadu_ps(_mm512_setzero_ps(), mask, from);
}

static inline void emulated_mask_storeu_ps(float *to, __mmask16 mask, __m512 x)
{
    float lanes[16];
    memcpy(lanes, &x, sizeof(lanes));
    for (int i = 0; i < 16; i++) {
        if (mask >> i & 1)
            to[i] = lanes[i];
    }
}

static inline float emulated_reduce_add_ps(__m512 x)
{
    float lanes[16];
    memcpy(lanes, &x, sizeof(lanes));
    for (int width = 8; width > 0; width /= 2) {
        for (int i = 0; i < width; i++)
            lanes[i] += lanes[i + width];
    }
    return lanes[0];
}

static inline float emulated_reduce_max_ps(__m512 x)
{
    float lanes[16];
    memcpy(lanes, &x, sizeof(lanes));
    for (int i = 1; i < 16; i++)
        lanes[0] = lanes[i] > lanes[0] ? lanes[i] : lanes[0];
    return lanes[0];
}
#endif

#endif
