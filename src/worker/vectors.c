#include "worker/vectors.h"

#include "base/check.h"

#include <math.h>
#include <string.h>

/* Of the square of a length: thousands of numbers of 24 bits are summed in some order. */
#define LENGTH_TOLERANCE 1e-5

void vectors_normalize(float *vector, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += (double)vector[i] * vector[i];
    if (sum <= 0 || fabs(sum - 1) <= LENGTH_TOLERANCE)
        return;
    const double scale = 1 / sqrt(sum);
    for (size_t i = 0; i < dim; i++)
        vector[i] = (float)(vector[i] * scale);
}

void vectors_cut(float *vectors, size_t rows, size_t dim, size_t keep,
                 enum text_embedding_normalize normalize)
{
    const bool normalizes =
        normalize == WIRE_NORMALIZE_YES || (normalize == WIRE_NORMALIZE_AS_MODEL && keep < dim);
    CHECK(keep <= dim);
    if (keep == dim && !normalizes)
        return;
    for (size_t row = 0; row < rows; row++) {
        float *to = vectors + row * keep;
        /* Rows move to the front: none is overwritten before it was moved. */
        memmove(to, vectors + row * dim, keep * sizeof(*to));
        if (normalizes)
            vectors_normalize(to, keep);
    }
}
