/* json.h — writes JSON into a buffer. Reading JSON is jansson's work, elsewhere.
 *
 *     struct json j;
 *     json_init(&j, &buffer);
 *     json_object(&j);
 *     json_key(&j, "budget"), json_u64(&j, n);
 *     json_end(&j);
 *
 * Commas and nesting are kept by the writer; a value where a key belongs is a CHECK. Text must be
 * UTF-8; bytes that are not are replaced by U+FFFD. Depth is at most 32. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buffer.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
    struct buffer *out;
    uint32_t is_object; /* bit a level: object or array */
    uint32_t has_items; /* bit a level: a comma is due */
    uint8_t depth;
    bool after_key;
};

void json_init(struct json *j, struct buffer *out);
void json_object(struct json *j);
void json_array(struct json *j);
void json_end(struct json *j); /* closes the innermost object or array */
void json_key(struct json *j, const char *key);
void json_str(struct json *j, struct str s);
void json_text(struct json *j, const char *text); /* NULL writes null */
void json_i64(struct json *j, int64_t v);
void json_u64(struct json *j, uint64_t v);
void json_bool(struct json *j, bool v);
void json_null(struct json *j);
void json_double(struct json *j,
                 double v); /* shortest of %.15g/%.17g that reads back; NaN and Inf are null */
/* A float, at most 9 digits, that reads back to the same float. */
void json_float(struct json *j, float v);
/* The string of base64 (RFC 4648, padded) of the bytes. */
void json_base64(struct json *j, const void *data, size_t bytes);
void json_raw(struct json *j, struct str value); /* an already written JSON value */

#endif
