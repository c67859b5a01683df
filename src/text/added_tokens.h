/* added_tokens.h — names that stand for one token wherever they occur in a text.
 *
 * Names are looked for from left to right, the longest first: those without `normalized` in the raw
 * text, the others, themselves normalised, in what the normaliser made of the rest. What is between
 * the names goes on to become words. A name that was found but is refused by its `single_word` also
 * hides the names within it. */
#ifndef TEXT_ADDED_TOKENS_H
#define TEXT_ADDED_TOKENS_H

#include "text/normalizer.h"
#include "text/trie.h"
#include "text/vocabulary.h"

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct field;

struct added_token {
    int32_t id;
    bool is_special;
    bool is_normalized;      /* looked for in normalised text */
    bool is_word;            /* not where a letter touches it */
    bool takes_space_before; /* white space beside it belongs to it */
    bool takes_space_behind;
};
struct matcher {
    struct trie trie; /* names to indexes of added_token */
    bool starts[256]; /* bytes that a name begins with */
};
struct added_tokens {
    struct added_token *items;
    size_t count;
    struct matcher raw, normalized;
};

/* `f` is the file's field `added_tokens`. Tokens that the model's vocabulary does not have are
 * added to it. added_tokens_finish is due after a failure too. */
enum weir_code added_tokens_load(struct added_tokens *a, const struct field *f,
                                 struct vocabulary *v, const struct normalizer *n,
                                 struct weir_error *err);
void added_tokens_finish(struct added_tokens *a);

/* A walk over a text, whose members are private to it. */
struct added_scan {
    const struct added_tokens *added;
    const struct matcher *matcher;
    struct str text;
    size_t taken;  /* everything before it was given out */
    size_t search; /* where the next name may begin */
    const struct added_token *pending;
};
/* Of raw text, or of normalised text. */
struct added_scan added_tokens_scan_raw(const struct added_tokens *a, struct str text);
struct added_scan added_tokens_scan_normalized(const struct added_tokens *a, struct str text);
/* The next part: a token, or text between tokens (*out_token is NULL). False at the end. */
bool added_tokens_next(struct added_scan *s, struct str *out_text,
                       const struct added_token **out_token);

#endif
