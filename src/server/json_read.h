/* json_read.h — JSON that came in. The one room around the JSON parser.
 *
 * Strict: UTF-8, no trailing bytes, numbers that fit, at most JSON_READ_VALUES_MAX values (a
 * body of commas and digits would else become twenty times its size). Of equal keys the last
 * wins. Values are borrowed from their tree. */
#ifndef SERVER_JSON_READ_H
#define SERVER_JSON_READ_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_READ_VALUES_MAX 4000000

struct json_value;

enum json_kind {
    JSON_IS_NULL,
    JSON_IS_BOOL,
    JSON_IS_INTEGER,
    JSON_IS_REAL,
    JSON_IS_TEXT,
    JSON_IS_ARRAY,
    JSON_IS_OBJECT
};

/* Touches nothing but its arguments, so that any thread may call it. The tree is the caller's
 * (json_read_free); NULL and a filled err on failure, with line and column. */
struct json_value *json_read_parse(struct str text, struct weir_error *err);
void json_read_free(struct json_value *tree);

enum json_kind json_read_kind(const struct json_value *v);
const char *json_read_kind_name(const struct json_value *v); /* "a string"; NULL is "nothing" */
/* NULL when absent, null, or `object` is none. */
const struct json_value *json_read_field(const struct json_value *object, const char *name);
struct str json_read_text(const struct json_value *v); /* of a JSON_IS_TEXT; may hold NUL */
int64_t json_read_integer(const struct json_value *v); /* of a JSON_IS_INTEGER */
double json_read_number(const struct json_value *v);   /* of a JSON_IS_INTEGER or _REAL */
bool json_read_bool(const struct json_value *v);       /* of a JSON_IS_BOOL */
/* Takes the whole numbers from 0 to INT32_MAX of a JSON_IS_ARRAY, up to the first other value, and
 * returns how many; a call a value is too slow for millions. */
size_t json_read_ids(const struct json_value *v, int32_t *out);
size_t json_read_count(const struct json_value *v); /* of a JSON_IS_ARRAY */
const struct json_value *json_read_item(const struct json_value *v, size_t index);

#endif
