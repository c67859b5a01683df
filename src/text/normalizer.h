/* normalizer.h — what is done to a text before it is cut into words.
 *
 * One row a type that a file may name. Today: BertNormalizer, whose steps run in this order, each
 * over the result of the one before: clean_text (control characters go, white space becomes a
 * space), handle_chinese_chars (ideographs get spaces around them), strip_accents (decompose, then
 * drop what does not take space), lowercase. */
#ifndef TEXT_NORMALIZER_H
#define TEXT_NORMALIZER_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct field;
struct normalizer;

struct normalizer_kind {
    const char *name;
    enum weir_code (*load)(struct normalizer *n, const struct field *f, struct weir_error *err);
    void (*apply)(const struct normalizer *n, struct str text, struct buffer *out);
};
struct normalizer {
    const struct normalizer_kind *kind;
    bool clean_text, handle_chinese_chars, strip_accents, lowercase;
    uint8_t ascii[128]; /* what becomes of an ASCII byte; above 127: it goes */
};

/* No text grows to more than this many times its bytes and a little. */
#define NORMALIZER_GROWTH_MAX 8

/* `f` is the file's field `normalizer`. */
enum weir_code normalizer_load(struct normalizer *n, const struct field *f, struct weir_error *err);
/* Appends the normalised text, which must be UTF-8. Failure is the buffer's. */
void normalizer_apply(const struct normalizer *n, struct str text, struct buffer *out);

#endif
