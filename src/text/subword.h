/* subword.h — how a word becomes ids of a vocabulary.
 *
 * One row a type that the file's `model` may name. Today: WordPiece, in wordpiece.c, which takes
 * the longest piece that the rest of the word begins with, again and again; a word that can't be
 * made of pieces to its end is one unknown token as a whole. */
#ifndef TEXT_SUBWORD_H
#define TEXT_SUBWORD_H

#include "text/tokens.h"
#include "text/vocabulary.h"

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct field;
struct subword;

struct subword_kind {
    const char *name;
    /* Fills the vocabulary too. */
    enum weir_code (*load)(struct subword *s, const struct field *f, struct weir_error *err);
    bool (*encode)(const struct subword *s, struct str word, struct tokens *out);
};
struct subword {
    const struct subword_kind *kind;
    struct vocabulary vocabulary;
    int32_t unknown;       /* WordPiece: the id of unk_token */
    uint32_t inner;        /* WordPiece: the trie's node behind continuing_subword_prefix */
    size_t word_chars_max; /* WordPiece: a longer word is unknown */
};

extern const struct subword_kind subword_wordpiece;

/* `f` is the file's field `model`. The struct is zeroed or finished before; subword_finish is due
 * after a failure too. */
enum weir_code subword_load(struct subword *s, const struct field *f, struct weir_error *err);
void subword_finish(struct subword *s);
/* Appends the ids of a word; false when there is no memory. */
bool subword_encode(const struct subword *s, struct str word, struct tokens *out);

#endif
