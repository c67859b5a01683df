/* pretokenizer.h — cuts normalised text into words.
 *
 * A list of steps; one row a type that a file may name. A step gets one piece after the other and
 * hands on what it cuts or rewrites it to, so a text runs through all steps from its beginning to
 * its end and nothing but the rooms of rewriting steps is kept. What the last step hands on are the
 * words; none is empty. The types do what the reference library's do:
 *
 *     BertPreTokenizer      white space goes, each punctuation mark is a word
 *     Whitespace            runs of word characters, and of what is neither that nor white space
 *     WhitespaceSplit       white space goes
 *     Punctuation, Split    marks, or a pattern, cut the text (see split_behavior)
 *     Digits                numbers are words; each digit alone, if asked for
 *     CharDelimiterSplit    a character cuts the text and goes
 *     Metaspace             spaces become a mark that begins a word; one may be put first
 *     ByteLevel             words by GPT-2's pattern, then byte_level.h */
#ifndef TEXT_PRETOKENIZER_H
#define TEXT_PRETOKENIZER_H

#include "text/field.h"
#include "text/pattern.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What becomes of a match that cuts a text: it goes; it is a piece; it ends the piece before it; it
 * begins the piece behind it; matches without a gap are one piece. */
#define SPLIT_BEHAVIORS(X)                                                                         \
    X(REMOVED, "Removed")                                                                          \
    X(ISOLATED, "Isolated")                                                                        \
    X(MERGED_WITH_PREVIOUS, "MergedWithPrevious")                                                  \
    X(MERGED_WITH_NEXT, "MergedWithNext")                                                          \
    X(CONTIGUOUS, "Contiguous")

#define SPLIT_ENUM(name, text) SPLIT_##name,
enum split_behavior { SPLIT_BEHAVIORS(SPLIT_ENUM) SPLIT_BEHAVIORS_COUNT };
#undef SPLIT_ENUM

/* Whether Metaspace puts its mark before a piece: any, the first of the text, none. */
#define PREPEND_SCHEMES(X)                                                                         \
    X(ALWAYS, "always")                                                                            \
    X(FIRST, "first")                                                                              \
    X(NEVER, "never")

#define PREPEND_ENUM(name, text) PREPEND_##name,
enum prepend_scheme { PREPEND_SCHEMES(PREPEND_ENUM) PREPEND_SCHEMES_COUNT };
#undef PREPEND_ENUM

struct pretokenizer_step;
struct pretokenizer_walk;

/* A part of the text; `is_first`: it begins where the text began. */
struct piece {
    struct str text;
    bool is_first;
};

struct pretokenizer_kind {
    const char *name;
    /* Not mandatory: a type without fields needs none. */
    enum weir_code (*load)(struct pretokenizer_step *p, const struct field *f,
                           struct weir_error *err);
    /* Hands on what becomes of a piece, by pretokenizer_pass; false as soon as that is. */
    bool (*run)(struct pretokenizer_walk *w, size_t step, struct piece piece);
};
struct pretokenizer_step {
    const struct pretokenizer_kind *kind;
    struct pattern pattern;
    enum split_behavior behavior;
    bool inverts; /* what does not match cuts */
    uint32_t delimiter;
    char *mark; /* owned: Metaspace's replacement */
    enum prepend_scheme scheme;
    bool splits;       /* Metaspace */
    bool prefixes;     /* ByteLevel: a space first */
    bool uses_pattern; /* ByteLevel */
};
struct pretokenizer {
    struct pretokenizer_step *steps;
    size_t count;
    bool asks_first; /* a step looks at piece.is_first */
};

extern const struct pretokenizer_kind pretokenizer_split_kinds[]; /* ends in a NULL name */

/* `f` is the file's field `pre_tokenizer`; null is no steps. pretokenizer_finish is due after a
 * failure too. */
enum weir_code pretokenizer_load(struct pretokenizer *p, const struct field *f,
                                 struct weir_error *err);
void pretokenizer_finish(struct pretokenizer *p);

/* Takes a word, which is never empty; false ends the walk. */
typedef bool (*pretokenizer_emit)(void *context, struct str word);

/* What one step needs for itself. */
struct pretokenizer_room {
    struct buffer text, mapped;
    struct pattern_work work;
};
struct pretokenizer_walk {
    const struct pretokenizer *pretokenizer;
    struct pretokenizer_room *rooms;
    pretokenizer_emit emit;
    void *context;
};
/* `text_len` is the longest text to come. */
void pretokenizer_walk_init(struct pretokenizer_walk *w, const struct pretokenizer *p,
                            size_t text_len, pretokenizer_emit emit, void *context);
void pretokenizer_walk_finish(struct pretokenizer_walk *w);
/* Emits the words of a text. False when `emit` said so, a pattern gave up or there is no memory. */
bool pretokenizer_run(struct pretokenizer_walk *w, struct piece text);
/* A pattern gave up on a text. */
bool pretokenizer_gave_up(const struct pretokenizer_walk *w);
/* For steps: hands a piece, if it is not empty, to what comes behind step `step`. */
bool pretokenizer_pass(struct pretokenizer_walk *w, size_t step, struct piece piece);

#endif
