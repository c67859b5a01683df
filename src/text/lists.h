/* lists.h — the two long lists of a tokenizer.json, apart from the rest of it.
 *
 * `model.vocab` and `model.merges` are nearly all of the file. They are cut out before the rest is
 * parsed, so that no tree of a million values is ever built; in their place stays an empty list of
 * the same kind. What they hold is read by json_scan, and only there it shows whether it is JSON.
 * A list that isn't where it belongs, or has no end, stays where it is for the parser to name. */
#ifndef TEXT_LISTS_H
#define TEXT_LISTS_H

#include "base/buffer.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

/* Borrowed from the file. Empty: there is none. */
struct lists {
    struct str vocab;
    struct str merges;
    bool vocab_is_lines; /* of a vocab.txt: the piece of id n in line n + 1 */
};

/* Appends the file without its lists to `rest`, whose failure is the buffer's. The text must be
 * UTF-8. */
void lists_cut(struct str json, struct lists *out, struct buffer *rest);
/* Where a byte of the rest stands in the file. */
size_t lists_offset(const struct lists *l, struct str json, size_t offset);

#endif
