/* pattern_syntax.h — a regular expression of a tokenizer file, rewritten for PCRE2.
 *
 * Files are written for Oniguruma in its Ruby dialect, Unicode 16. Where the two read the same
 * characters differently the translation says what Oniguruma means:
 *
 *     \s \S \w \W \d \D \h \H    its own sets, not PCRE2's
 *     \p{L}, \p{Lu} and so on    the category, with what came after Unicode 14
 *     \v \uHHHH                  a vertical tab; a code point
 *     ^ $                        at every line
 *
 * Refused by name, since no published tokenizer needs them and they differ: other properties, sets
 * within sets, &&, \b \B \G \K \R \X, references, {n}+ {n}? {,n}, groups other than (?:…) (?=…)
 * (?!…) (?<=…) (?<!…) (?>…) (?i:…) and (?i) at the very beginning. One difference stays:
 * Oniguruma folds some letters to two when it ignores case (ß to ss). */
#ifndef TEXT_PATTERN_SYNTAX_H
#define TEXT_PATTERN_SYNTAX_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"

#define PATTERN_TRANSLATED_BYTES_MAX (256 * 1024)

struct field;

/* Appends the translation; `f` is named in errors. */
enum weir_code pattern_translate(struct str expression, const struct field *f, struct buffer *out,
                                 struct weir_error *err);

#endif
