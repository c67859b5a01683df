/* tensor.h — numbers in a shape: a plain value that borrows its data. Row-major, never strided. */
#ifndef TENSOR_TENSOR_H
#define TENSOR_TENSOR_H

#include "tensor/dtype.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TENSOR_RANK_MAX 8

struct tensor {
    enum dtype dtype;
    uint32_t rank;
    int64_t dims[TENSOR_RANK_MAX];
    const void *data; /* may be unaligned: read it through dtype_to_f32 */
};

/* Bytes of the data. False when a dimension is negative or the product overflows. */
bool tensor_bytes(const struct tensor *t, uint64_t *out_bytes);

/* The last dimension is a row; `row` counts over all others. */
const void *tensor_row(const struct tensor *t, size_t row);

/* "[30522,384]" for messages; a shape too long for the text ends in "…". */
struct shape_text {
    char text[96];
};
const char *tensor_shape(const int64_t *dims, uint32_t rank, struct shape_text *out);

#endif
