/* embed_output.h — the vectors of `weir embed` as a table, as JSON lines or as a NumPy file. */
#ifndef CMD_EMBED_OUTPUT_H
#define CMD_EMBED_OUTPUT_H

#include "base/error.h"
#include "cmd/backend.h"
#include "cmd/npy.h"

#include <stdbool.h>
#include <stddef.h>

enum embed_format { EMBED_TABLE, EMBED_JSON, EMBED_NPY };

struct embed_output {
    enum embed_format format;
    struct npy npy;
    bool begun;
};

/* `path` is for EMBED_NPY only. */
enum weir_code embed_output_begin(struct embed_output *o, enum embed_format format,
                                  const char *path, struct weir_error *err);
/* Everything that was given is written when it returns. `first` is the number of the first row.
 * WEIR_CANCELLED: nobody reads stdout any more. */
enum weir_code embed_output_rows(struct embed_output *o, const struct embeddings *rows,
                                 size_t first, struct weir_error *err);
enum weir_code embed_output_end(struct embed_output *o, struct weir_error *err);
void embed_output_discard(struct embed_output *o);

#endif
