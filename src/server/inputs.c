#include "server/inputs.h"

#include "base/check.h"

#include <stdio.h>

struct source {
    struct json_fields *fields;
    const struct inputs_rules *rules;
    struct arena *arena;
};

static const char *wanted(const struct inputs_rules *rules)
{
    return rules->takes_ids ? "a string, an array of strings, or token ids"
                            : "a string or an array of strings";
}

static bool read_text(struct source *s, struct str text, size_t index, struct weir_input *out)
{
    if (text.len == 0 && !s->rules->takes_empty) {
        json_fields_fail(s->fields, s->rules->name, "'%s[%zu]' is an empty string", s->rules->name,
                         index);
        s->fields->problem.index = (int32_t)index;
        return false;
    }
    *out = (struct weir_input){
        .size = sizeof(*out), .kind = WEIR_INPUT_TEXT, .data = text.data, .bytes = text.len
    };
    return true;
}

/* `label` is how the array is called in a message: "input", "input[3]". */
static bool read_ids(struct json_fields *f, const char *name, const char *label,
                     struct arena *arena, const struct json_value *array, struct weir_input *out)
{
    size_t count = json_read_count(array);
    int32_t *ids = arena_try(arena, count > 0 ? count : 1, sizeof(*ids));
    if (ids == NULL) {
        json_fields_fail(f, name, "'%s' has %zu token ids, for which there is no memory", label,
                         count);
        return false;
    }
    const size_t taken = json_read_ids(array, ids);
    if (taken < count) {
        const struct json_value *v = json_read_item(array, taken);
        json_fields_fail(f, name, "'%s' has %s where token id %zu belongs (0 to 2147483647)", label,
                         json_read_kind(v) == JSON_IS_INTEGER ? "a number out of range"
                                                              : json_read_kind_name(v),
                         taken);
        return false;
    }
    *out = (struct weir_input){
        .size = sizeof(*out), .kind = WEIR_INPUT_IDS, .data = ids, .bytes = count * sizeof(*ids)
    };
    return true;
}

/* An element of an array; where they are not mixed all must be of the kind of the first. */
static bool read_item(struct source *s, const struct json_value *v, enum json_kind first,
                      size_t index, struct weir_input *out)
{
    const char *name = s->rules->name;
    const enum json_kind kind = json_read_kind(v);
    const bool may_differ =
        s->rules->takes_mixed && (kind == JSON_IS_TEXT || kind == JSON_IS_ARRAY);
    if (kind != first && !may_differ) {
        json_fields_fail(s->fields, name, "'%s[%zu]' is %s, but the first is of another kind", name,
                         index, json_read_kind_name(v));
    } else if (kind == JSON_IS_TEXT) {
        return read_text(s, json_read_text(v), index, out);
    } else if (json_read_count(v) == 0) {
        json_fields_fail(s->fields, name, "'%s[%zu]' is an empty array", name, index);
    } else {
        char label[64];
        snprintf(label, sizeof(label), "%s[%zu]", name, index);
        if (read_ids(s->fields, name, label, s->arena, v, out))
            return true;
    }
    s->fields->problem.index = (int32_t)index;
    return false;
}

static const struct weir_input *read_array(struct source *s, const struct json_value *array,
                                           size_t *count)
{
    const struct inputs_rules *rules = s->rules;
    size_t n = json_read_count(array);
    if (n == 0) {
        json_fields_fail(s->fields, rules->name, "'%s' is an empty array", rules->name);
        return NULL;
    }
    enum json_kind kind = json_read_kind(json_read_item(array, 0));
    bool is_one = rules->takes_ids && kind == JSON_IS_INTEGER;
    if (!is_one && kind != JSON_IS_TEXT && !(rules->takes_ids && kind == JSON_IS_ARRAY)) {
        json_fields_fail(s->fields, rules->name, "'%s' must be %s; its first element is %s",
                         rules->name, wanted(rules), json_read_kind_name(json_read_item(array, 0)));
        return NULL;
    }
    if (!is_one && n > (size_t)rules->count_max) {
        json_fields_fail(s->fields, rules->name, "'%s' has %zu elements, the limit inputs is %lld",
                         rules->name, n, (long long)rules->count_max);
        s->fields->problem.value = (int64_t)n;
        s->fields->problem.limit = rules->count_max;
        return NULL;
    }
    *count = is_one ? 1 : n;
    struct weir_input *inputs = arena_try(s->arena, *count, sizeof(*inputs));
    if (inputs == NULL) {
        json_fields_fail(s->fields, rules->name,
                         "'%s' has %zu elements, for which there is no memory", rules->name, n);
        return NULL;
    }
    if (is_one)
        return read_ids(s->fields, rules->name, rules->name, s->arena, array, inputs) ? inputs
                                                                                      : NULL;
    for (size_t i = 0; i < n; i++)
        if (!read_item(s, json_read_item(array, i), kind, i, &inputs[i]))
            return NULL;
    return inputs;
}

const struct weir_input *inputs_read(struct json_fields *f, const struct inputs_rules *rules,
                                     struct arena *arena, size_t *count)
{
    struct source s = { f, rules, arena };
    const struct json_value *v = json_fields_ok(f) ? json_read_field(f->object, rules->name) : NULL;
    enum json_kind kind = json_read_kind(v);
    if (v == NULL) {
        json_fields_fail(f, rules->name, "'%s' is required", rules->name);
    } else if (kind == JSON_IS_ARRAY) {
        return read_array(&s, v, count);
    } else if (kind == JSON_IS_TEXT) {
        struct weir_input *one = arena_try(arena, 1, sizeof(*one));
        *count = 1;
        CHECK(one != NULL);
        return read_text(&s, json_read_text(v), 0, one) ? one : NULL;
    } else {
        json_fields_fail(f, rules->name, "'%s' must be %s, not %s", rules->name, wanted(rules),
                         json_read_kind_name(v));
    }
    return NULL;
}

bool inputs_read_ids(struct json_fields *f, const char *name, struct arena *arena,
                     struct weir_input *out)
{
    const struct json_value *v = json_fields_ok(f) ? json_read_field(f->object, name) : NULL;
    if (v != NULL && json_read_kind(v) == JSON_IS_ARRAY)
        return read_ids(f, name, name, arena, v, out);
    if (v == NULL)
        json_fields_fail(f, name, "'%s' is required", name);
    else
        json_fields_fail(f, name, "'%s' must be an array of token ids, not %s", name,
                         json_read_kind_name(v));
    return false;
}
