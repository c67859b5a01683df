/* normalizer.h — what is done to a text before it is cut into words.
 *
 * A list of steps, each over the result of the one before; one row a type that a file may name. The
 * types do what the reference library's do:
 *
 *     BertNormalizer            clean_text (control characters go, white space becomes a space),
 *                               handle_chinese_chars (spaces around ideographs), strip_accents
 *                               (decompose, then drop what takes no space), lowercase
 *     NFC NFD NFKC NFKD         form.h
 *     Lowercase, StripAccents   each code point for itself
 *     Strip                     white space at the ends goes
 *     Replace                   a string or a pattern becomes a string
 *     Prepend                   before a text that is not empty
 *     Precompiled               charsmap.h
 *     Nmt                       control characters go, odd spaces become spaces
 *     ByteLevel                 byte_level.h */
#ifndef TEXT_NORMALIZER_H
#define TEXT_NORMALIZER_H

#include "text/charsmap.h"
#include "text/field.h"
#include "text/form.h"
#include "text/pattern.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No text grows to more than this many times its bytes and NORMALIZER_GROWTH_BYTES; a file that
 * makes it grow further is at fault, and the text is refused. (The most that Unicode asks for is 11
 * times, by NFKD.) */
#define NORMALIZER_GROWTH_MAX   64
#define NORMALIZER_GROWTH_BYTES 4096

struct normalizer_step;
struct normalizer_work;

struct normalizer_kind {
    const char *name;
    /* Not mandatory: a type without fields needs none. */
    enum weir_code (*load)(struct normalizer_step *n, const struct field *f,
                           struct weir_error *err);
    /* Returns the text itself, a part of it, or a view of w->out, which was empty. Failure is the
     * buffer's. */
    struct str (*apply)(const struct normalizer_step *n, struct str text,
                        struct normalizer_work *w);
    /* A text's beginning is gone when its first code point is, taken alone: normalizer_starts. */
    bool drops_alone;
};
struct normalizer_step {
    const struct normalizer_kind *kind;
    bool drops_alone; /* the kind's, but for Strip, where it depends on the side */
    struct {
        bool clean_text, handle_chinese_chars, strip_accents, lowercase;
        uint8_t ascii[128]; /* what becomes of an ASCII byte; above 127: it goes */
    } bert;
    enum form form;
    bool strips_left, strips_right;
    struct pattern pattern; /* Replace */
    char *content;          /* owned: Replace, Prepend */
    struct charsmap map;
};
struct normalizer {
    struct normalizer_step *steps;
    size_t count;
};

extern const struct normalizer_kind normalizer_bert;

/* `f` is the file's field `normalizer`; null is no steps. normalizer_finish is due after a failure
 * too. */
enum weir_code normalizer_load(struct normalizer *n, const struct field *f, struct weir_error *err);
void normalizer_finish(struct normalizer *n);

/* Room for the results of steps, which take turns. One a thread. */
struct normalizer_work {
    struct buffer rooms[2];
    struct buffer *out; /* the room that is free */
    struct pattern_work pattern;
    bool gave_up; /* the text grew past the bound, or a pattern gave up on it; stays */
};
/* `text_len` is the longest text to come. */
void normalizer_work_init(struct normalizer_work *w, size_t text_len);
void normalizer_work_finish(struct normalizer_work *w);
/* The normalised text, which must be UTF-8: itself, a part of it, or in `w` and borrowed until the
 * next call. False when `w` gave up or there is no memory. */
bool normalizer_apply(const struct normalizer *n, struct str text, struct normalizer_work *w,
                      struct str *out);
/* True when the first character of a normalised text still stands for the first of the text: when
 * what was there has not been dropped or merged into what is behind it. */
bool normalizer_starts(const struct normalizer *n, struct str text, struct normalizer_work *w);

#endif
