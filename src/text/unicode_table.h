/* unicode_table.h — ranges of code points, as the reference tokenizer has them.
 *
 * Pure data behind unicode.h; every table ascends. The categories are those of Unicode 8 and so
 * stay what they are whatever version libutf8proc is of. */
#ifndef TEXT_UNICODE_TABLE_H
#define TEXT_UNICODE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct unicode_range {
    uint32_t first, last;
};

/* Cc, Cf and Co, without tab, line feed and carriage return, which count as white space. */
extern const struct unicode_range unicode_other[];
extern const size_t unicode_other_count;

/* Mn. */
extern const struct unicode_range unicode_nonspacing[];
extern const size_t unicode_nonspacing_count;

/* All of P, and the symbols of ASCII. */
extern const struct unicode_range unicode_punctuation[];
extern const size_t unicode_punctuation_count;

/* What libutf8proc decomposes or reorders and the reference, which knows Unicode 9, does not. */
extern const struct unicode_range unicode_newer[];
extern const size_t unicode_newer_count;

/* Where libutf8proc knows no lower case and the reference does: `first` becomes `to`, its follower
 * the follower of `to`. */
struct unicode_lower_run {
    uint32_t first, last, to;
};
extern const struct unicode_lower_run unicode_lower_runs[];
extern const size_t unicode_lower_runs_count;

#endif
