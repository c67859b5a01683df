/* npy.h — writes a table of floats as a NumPy file (format 1.0, float32, C order), row by row, into
 * an output file whose head it keeps true: so many rows as were written. */
#ifndef CMD_NPY_H
#define CMD_NPY_H

#include "base/error.h"
#include "cmd/output_file.h"

#include <stddef.h>

/* Zeroed: nothing is open. */
struct npy {
    struct output_file file; /* for output_file_end, _keep and _discard */
    size_t rows, dim;
};

enum weir_code npy_begin(struct npy *n, const char *path, struct weir_error *err);
/* Every call must bring rows of the same length. */
enum weir_code npy_rows(struct npy *n, const float *rows, size_t count, size_t dim,
                        struct weir_error *err);

#endif
