/* splitter.h — turns the matches within a piece into pieces, as a behaviour says.
 *
 * Gaps and matches are reported from left to right, each once; what they make is handed to the next
 * step of a walk at once. */
#ifndef TEXT_SPLITTER_H
#define TEXT_SPLITTER_H

#include "text/pretokenizer.h"

#include <stdbool.h>
#include <stddef.h>

struct splitter {
    struct pretokenizer_walk *walk;
    size_t step;
    struct piece piece;
    enum split_behavior behavior;
    bool inverts;

    size_t start, end; /* of the piece that is being made */
    bool is_open;      /* there is one */
    bool last_matched; /* what it ends in */
};

struct splitter splitter_of(struct pretokenizer_walk *w, size_t step, struct piece piece,
                            enum split_behavior behavior);
/* The text from where the last report ended up to `end` did, or did not, match. */
bool splitter_add(struct splitter *s, size_t end, bool matched);
bool splitter_end(struct splitter *s);

#endif
