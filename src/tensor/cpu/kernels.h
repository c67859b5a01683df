/* kernels.h — the inner loops, one table an instruction set.
 *
 * kernels_scalar is complete and is the definition of correct: plain loops, double accumulators.
 * The other tables name only what they do faster; kernels_choose starts from scalar and lets each
 * level that the CPU has overwrite it. Model code holds one chosen table and never asks what CPU
 * it runs on.
 *
 * What every table keeps: the result of a call depends on its numbers and its n (or depth) alone,
 * never on addresses, on the rows computed beside it or on who computes. So each output of a matrix
 * product is one chain of additions in the order of k, and no kernel peels for alignment. No size
 * is too small, 0 included, and nothing outside the stated run is read or written. */
#ifndef TENSOR_CPU_KERNELS_H
#define TENSOR_CPU_KERNELS_H

#include "base/error.h"
#include "tensor/precision.h"

#include <stddef.h>
#include <stdint.h>

/*    id      name      the CPU must have */
#define KERNEL_LEVELS(X)                                                                           \
    X(SCALAR, scalar)                                                                              \
    X(AVX2, avx2)     /* avx2 fma */                                                               \
    X(AVX512, avx512) /* and avx512f avx512bw avx512vl avx512dq */

enum kernel_level {
#define X(ID, name) KERNEL_##ID,
    KERNEL_LEVELS(X)
#undef X
        KERNEL_LEVEL_COUNT
};

/* What is done to a number before it is stored. */
enum activation {
    ACTIVATION_NONE,
    ACTIVATION_GELU,      /* x · Φ(x), Φ by the error function */
    ACTIVATION_GELU_TANH, /* x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))) */
    ACTIVATION_RELU,
};

/* One tile of out = activation(a × panelᵀ + bias + addend). `panel` holds [depth][columns of the
 * kernel] numbers in the kernel's layout (packed.h); what a tile does not need of its last columns
 * is padding there and in `bias`, and is neither read from `addend` nor written to `out`. */
struct matmul_tile {
    const void *a; /* [rows][depth], rows a_stride apart: floats, or what the kernel's round made */
    size_t a_stride;
    size_t rows; /* 1 … the kernel's */
    const void *panel;
    size_t depth;
    const float *bias;   /* [columns of the kernel], or NULL */
    const float *addend; /* like out, or NULL; may be out itself */
    size_t addend_stride;
    float *out;
    size_t out_stride;
    size_t columns; /* 1 … the kernel's */
    enum activation activation;
    /* Memory that will be wanted next: `ahead_step` bytes further at each k it is asked for, and
     * never read here, so it may be any that belongs to the program, or lie a little behind it. */
    const void *ahead;
    size_t ahead_step;
};

/* The tile, its geometry and its panels go together. */
struct matmul_kernel {
    const char *layout; /* a name for the order of the numbers in a panel */
    size_t rows;
    size_t columns; /* even */
    void (*tile)(const struct matmul_tile *t);
    /* Makes BF16 of n numbers, and a zero behind an odd n, for a tile that multiplies pairs of k.
     * NULL where the tile reads floats. */
    void (*round)(uint16_t *to, const float *from, size_t n);
    /* For measuring: so many rounds of the tile's own multiply-add, in registers alone and without
     * waiting for each other. Returns how many operations they were. */
    uint64_t (*burn)(uint64_t rounds);
};

struct kernels {
    const char *name;
    struct matmul_kernel matmul[PRECISION_COUNT];
    float (*dot)(const float *a, const float *b, size_t n);
    void (*add)(float *out, const float *x, size_t n); /* out += x */
    void (*scale)(float *x, float factor, size_t n);
    /* x = (x − mean) / sqrt(variance + eps) · gain + shift; biased variance. */
    void (*layer_norm)(float *x, const float *gain, const float *shift, size_t n, float eps);
    /* x = exp(scale · x + bias − the largest of these), whose sum is returned: a softmax that still
     * has to be divided by it. Safe for any finite numbers; scale > 0, bias may be NULL. */
    float (*exp_sum)(float *x, size_t n, float scale, const float *bias);
    void (*activate)(float *x, size_t n, enum activation activation);
    /* to[column][row] = from[row][column], rows from_stride and to_stride apart. */
    void (*transpose)(float *to, size_t to_stride, const float *from, size_t from_stride,
                      size_t rows, size_t columns);
};

extern const struct kernels kernels_scalar, kernels_avx2, kernels_avx512;

/* Lies over kernels_avx512 where the CPU multiplies pairs of BF16 (avx512bf16): a part of that
 * level, not one to be asked for. */
extern const struct kernels kernels_avx512_bf16;

/* Writes the table of the level named `wanted` to *out. NULL means $WEIR_CPU, and where that is not
 * set the best that this CPU has. WEIR_INVALID names a level that is unknown or not offered. */
enum weir_code kernels_choose(const char *wanted, struct kernels *out, struct weir_error *err);

/* Lays the entries that `level` has over those of `table`; the name follows. */
void kernels_overlay(struct kernels *table, const struct kernels *level);

#endif
