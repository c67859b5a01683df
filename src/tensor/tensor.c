#include "tensor/tensor.h"

#include "base/check.h"
#include "base/size.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool tensor_bytes(const struct tensor *t, uint64_t *out_bytes)
{
    uint64_t bytes = dtype_size(t->dtype);
    for (uint32_t i = 0; i < t->rank; i++) {
        if (t->dims[i] < 0 || !size_mul(bytes, (uint64_t)t->dims[i], &bytes))
            return false;
    }
    *out_bytes = bytes;
    return true;
}

const void *tensor_row(const struct tensor *t, size_t row)
{
    CHECK(t->rank > 0);
    size_t row_bytes = (size_t)t->dims[t->rank - 1] * dtype_size(t->dtype);
    return (const char *)t->data + row * row_bytes;
}

const char *tensor_shape(const int64_t *dims, uint32_t rank, struct shape_text *out)
{
    static const char cut[] = "…";
    const size_t end = sizeof(out->text) - sizeof(cut) - 1;
    size_t at = 1;
    memcpy(out->text, "[", 2);
    for (uint32_t i = 0; i < rank; i++) {
        char dim[24];
        int length = snprintf(dim, sizeof(dim), "%s%" PRId64, i > 0 ? "," : "", dims[i]);
        CHECK(length > 0 && (size_t)length < sizeof(dim));
        if (at + (size_t)length > end) {
            memcpy(out->text + at, cut, sizeof(cut));
            return out->text;
        }
        memcpy(out->text + at, dim, (size_t)length);
        at += (size_t)length;
    }
    memcpy(out->text + at, "]", 2);
    return out->text;
}
