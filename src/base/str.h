/* str.h — a borrowed run of bytes. A plain value: never owns, never NUL-terminated by promise. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    const char *data;
    size_t len;
};

#define STR(literal) ((struct str){ "" literal, sizeof(literal) - 1 })
#define STR_ARG(s)   (int)(s).len, (s).data /* for "%.*s" */

struct str str_of(const char *text); /* NULL gives the empty str */
bool str_eq(struct str a, struct str b);
bool str_eq_ignore_case(struct str a, struct str b); /* ASCII */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
struct str str_trim(struct str s); /* ASCII white space off both ends */
/* Splits at the first `separator`: head gets what is before, tail what is after; false (head = s,
 * tail empty) when there is none. */
bool str_cut(struct str s, char separator, struct str *head, struct str *tail);
bool str_to_u64(struct str s, uint64_t *out); /* decimal, whole text, no sign, no overflow */
bool str_to_i64(struct str s, int64_t *out);
bool str_to_double(struct str s, double *out); /* finite, whole text, the C locale's form */
uint64_t str_hash(struct str s);               /* XXH3, 64 bit */

/* Renders into `out`, NUL-terminated; a text too long is cut between characters and ends in "…". */
void str_print(char *out, size_t room, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void str_vprint(char *out, size_t room, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

/* Offset of the first byte that is not part of well-formed UTF-8 (Unicode 15, table 3-7), or
 * s.len. */
size_t str_utf8_valid(struct str s);
/* Text that came from outside must not forge a second line, nor reach a terminal with escape codes,
 * of which U+0080 to U+009F (c2 80 to c2 9f) are the second set: spaces instead. */
void str_blank_controls(char *text);

#endif
