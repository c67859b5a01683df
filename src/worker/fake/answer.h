/* answer.h — the answers of a fake model: functions of the input alone, so that a test can tell a
 * right answer from another request's. Words are what lies between ASCII white space. */
#ifndef WORKER_FAKE_ANSWER_H
#define WORKER_FAKE_ANSWER_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/str.h"
#include "wire/inputs.h"

#include <stddef.h>
#include <stdint.h>

size_t answer_words(struct str text);

/* Tokens of an input: its words, at least 1; of ids their number. */
uint32_t answer_tokens(const struct wire_input *input);
/* `dim` numbers seeded by a hash of the first `tokens` tokens, of length 1. */
void answer_vector(const struct wire_input *input, uint32_t tokens, float *out, size_t dim);

/* The row of a text in the reply of tokenize: an id a word, a hash of it; the piece is the word. */
void answer_tokenize(struct buffer *out, struct str text);
/* "7 12 7" */
void answer_detokenize(struct buffer *out, struct str ids);
/* The words of the text from last to first, in the arena; NULL when it is full. */
const struct str *answer_reversed(struct arena *arena, struct str text, size_t *count);

#endif
