/* words.h — the text that a fake model answers, in the pieces that it streams: a word each, with
 * the space before it. The pieces lie one behind another, so that together they are the text. */
#ifndef WORKER_FAKE_WORDS_H
#define WORKER_FAKE_WORDS_H

#include "base/arena.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct words {
    struct str *pieces;
    size_t count;
};

/* The words of the question from last to first, then `last`, unless it is empty. Both lie in the
 * arena; false when it is full. */
bool words_reversed(struct arena *arena, struct str question, struct str last, struct words *out);
/* "token 0", "token 1" …, without spaces between them. */
bool words_numbered(struct arena *arena, uint32_t count, struct words *out);

/* The text ends where the first of the stop texts in it begins. */
void words_stop(struct words *w, const struct str *stops, size_t count);
/* At most so many pieces; whether it had more. */
bool words_limit(struct words *w, size_t most);

#endif
