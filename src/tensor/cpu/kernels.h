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

#include <stddef.h>

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

/* How a matrix product ends: what is done to a sum (and its bias) before it is stored. */
enum activation { ACTIVATION_NONE, ACTIVATION_GELU };

/* One tile of out = activation(a × panelᵀ + bias + addend). `panel` is [depth][columns of the
 * kernel]; what a tile does not need of its last columns is padding there and in `bias`, and is
 * neither read from `addend` nor written to `out`. */
struct matmul_tile {
    const float *a; /* [rows][depth], rows a_stride floats apart */
    size_t a_stride;
    size_t rows; /* 1 … the kernel's */
    const float *panel;
    size_t depth;
    const float *bias;   /* [columns of the kernel], or NULL */
    const float *addend; /* like out, or NULL; may be out itself */
    size_t addend_stride;
    float *out;
    size_t out_stride;
    size_t columns; /* 1 … the kernel's */
    enum activation activation;
};

/* The tile and its geometry go together. */
struct matmul_kernel {
    size_t rows;
    size_t columns;
    void (*tile)(const struct matmul_tile *t);
};

struct kernels {
    const char *name;
    struct matmul_kernel matmul;
    float (*dot)(const float *a, const float *b, size_t n);
    void (*add)(float *out, const float *x, size_t n); /* out += x */
    void (*scale)(float *x, float factor, size_t n);
    /* x = (x − mean) / sqrt(variance + eps) · gain + shift; biased variance. */
    void (*layer_norm)(float *x, const float *gain, const float *shift, size_t n, float eps);
    /* x = exp(scale · x) / Σ exp(scale · x), safe for any finite x; scale > 0. */
    void (*softmax)(float *x, float scale, size_t n);
    /* x = x · Φ(x), Φ by the error function ("gelu", not one of its approximations). */
    void (*gelu)(float *x, size_t n);
};

extern const struct kernels kernels_scalar, kernels_avx2, kernels_avx512;

/* Writes the table of the level named `wanted` to *out. NULL means $WEIR_CPU, and where that is not
 * set the best that this CPU has. WEIR_INVALID names a level that is unknown or not offered. */
enum weir_code kernels_choose(const char *wanted, struct kernels *out, struct weir_error *err);

/* Lays the entries that `level` has over those of `table`; the name follows. */
void kernels_overlay(struct kernels *table, const struct kernels *level);

#endif
