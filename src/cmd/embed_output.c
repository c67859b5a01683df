#include "cmd/embed_output.h"

#include "base/buffer.h"
#include "base/size.h"
#include "cmd/verb.h"

#define SHOWN 5 /* numbers of a vector in the table */

enum weir_code embed_output_begin(struct embed_output *o, enum embed_format format,
                                  const char *path, struct weir_error *err)
{
    *o = (struct embed_output){ .format = format };
    return format == EMBED_NPY ? npy_begin(&o->npy, path, err) : WEIR_OK;
}

/* Newton's square root: one column of a table is no reason to link the maths library. */
static double square_root(double x)
{
    double root = x > 1 ? x : 1;
    for (int i = 0; i < 200 && root * root > x * (1 + 1e-15); i++)
        root = (root + x / root) / 2;
    return root;
}

static void table_row(struct buffer *out, size_t index, uint32_t tokens, const float *vector,
                      size_t dim)
{
    double square = 0;
    for (size_t i = 0; i < dim; i++)
        square += (double)vector[i] * (double)vector[i];
    buffer_printf(out, "%6zu  %6u  %7.4f ", index, tokens, square_root(square));
    for (size_t i = 0; i < dim && i < SHOWN; i++)
        buffer_printf(out, " %8.5f", (double)vector[i]);
    buffer_text(out, dim > SHOWN ? " …\n" : "\n");
}

enum weir_code embed_output_rows(struct embed_output *o, const struct embeddings *rows,
                                 size_t first, struct weir_error *err)
{
    if (o->format == EMBED_NPY)
        return npy_rows(&o->npy, rows->vectors, rows->rows, rows->dim, err);
    struct buffer out;
    buffer_init(&out, GiB);
    if (o->format == EMBED_TABLE && !o->begun)
        buffer_printf(&out, "%6s  %6s  %7s  first of %zu numbers\n", "index", "tokens", "norm",
                      rows->dim);
    o->begun = true;
    for (size_t r = 0; r < rows->rows; r++) {
        const float *const vector = rows->vectors + r * rows->dim;
        if (o->format == EMBED_TABLE)
            table_row(&out, first + r, rows->tokens[r], vector, rows->dim);
        else
            line_embedding(&out, first + r, rows->tokens[r], vector, rows->dim);
    }
    const enum weir_code code =
        out.failed ? weir_fail(err, WEIR_NO_MEMORY, "no memory for %zu lines of output", rows->rows)
                   : verb_write(&out, err);
    buffer_finish(&out);
    return code;
}

enum weir_code embed_output_end(struct embed_output *o, struct weir_error *err)
{
    return o->format == EMBED_NPY ? npy_end(&o->npy, err) : WEIR_OK;
}

void embed_output_discard(struct embed_output *o)
{
    npy_discard(&o->npy);
}
