/* vectors.h — what is done to finished embedding vectors. */
#ifndef WORKER_VECTORS_H
#define WORKER_VECTORS_H

#include <stdbool.h>
#include <stddef.h>

/* To length 1; a vector of zeros stays as it is. */
void vectors_normalize(float *vector, size_t dim);

/* Keeps the first `keep` numbers of each row, packed, and normalises what is left of it where the
 * whole was `is_normalized`. */
void vectors_cut(float *vectors, size_t rows, size_t dim, size_t keep, bool is_normalized);

#endif
