/* jsonw.h — writes JSON into a buffer. Reading JSON is jansson's work, elsewhere.
 *
 *     struct jsonw j;
 *     jsonw_init(&j, &buffer);
 *     jsonw_object(&j);
 *     jsonw_key(&j, "budget"), jsonw_u64(&j, n);
 *     jsonw_end(&j);
 *
 * Commas and nesting are kept by the writer; a value where a key belongs is a CHECK. Text must be
 * UTF-8; bytes that are not are replaced by U+FFFD. Depth is at most 32. */
#ifndef BASE_JSONW_H
#define BASE_JSONW_H

#include "base/buffer.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jsonw {
    struct buffer *out;
    uint32_t is_object; /* bit a level: object or array */
    uint32_t has_items; /* bit a level: a comma is due */
    uint8_t depth;
    bool after_key;
};

void jsonw_init(struct jsonw *j, struct buffer *out);
void jsonw_object(struct jsonw *j);
void jsonw_array(struct jsonw *j);
void jsonw_end(struct jsonw *j); /* closes the innermost object or array */
void jsonw_key(struct jsonw *j, const char *key);
void jsonw_str(struct jsonw *j, struct str s);
void jsonw_text(struct jsonw *j, const char *text); /* NULL writes null */
void jsonw_i64(struct jsonw *j, int64_t v);
void jsonw_u64(struct jsonw *j, uint64_t v);
void jsonw_bool(struct jsonw *j, bool v);
void jsonw_null(struct jsonw *j);
void jsonw_double(struct jsonw *j,
                  double v); /* shortest of %.15g/%.17g that reads back; NaN and Inf are null */
/* A float, at most 9 digits, that reads back to the same float. */
void jsonw_float(struct jsonw *j, float v);
/* The string of base64 (RFC 4648, padded) of the bytes. */
void jsonw_base64(struct jsonw *j, const void *data, size_t bytes);
void jsonw_raw(struct jsonw *j, struct str value); /* an already written JSON value */

#endif
