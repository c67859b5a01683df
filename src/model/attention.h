/* attention.h — softmax(q·kᵀ / √d + bias)·v of one head over one sequence, without a mask.
 *
 * Keys and values of the head are packed into panels once and then used by all its queries, through
 * the same tile as any matrix product. All keys are summed in their order in one chain, so the
 * result of a query depends on its own sequence alone. */
#ifndef MODEL_ATTENTION_H
#define MODEL_ATTENTION_H

#include "tensor/cpu/kernels.h"

#include <stddef.h>
#include <stdint.h>

/* Rows of one sequence; the head's own columns begin at each pointer. */
struct attention {
    const float *query, *key, *value; /* [tokens][dim], rows `stride` floats apart */
    size_t stride;
    float *out; /* [tokens][dim], rows out_stride floats apart */
    size_t out_stride;
    size_t tokens;
    size_t dim;
    /* Added to a score by its distance, key − query, from this place on: 1 − tokens … tokens − 1.
     * Or NULL. */
    const float *bias;
};

/* Floats of scratch that a sequence of so many tokens needs; each thread brings its own. */
uint64_t attention_scratch_floats(const struct kernels *k, uint64_t tokens, uint64_t dim);

void attention_run(const struct attention *a, const struct kernels *k, float *scratch);

#endif
