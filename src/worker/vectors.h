/* vectors.h — what is done to finished embedding vectors. */
#ifndef WORKER_VECTORS_H
#define WORKER_VECTORS_H

#include <stddef.h>

/* To length 1; a vector of zeros stays as it is. */
void vectors_normalize(float *vector, size_t dim);

/* Keeps the first `keep` numbers of each row, packed, and normalises what is left where that is not
 * all of it: a part of a vector has no length of its own that would mean anything. */
void vectors_cut(float *vectors, size_t rows, size_t dim, size_t keep);

#endif
