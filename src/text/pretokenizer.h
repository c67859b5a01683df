/* pretokenizer.h — cuts normalised text into words.
 *
 * One row a type that a file may name. Today: BertPreTokenizer, which drops white space and makes
 * each punctuation mark a word. */
#ifndef TEXT_PRETOKENIZER_H
#define TEXT_PRETOKENIZER_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>

struct field;
struct pretokenizer;

struct pretokenizer_kind {
    const char *name;
    enum weir_code (*load)(struct pretokenizer *p, const struct field *f, struct weir_error *err);
    bool (*next)(const struct pretokenizer *p, struct str *rest, struct str *out_word);
};
struct pretokenizer {
    const struct pretokenizer_kind *kind;
};

/* `f` is the file's field `pre_tokenizer`. */
enum weir_code pretokenizer_load(struct pretokenizer *p, const struct field *f,
                                 struct weir_error *err);
/* Takes the next word, which is never empty, off the front of *rest; false when there is none. */
bool pretokenizer_next(const struct pretokenizer *p, struct str *rest, struct str *out_word);

#endif
