/* vocabulary.h — pieces of text and their ids.
 *
 * Two lists in one: the pieces of the model, which a text is looked up in, and tokens added to
 * them, which only have an id and a name. Owns all texts; what it hands out is borrowed until
 * vocabulary_finish. */
#ifndef TEXT_VOCABULARY_H
#define TEXT_VOCABULARY_H

#include "text/trie.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for the largest published vocabularies several times over. An id takes room even when it has
 * no piece, so a file may not name just any: up to the bytes of its list and some to spare. */
#define VOCABULARY_ID_MAX    (4 * 1024 * 1024 - 1)
#define VOCABULARY_IDS_SPARE 65536
#define VOCABULARY_BYTES_MAX (256 * 1024 * 1024)
#define VOCABULARY_NO_ID     (-1)

struct field;

struct vocabulary_piece {
    struct str text; /* data is NULL where the id has no piece */
    bool is_special;
};
struct vocabulary {
    struct vocabulary_piece *pieces; /* by id */
    size_t size;                     /* largest id + 1 */
    size_t cap;                      /* zeroed beyond size */
    int32_t id_max;                  /* the largest that a piece may get */
    struct trie trie;                /* the model's pieces to their ids */
    struct arena texts;
};

/* Three forms of the list that lists.h cuts out; `f` is its field, for errors. The vocabulary is
 * zeroed or finished before; vocabulary_finish is due after a failure too.
 *
 * An object of piece to id. No piece may stand in it twice. */
enum weir_code vocabulary_load(struct vocabulary *v, const struct field *f, struct str list,
                               struct weir_error *err);
/* An array of piece and score, the id being the place in it. Of equal pieces the last is found. The
 * caller frees *out_scores with mem_free; its length is the vocabulary's size. */
enum weir_code vocabulary_load_scores(struct vocabulary *v, const struct field *f, struct str list,
                                      double **out_scores, struct weir_error *err);
/* A piece a line, white space cut off its end, the id being the line's number from 0. An empty line
 * is an id without a piece. Of equal pieces only the last counts. */
enum weir_code vocabulary_load_lines(struct vocabulary *v, struct str list, struct weir_error *err);
/* Takes the next of those lines off the front of *rest and cuts its end. */
struct str vocabulary_line(struct str *rest);
void vocabulary_finish(struct vocabulary *v);

/* The id of one of the model's pieces, or VOCABULARY_NO_ID. */
int32_t vocabulary_find(const struct vocabulary *v, struct str text);
bool vocabulary_has(const struct vocabulary *v, int64_t id);
/* Gives the id, from 0 to id_max, a name that no text is looked up by. The id must be free. `f` is
 * named in errors. */
enum weir_code vocabulary_add(struct vocabulary *v, const struct field *f, int32_t id,
                              struct str text, struct weir_error *err);

#endif
