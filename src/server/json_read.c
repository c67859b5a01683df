#include "server/json_read.h"

#include "base/check.h"

#include <jansson.h>

/* struct json_value is the parser's own node under our name; these two are the only casts. */
static const json_t *node(const struct json_value *v)
{
    return (const json_t *)(const void *)v;
}

static struct json_value *value(json_t *n)
{
    return (struct json_value *)(void *)n;
}

/* Every value but the first stands behind one of these, outside of strings. */
static size_t count_values(struct str text)
{
    size_t values = 1;
    bool is_in_text = false;
    for (size_t i = 0; i < text.len; i++) {
        char b = text.data[i];
        if (is_in_text && b == '\\')
            i++;
        else if (b == '"')
            is_in_text = !is_in_text;
        else if (!is_in_text && (b == ',' || b == '[' || b == ':' || b == '{'))
            values++;
    }
    return values;
}

struct json_value *json_read_parse(struct str text, struct weir_error *err)
{
    json_error_t why;
    if (count_values(text) > JSON_READ_VALUES_MAX) {
        weir_fail(err, WEIR_BODY_TOO_LARGE, "the JSON has more than %d values",
                  JSON_READ_VALUES_MAX);
        return NULL;
    }
    json_t *tree =
        json_loadb(text.len ? text.data : "", text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (tree == NULL)
        weir_fail(err, WEIR_INVALID, "the body is not valid JSON: %.100s, at line %d, column %d",
                  why.text, why.line, why.column);
    return value(tree);
}

void json_read_free(struct json_value *tree)
{
    json_decref((json_t *)(void *)tree);
}

enum json_kind json_read_kind(const struct json_value *v)
{
    if (v == NULL)
        return JSON_IS_NULL;
    switch (json_typeof(node(v))) {
    case JSON_OBJECT: return JSON_IS_OBJECT;
    case JSON_ARRAY: return JSON_IS_ARRAY;
    case JSON_STRING: return JSON_IS_TEXT;
    case JSON_INTEGER: return JSON_IS_INTEGER;
    case JSON_REAL: return JSON_IS_REAL;
    case JSON_TRUE:
    case JSON_FALSE: return JSON_IS_BOOL;
    case JSON_NULL: return JSON_IS_NULL;
    }
    return JSON_IS_NULL;
}

const char *json_read_kind_name(const struct json_value *v)
{
    switch (json_read_kind(v)) {
    case JSON_IS_NULL: return "null";
    case JSON_IS_BOOL: return "a boolean";
    case JSON_IS_INTEGER: return "an integer";
    case JSON_IS_REAL: return "a number with a fraction";
    case JSON_IS_TEXT: return "a string";
    case JSON_IS_ARRAY: return "an array";
    case JSON_IS_OBJECT: return "an object";
    }
    return "null";
}

const struct json_value *json_read_field(const struct json_value *object, const char *name)
{
    if (json_read_kind(object) != JSON_IS_OBJECT)
        return NULL;
    json_t *found = json_object_get(node(object), name);
    return json_is_null(found) ? NULL : value(found);
}

struct str json_read_text(const struct json_value *v)
{
    CHECK(json_read_kind(v) == JSON_IS_TEXT);
    return (struct str){ json_string_value(node(v)), json_string_length(node(v)) };
}

int64_t json_read_integer(const struct json_value *v)
{
    CHECK(json_read_kind(v) == JSON_IS_INTEGER);
    return json_integer_value(node(v));
}

double json_read_number(const struct json_value *v)
{
    CHECK(json_read_kind(v) == JSON_IS_INTEGER || json_read_kind(v) == JSON_IS_REAL);
    return json_number_value(node(v));
}

bool json_read_bool(const struct json_value *v)
{
    CHECK(json_read_kind(v) == JSON_IS_BOOL);
    return json_is_true(node(v));
}

size_t json_read_ids(const struct json_value *v, int32_t *out)
{
    CHECK(json_read_kind(v) == JSON_IS_ARRAY);
    const json_t *array = node(v);
    const size_t count = json_array_size(array);
    size_t taken = 0;
    for (; taken < count; taken++) {
        const json_t *item = json_array_get(array, taken);
        const int64_t id = json_is_integer(item) ? json_integer_value(item) : -1;
        if (id < 0 || id > INT32_MAX)
            break;
        out[taken] = (int32_t)id;
    }
    return taken;
}

size_t json_read_count(const struct json_value *v)
{
    CHECK(json_read_kind(v) == JSON_IS_ARRAY);
    return json_array_size(node(v));
}

const struct json_value *json_read_item(const struct json_value *v, size_t index)
{
    CHECK(json_read_kind(v) == JSON_IS_ARRAY && index < json_array_size(node(v)));
    return value(json_array_get(node(v), index));
}
