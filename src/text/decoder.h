/* decoder.h — from the pieces of ids back to a text.
 *
 * A list of steps, each over all pieces as the one before left them; one row a type that a file may
 * name. What the last step leaves is joined. The types do what the reference library's do:
 *
 *     WordPiece      glues what begins with the prefix of inner pieces to what stands before it and
 *                    puts a space before anything else
 *     ByteLevel      byte_level.h, all pieces at once
 *     Metaspace      marks become spaces
 *     BPEDecoder     the suffix of a word's last piece becomes a space
 *     ByteFallback   pieces like <0xE4> become the bytes that they name
 *     Fuse           all pieces become one
 *     Strip          a character goes from the ends of each piece, so many times
 *     Replace        a string or a pattern becomes a string, in each piece */
#ifndef TEXT_DECODER_H
#define TEXT_DECODER_H

#include "text/field.h"
#include "text/pattern.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct decoder_step;

/* Texts, one behind the other. All zeros but the buffer is the empty list. */
struct decoder_pieces {
    struct buffer texts;
    struct buffer ends; /* a uint64_t for each */
};

struct decoder_kind {
    const char *name;
    /* Not mandatory: a type without fields needs none. */
    enum weir_code (*load)(struct decoder_step *d, const struct field *f, struct weir_error *err);
    /* `out` is empty. Failure is its buffers'. */
    void (*run)(const struct decoder_step *d, const struct decoder_pieces *in,
                struct decoder_pieces *out);
};
struct decoder_step {
    const struct decoder_kind *kind;
    char *text;    /* owned: the prefix, suffix, mark, content */
    bool cleanup;  /* WordPiece: no space before punctuation and contractions */
    bool prefixes; /* Metaspace: the first piece has no space */
    struct pattern pattern;
    size_t start, stop; /* Strip: how often */
};
struct decoder {
    struct decoder_step *steps;
    size_t count;
    bool joins_by_space; /* the file names no decoder */
};

/* `f` is the file's field `decoder`. decoder_finish is due after a failure too. */
enum weir_code decoder_load(struct decoder *d, const struct field *f, struct weir_error *err);
void decoder_finish(struct decoder *d);

void decoder_pieces_init(struct decoder_pieces *p, size_t bytes_max);
void decoder_pieces_finish(struct decoder_pieces *p);
void decoder_pieces_add(struct decoder_pieces *p, struct str piece);
/* Appends the text of the pieces, which are used up. Failure is the buffer's. */
void decoder_run(const struct decoder *d, struct decoder_pieces *pieces, struct buffer *out);

#endif
