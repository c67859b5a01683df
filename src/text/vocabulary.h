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
 * no piece, so a file may not name just any. */
#define VOCABULARY_ID_MAX    (4 * 1024 * 1024 - 1)
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
    struct trie trie;                /* the model's pieces to their ids */
    struct arena texts;
};

/* From an object of piece to id. The vocabulary is zeroed or finished before. */
enum weir_code vocabulary_load(struct vocabulary *v, const struct field *object,
                               struct weir_error *err);
void vocabulary_finish(struct vocabulary *v);

/* The id of one of the model's pieces, or VOCABULARY_NO_ID. */
int32_t vocabulary_find(const struct vocabulary *v, struct str text);
bool vocabulary_has(const struct vocabulary *v, int64_t id);
/* Gives the id a name that no text is looked up by. The id must be free. `f` is named in errors. */
enum weir_code vocabulary_add(struct vocabulary *v, const struct field *f, int32_t id,
                              struct str text, struct weir_error *err);

#endif
