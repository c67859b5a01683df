#include "cmd/embed_output.h"

#include "base/buffer.h"
#include "base/size.h"
#include "cmd/interrupt.h"
#include "cmd/verb.h"

#include <stdio.h>

#define SHOWN 5 /* numbers of a vector in the table */

enum weir_code embed_output_begin(struct embed_output *o, enum embed_format format,
                                  const char *path, struct weir_error *err)
{
    *o = (struct embed_output){ .format = format, .has_file = path != NULL };
    enum weir_code code = WEIR_OK;
    interrupt_hold();
    interrupt_arm(path != NULL ? &o->npy.file : NULL);
    if (format == EMBED_NPY)
        code = npy_begin(&o->npy, path, err);
    else if (path != NULL)
        code = output_file_begin(&o->npy.file, path, 0, err);
    interrupt_release();
    return code;
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

static enum weir_code write_text(struct embed_output *o, const struct embeddings *rows,
                                 size_t first, struct weir_error *err)
{
    struct buffer out;
    buffer_init(&out, GiB);
    if (o->format == EMBED_TABLE && !o->begun)
        buffer_printf(&out, "%6s  %6s  %7s  first of %zu numbers\n", "index", "tokens", "norm",
                      rows->dim);
    for (size_t r = 0; r < rows->rows; r++) {
        const float *const vector = rows->vectors + r * rows->dim;
        if (o->format == EMBED_TABLE)
            table_row(&out, first + r, rows->tokens[r], vector, rows->dim);
        else
            line_embedding(&out, first + r, rows->tokens[r], vector, rows->dim);
    }
    enum weir_code code = WEIR_OK;
    if (out.failed)
        code = weir_fail(err, WEIR_NO_MEMORY, "no memory for %zu lines of output", rows->rows);
    else if (o->has_file)
        code = output_file_write(&o->npy.file, out.data, out.len, err);
    else
        code = verb_write(&out, err);
    buffer_finish(&out);
    return code;
}

enum weir_code embed_output_rows(struct embed_output *o, const struct embeddings *rows,
                                 size_t first, struct weir_error *err)
{
    interrupt_hold();
    const enum weir_code code = o->format == EMBED_NPY
                                    ? npy_rows(&o->npy, rows->vectors, rows->rows, rows->dim, err)
                                    : write_text(o, rows, first, err);
    o->begun = true;
    o->rows += code == WEIR_OK ? rows->rows : 0;
    if (o->has_file && o->npy.file.part != NULL) {
        str_print(o->kept, sizeof(o->kept), "weir embed: the first %zu answers are in %s\n",
                  o->rows, o->npy.file.part);
        interrupt_say(o->rows > 0 ? o->kept : "");
    }
    interrupt_release();
    return code;
}

enum weir_code embed_output_end(struct embed_output *o, struct weir_error *err)
{
    interrupt_hold(); /* the disk may take its time, and the file beside must not stay */
    const enum weir_code code = o->has_file ? output_file_end(&o->npy.file, err) : WEIR_OK;
    interrupt_release();
    interrupt_disarm();
    return code;
}

void embed_output_keep(struct embed_output *o)
{
    struct weir_error err;
    interrupt_hold();
    if (o->rows == 0 || o->npy.file.path == NULL)
        output_file_discard(&o->npy.file);
    else if (output_file_keep(&o->npy.file, &err) == WEIR_OK)
        fputs(o->kept, stderr);
    else
        fprintf(stderr, "weir embed: nothing is kept: %s\n", err.text);
    interrupt_release();
    interrupt_disarm();
}
