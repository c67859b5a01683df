/* embed_output.h — the vectors of `weir embed` as a table, as JSON lines or as a NumPy file, on
 * stdout or in a file that is there when it is complete.
 *
 * What was answered is written before the next texts are looked at, and stays when a signal or an
 * error ends the work: on stdout as it is, of a file as FILE.part. */
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
    bool has_file, begun;
    struct npy npy; /* its file is that of the other formats too */
    size_t rows;
    char kept[512]; /* what is said of a file that is kept */
};

/* `path` NULL: stdout, which EMBED_NPY does not go to. */
enum weir_code embed_output_begin(struct embed_output *o, enum embed_format format,
                                  const char *path, struct weir_error *err);
/* Everything that was given is written when it returns. `first` is the number of the first row.
 * WEIR_CANCELLED: nobody reads stdout any more. */
enum weir_code embed_output_rows(struct embed_output *o, const struct embeddings *rows,
                                 size_t first, struct weir_error *err);
/* After a success, and after anything else: then a file with rows is kept and stderr says where. */
enum weir_code embed_output_end(struct embed_output *o, struct weir_error *err);
void embed_output_keep(struct embed_output *o);

#endif
