/* decoder.h — from the pieces of ids back to a text.
 *
 * One row a type that a file may name. Today: WordPiece, which glues what begins with the prefix of
 * inner pieces to what stands before it and puts a space before anything else. */
#ifndef TEXT_DECODER_H
#define TEXT_DECODER_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>

struct field;
struct decoder;

struct decoder_kind {
    const char *name;
    enum weir_code (*load)(struct decoder *d, const struct field *f, struct weir_error *err);
    void (*append)(const struct decoder *d, struct str piece, bool is_first, struct buffer *out);
};
struct decoder {
    const struct decoder_kind *kind;
    char *prefix; /* owned */
    bool cleanup; /* no space before punctuation and contractions */
};

/* `f` is the file's field `decoder`. decoder_finish is due after a failure too. */
enum weir_code decoder_load(struct decoder *d, const struct field *f, struct weir_error *err);
void decoder_finish(struct decoder *d);
/* Appends what the piece adds to the text. Failure is the buffer's. */
void decoder_append(const struct decoder *d, struct str piece, bool is_first, struct buffer *out);

#endif
