/* npy.h — writes a table of floats as a NumPy file (format 1.0, float32, C order), row by row.
 *
 * The rows go to a file beside the target, which takes the target's name when it is complete: there
 * is the old file or the whole new one. The temporary file is removed when the program is ended by
 * SIGINT or SIGTERM between npy_guard and npy_unguard. */
#ifndef CMD_NPY_H
#define CMD_NPY_H

#include "base/error.h"

#include <stddef.h>
#include <stdio.h>

struct npy {
    char *path, *temporary;
    FILE *file; /* NULL: nothing is open */
    size_t rows, dim;
};

enum weir_code npy_begin(struct npy *n, const char *path, struct weir_error *err);
/* Every call must bring rows of the same length. */
enum weir_code npy_rows(struct npy *n, const float *rows, size_t count, size_t dim,
                        struct weir_error *err);
enum weir_code npy_end(struct npy *n, struct weir_error *err); /* the file is complete */
void npy_discard(struct npy *n); /* harmless after npy_end and on a zeroed struct */

void npy_guard(const struct npy *n);
void npy_unguard(void);

#endif
