/* gpt2_words.h — GPT-2's words, found by hand.
 *
 * The pattern is fixed and by far the most used, so it is worth a scanner; gpt2_words_test.c holds
 * it against the pattern itself:
 *
 *     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
#ifndef TEXT_GPT2_WORDS_H
#define TEXT_GPT2_WORDS_H

#include "base/str.h"

#include <stddef.h>

/* Where the word that begins at `start`, which is within the text, ends: behind `start`. */
size_t gpt2_word_end(struct str text, size_t start);

#endif
