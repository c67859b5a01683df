/* packed.h — the weights of a matrix product in the order in which a kernel reads them.
 *
 * Weights come as a Linear layer stores them, [columns of out][depth]. They are packed into panels
 * for the chosen kernel, so that it reads them in one stream:
 *
 *     w [N][K]                 panels [N / NR][K][NR]
 *     n0  k0 k1 k2 …           panel 0:  k0: n0 n1 … n(NR-1)
 *     n1  k0 k1 k2 …                     k1: n0 n1 … n(NR-1)   …
 *     …                        panel 1:  k0: nNR …             (the last one padded with 0)
 *
 * BF16 numbers share 32-bit words, the first in the low half. Where rows stay F32 the two are
 * columns of one k, half a panel apart; where rows are rounded too they are two k of one column:
 *
 *     k0: n0|n(NR/2) n1|n(NR/2+1) …        or        k0|k1 of n0, k0|k1 of n1, …
 *
 * A packed product is a view: panels and bias lie in memory that somebody else owns, private or
 * mapped from a file. What stands there depends on the precision and on the kernel's layout, which
 * has a name (packed_layout) that a file can carry. */
#ifndef TENSOR_PACKED_H
#define TENSOR_PACKED_H

#include "tensor/cpu/kernels.h"
#include "tensor/precision.h"
#include "tensor/tensor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct team;

enum { PACKED_ALIGNMENT = 64 };

/* A zeroed struct is "nothing packed". */
struct packed {
    enum precision precision;
    const void *panels;
    const float *bias; /* [columns rounded up to whole panels] */
    size_t columns;
    size_t depth;
    size_t panel_bytes;
};

/* Names what a packed block is like, whatever table it was made for: "f32x16", "bf16x32k2". A block
 * may be read by kernels of the same layout only. */
const char *packed_layout(const struct kernels *k, enum precision precision);

/* Exact size of a product's block, a multiple of PACKED_ALIGNMENT. False on overflow. */
bool packed_bytes(const struct kernels *k, enum precision precision, uint64_t columns,
                  uint64_t depth, uint64_t *out_bytes);

/* Looks at a block of packed_bytes at a multiple of PACKED_ALIGNMENT; reads nothing of it. */
void packed_view(struct packed *p, const struct kernels *k, enum precision precision,
                 size_t columns, size_t depth, const void *block);

/* Puts weight [n][depth] and bias [n] (or NULL) where columns `at` … at + n − 1 of out come from,
 * so that layers with one input can share one product. `block` is the one that `p` looks at, here
 * to be written; it was zero before the first call. Shapes are the caller's to check. */
void packed_fill(const struct packed *p, void *block, const struct kernels *k, struct team *team,
                 size_t at, const struct tensor *weight, const struct tensor *bias);

#endif
