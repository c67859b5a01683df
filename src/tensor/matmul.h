/* matmul.h — out = activation(a × wᵀ + bias + addend), w packed once (packed.h), a read in place.
 *
 * Threads divide rows and panels, never k: each number of out is one chain of additions in the
 * order of k, so a row comes out the same bits alone, among others and on any number of threads. */
#ifndef TENSOR_MATMUL_H
#define TENSOR_MATMUL_H

#include "tensor/packed.h"

#include <stddef.h>
#include <stdint.h>

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
    void *scratch; /* matmul_scratch_bytes for each thread; NULL where that is 0 */
};

/* What each thread needs to round rows of `a` of this depth: 0 for F32, and for BF16 where the
 * kernel multiplies F32 rows; a multiple of PACKED_ALIGNMENT. */
uint64_t matmul_scratch_bytes(const struct kernels *k, enum precision precision, uint64_t depth);

/* The whole product on the whole team, rows and columns divided. */
void matmul_run(const struct matmul *m, const struct kernels *k, struct team *team);

/* The whole product by the caller alone, inside a task; its scratch is the caller's own. */
void matmul_alone(const struct matmul *m, const struct kernels *k);

#endif
