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

/* Mn, Mc and Me. */
extern const struct unicode_range unicode_mark[];
extern const size_t unicode_mark_count;

/* All of P, and the symbols of ASCII. */
extern const struct unicode_range unicode_punctuation[];
extern const size_t unicode_punctuation_count;

/* What libutf8proc decomposes or reorders and the reference, which knows Unicode 9, does not. */
extern const struct unicode_range unicode_newer[];
extern const size_t unicode_newer_count;

/* What libutf8proc decomposes by compatibility and the reference does not. */
extern const struct unicode_range unicode_newer_compat[];
extern const size_t unicode_newer_compat_count;

/* What extends a grapheme in the reference and not in libutf8proc. */
extern const struct unicode_range unicode_newer_extending[];
extern const size_t unicode_newer_extending_count;

/* Long ranges of what a normalisation form neither changes nor moves, and never joins to what
 * stands before it: most of most texts. */
extern const struct unicode_range unicode_quiet_nfc[];
extern const size_t unicode_quiet_nfc_count;
extern const struct unicode_range unicode_quiet_nfd[];
extern const size_t unicode_quiet_nfd_count;
extern const struct unicode_range unicode_quiet_nfkc[];
extern const size_t unicode_quiet_nfkc_count;
extern const struct unicode_range unicode_quiet_nfkd[];
extern const size_t unicode_quiet_nfkd_count;

/* Nd, Nl and No. */
extern const struct unicode_range unicode_numeric[];
extern const size_t unicode_numeric_count;

/* \w of the reference's own regular expressions. */
extern const struct unicode_range unicode_word[];
extern const size_t unicode_word_count;

/* What has a category in the regular expressions of files and had none, or another, in Unicode 14,
 * which is the least that a PCRE2 of ours may know. */
struct unicode_category_run {
    uint32_t first, last;
    char category[2]; /* "Lu" */
};
extern const struct unicode_category_run unicode_newer_categories[];
extern const size_t unicode_newer_categories_count;

/* Where libutf8proc knows no lower case and the reference does: `first` becomes `to`, its follower
 * the follower of `to`. */
struct unicode_lower_run {
    uint32_t first, last, to;
};
extern const struct unicode_lower_run unicode_lower_runs[];
extern const size_t unicode_lower_runs_count;

#endif
