/* vectors.h — what is done to finished embedding vectors. */
#ifndef WORKER_VECTORS_H
#define WORKER_VECTORS_H

#include "wire/text_embedding.h"

#include <stddef.h>

/* To length 1. A vector of zeros stays as it is, and to the bit also one that has that length
 * already, within what rounding does to it. */
void vectors_normalize(float *vector, size_t dim);

/* Keeps the first `keep` numbers of each row, packed, and normalises as was asked for. As the model
 * does means: what is left where that is not all of it, for a part of a vector has no length of its
 * own that would mean anything. */
void vectors_cut(float *vectors, size_t rows, size_t dim, size_t keep,
                 enum text_embedding_normalize normalize);

#endif
