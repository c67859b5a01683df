/* matmul.h — out = activation(a × wᵀ + bias + addend), w packed once, a read in place.
 *
 * Weights come as a Linear layer stores them, [columns of out][depth]. They are packed into panels
 * for the chosen kernel, so that it reads them in one stream:
 *
 *     w [N][K]                 panels [N / NR][K][NR]
 *     n0  k0 k1 k2 …           panel 0:  k0: n0 n1 … n(NR-1)
 *     n1  k0 k1 k2 …                     k1: n0 n1 … n(NR-1)   …
 *     …                        panel 1:  k0: nNR …             (the last one padded with 0)
 *
 * Threads divide rows and panels, never k: each number of out is one chain of additions in the
 * order of k, so a row comes out the same bits alone, among others and on any number of threads. */
#ifndef TENSOR_MATMUL_H
#define TENSOR_MATMUL_H

#include "base/error.h"
#include "tensor/cpu/kernels.h"
#include "tensor/tensor.h"

#include <stddef.h>
#include <stdint.h>

struct team;

/* Panels and bias in one block of memory. A zeroed struct is "nothing packed". */
struct packed {
    float *panels;
    float *bias; /* [columns rounded up to whole panels] */
    size_t columns;
    size_t depth;
};

/* Exact size of the block. False on overflow. */
bool packed_bytes(const struct kernels *k, uint64_t columns, uint64_t depth, uint64_t *out_bytes);

/* WEIR_NO_MEMORY states the size. Panels and bias are zero until filled. */
enum weir_code packed_init(struct packed *p, const struct kernels *k, size_t columns, size_t depth,
                           struct weir_error *err);
void packed_finish(struct packed *p);

/* Puts weight [n][depth] and bias [n] (or NULL) where columns `at` … at + n − 1 of out come from,
 * so that layers with one input can share one product. Shapes are the caller's to check. */
void packed_fill(struct packed *p, const struct kernels *k, struct team *team, size_t at,
                 const struct tensor *weight, const struct tensor *bias);

struct matmul {
    const struct packed *weights;
    const float *a; /* [rows][depth], rows a_stride floats apart */
    size_t a_stride;
    size_t rows;
    const float *addend; /* [rows][columns], addend_stride apart, or NULL; may be out */
    size_t addend_stride;
    float *out; /* [rows][columns], out_stride apart */
    size_t out_stride;
    enum activation activation;
};

void matmul_run(const struct matmul *m, const struct kernels *k, struct team *team);

#endif
