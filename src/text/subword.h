/* subword.h — how a word becomes ids of a vocabulary.
 *
 * One row a type that the file's `model` may name, each in a file of its own:
 *   WordPiece  takes the longest piece that the rest of the word begins with, again and again; a
 *              word that can't be made of pieces to its end is one unknown token as a whole.
 *   Unigram    the pieces whose scores have the largest sum; what no piece covers is one unknown
 *              token a run, or its bytes.
 *   BPE        the word's characters, of which two neighbours become one, again and again, in the
 *              order that a list of merges says; a character without a piece is an unknown token,
 *              or its bytes.
 * The cost of a word grows with its length times the longest piece's, or times the logarithm of its
 * length, however it was chosen. */
#ifndef TEXT_SUBWORD_H
#define TEXT_SUBWORD_H

#include "text/merges.h"
#include "text/tokens.h"
#include "text/vocabulary.h"

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct field;
struct lists;
struct subword;

struct subword_kind {
    const char *name;
    /* Fills the vocabulary too. */
    enum weir_code (*load)(struct subword *s, const struct field *f, const struct lists *lists,
                           struct weir_error *err);
    bool (*encode)(const struct subword *s, struct str word, struct tokens *out);
};
struct subword {
    const struct subword_kind *kind;
    struct vocabulary vocabulary;
    int32_t unknown;       /* the id of what is not known, or VOCABULARY_NO_ID: BPE leaves it out */
    bool has_bytes;        /* Unigram, BPE: what is not known becomes `bytes`, if all are there */
    int32_t bytes[256];    /* Unigram, BPE: the ids of <0x00> … <0xFF>, or VOCABULARY_NO_ID */
    uint32_t inner;        /* WordPiece: the trie's node behind continuing_subword_prefix */
    size_t word_chars_max; /* WordPiece: a longer word is unknown */
    double *scores;        /* Unigram: by id; owned */
    double unknown_score;  /* Unigram: of a character without a piece */
    struct merges merges;  /* BPE */
    char *prefix, *suffix; /* BPE: of all characters but the first, of the last; owned, or NULL */
    bool fuses_unknown;    /* BPE: a run of unknown characters is one token */
    bool prefers_whole;    /* BPE: a word that is a piece is that piece, without merges */
    int32_t latin[256];    /* BPE: the pieces of the first code points, or VOCABULARY_NO_ID */
};

extern const struct subword_kind subword_wordpiece, subword_unigram, subword_bpe;

/* `f` is the file's field `model`, `lists` what lists_cut took out of it. The struct is zeroed or
 * finished before; subword_finish is due after a failure too. */
enum weir_code subword_load(struct subword *s, const struct field *f, const struct lists *lists,
                            struct weir_error *err);
void subword_finish(struct subword *s);
/* Appends the ids of a word; false when there is no memory. */
bool subword_encode(const struct subword *s, struct str word, struct tokens *out);

/* For the kinds: finds the pieces of `bytes`. */
void subword_find_bytes(struct subword *s);
/* Appends the bytes of a text as their pieces; false when one of them has none. There must be room
 * for text.len ids. */
bool subword_put_bytes(const struct subword *s, struct str text, struct tokens *out);
/* Finds `unknown`, which `f` names. */
enum weir_code subword_find_unknown(struct subword *s, const struct field *f, struct str text,
                                    struct weir_error *err);

#endif
