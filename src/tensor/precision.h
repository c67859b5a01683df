/* precision.h — in what numbers the weights of matrix products are kept. Everything else of a model
 * (activations, norms, bias, softmax) stays F32. */
#ifndef TENSOR_PRECISION_H
#define TENSOR_PRECISION_H

#include "base/str.h"

#include <stdbool.h>

/*    id    name  */
#define PRECISIONS(X)                                                                              \
    X(F32, f32)                                                                                    \
    X(BF16, bf16)

enum precision {
#define X(ID, name) PRECISION_##ID,
    PRECISIONS(X)
#undef X
        PRECISION_COUNT
};

const char *precision_name(enum precision precision);
bool precision_parse(struct str name, enum precision *out);

#endif
