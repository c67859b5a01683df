/* error.h — filling and wrapping a struct weir_error.
 *
 * A function that can fail for more than one reason returns enum weir_code and takes the error last
 * (NULL is allowed). It is filled once, where the fact is known; callers add context with weir_wrap
 * and the top logs it once. Its text is UTF-8 in one line, whatever was put into it: a byte that is
 * not part of any character is shown as '?', and a control character as spaces. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "weir/error.h"

#include <stdbool.h>

/* Fills `err` (when not NULL): code, text; index -1, everything else 0. Returns `code`, so that
 * `return weir_fail(err, WEIR_TOO_BIG, "…")` is one line. A text too long ends in "…". */
enum weir_code weir_fail(struct weir_error *err, enum weir_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As weir_fail with `os_errno` set and ": strerror" appended. */
enum weir_code weir_fail_os(struct weir_error *err, enum weir_code code, int os_errno,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Puts "context: " before the text that is there and returns its code. Without an error to look at
 * (NULL) the code is not known and WEIR_INTERNAL comes back. */
enum weir_code weir_wrap(struct weir_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

int error_http_status(enum weir_code code);
bool error_retryable(enum weir_code code);
const char *error_name(enum weir_code code); /* "model_not_found"; "unknown" out of range */
const char *error_says(enum weir_code code); /* the general sentence of the code */

#endif
