/* unicode.h — what the tokenizers ask about one code point.
 *
 * Vocabularies were made through the Hugging Face library `tokenizers`, and ids are only right when
 * the text reaches the vocabulary as it did there. So these answers are that library's, code point
 * by code point, also where Unicode has moved on: categories of Unicode 8, decompositions, marks
 * and combining classes of Unicode 9, words of Unicode 16, lower case and numbers of Unicode 17
 * (version 0.23.3). An unassigned code point has no category. */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNICODE_DECOMPOSED_MAX 18
#define UNICODE_LOWER_MAX      2
#define UNICODE_REPLACEMENT    UINT32_C(0xFFFD)

bool unicode_is_whitespace(uint32_t c);  /* White_Space */
bool unicode_is_other(uint32_t c);       /* Cc, Cf, Co; not tab, line feed, carriage return */
bool unicode_is_punctuation(uint32_t c); /* P, and the symbols of ASCII */
bool unicode_is_nonspacing(uint32_t c);  /* Mn */
bool unicode_is_mark(uint32_t c);        /* Mn, Mc, Me */
bool unicode_is_chinese(uint32_t c);     /* the ideographs that BERT sets apart */
bool unicode_is_word(uint32_t c);        /* \w of a regular expression */
bool unicode_is_numeric(uint32_t c);     /* Nd, Nl, No */

/* What a code point is to a regular expression of a file. */
enum unicode_class { UNICODE_SIGN, UNICODE_LETTER, UNICODE_NUMBER, UNICODE_SPACE };
enum unicode_class unicode_class(uint32_t c);

/* Decomposition, whole, canonical or by compatibility too; returns how many code points it has. */
size_t unicode_decompose(uint32_t c, bool is_compat, uint32_t out[UNICODE_DECOMPOSED_MAX]);
uint8_t unicode_combining_class(uint32_t c);
/* Composes canonically ordered code points in place and returns how many are left. */
size_t unicode_compose(uint32_t *points, size_t count);

/* True when a new grapheme begins between two neighbours. *state is 0 at the first of a text. */
bool unicode_grapheme_breaks(uint32_t before, uint32_t behind, int32_t *state);

/* Lower case without regard to neighbours; returns how many code points it has. */
size_t unicode_lower(uint32_t c, uint32_t out[UNICODE_LOWER_MAX]);

#endif
