/* answer.h — the answers of a fake model: functions of the input alone, so that a test can tell a
 * right answer from another request's. Words are what lies between ASCII white space. */
#ifndef WORKER_FAKE_ANSWER_H
#define WORKER_FAKE_ANSWER_H

#include "base/buffer.h"
#include "base/str.h"
#include "wire/inputs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The next word of *rest, which moves behind it; empty at the end. */
struct str answer_next_word(struct str *rest);
size_t answer_words(struct str text);

/* Tokens of an input: its words, at least 1; of ids their number; an image is one. */
uint32_t answer_tokens(const struct wire_input *input);
/* The bytes that hold the first `tokens` tokens, or the last ones where the `front` is cut. */
struct str answer_kept(const struct wire_input *input, uint32_t tokens, bool front);
/* `dim` numbers from -1 to 1, seeded by a hash of the bytes. */
void answer_vector(struct str kept, float *out, size_t dim);

/* The row of a text in the reply of tokenize: an id a word, a hash of it; the piece is the word. */
void answer_tokenize(struct buffer *out, struct str text);
/* "7 12 7" */
void answer_detokenize(struct buffer *out, struct str ids);
/* `width` x `height` pixels of 3 bytes: coloured tiles, other ones for another prompt or seed. */
void answer_picture(struct str prompt, uint64_t seed, uint32_t width, uint32_t height,
                    uint8_t *rgb);

#endif
