/* dtype.h — the number formats that tensors are stored in. */
#ifndef TENSOR_DTYPE_H
#define TENSOR_DTYPE_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*    name  bytes each */
#define DTYPES(X)                                                                                  \
    X(F32, 4)                                                                                      \
    X(F16, 2)                                                                                      \
    X(BF16, 2)                                                                                     \
    X(I64, 8)

enum dtype {
#define X(NAME, bytes) DTYPE_##NAME,
    DTYPES(X)
#undef X
        DTYPE_COUNT
};

const char *dtype_name(enum dtype type);
size_t dtype_size(enum dtype type);
bool dtype_parse(struct str name, enum dtype *out); /* exactly as in safetensors: "BF16" */
bool dtype_is_float(enum dtype type);

/* Reads `count` numbers of a float type as F32; exact for all three. `from` need not be aligned. */
void dtype_to_f32(enum dtype type, const void *from, float *to, size_t count);

/* The BF16 nearest to x, of two equally near the even one; a NaN stays one. */
uint16_t dtype_bf16(float x);

#endif
