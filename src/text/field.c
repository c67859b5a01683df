#include "text/field.h"

#include "text/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define QUOTE_BYTES_MAX    40
#define SEQUENCE_DEPTH_MAX 4

static size_t write_path(const struct field *f, struct field_path *out)
{
    if (f->parent == NULL)
        return 0;
    size_t at = write_path(f->parent, out);
    size_t room = sizeof(out->text) - at;
    struct str name = field_quote(str_of(f->name));
    int wrote = f->name != NULL
                    ? snprintf(out->text + at, room, "%s%.*s", at > 0 ? "." : "", STR_ARG(name))
                    : snprintf(out->text + at, room, "[%zu]", f->index);
    return wrote < 0 || (size_t)wrote >= room ? sizeof(out->text) - 1 : at + (size_t)wrote;
}

const char *field_path(const struct field *f, struct field_path *out)
{
    out->text[0] = '\0';
    if (write_path(f, out) == 0)
        return "the file";
    return out->text;
}

struct str field_quote(struct str s)
{
    if (s.len <= QUOTE_BYTES_MAX)
        return s;
    size_t len = QUOTE_BYTES_MAX;
    while (len > 0 && !utf8_is_start(s.data[len]))
        len--;
    return (struct str){ s.data, len };
}

static const char *type_name(const json_t *value)
{
    if (value == NULL)
        return "missing";
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a fraction";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    case JSON_NULL: break;
    }
    return "null";
}

static enum weir_code wrong_type(const struct field *f, const char *needed, struct weir_error *err)
{
    struct field_path path;
    return weir_fail(err, WEIR_LOAD_FAILED, "%s is %s, it must be %s", field_path(f, &path),
                     type_name(f->value), needed);
}

struct field field_of(const struct field *object, const char *name)
{
    return (struct field){ .value = json_object_get(object->value, name),
                           .parent = object,
                           .name = name };
}

struct field field_at(const struct field *array, size_t index)
{
    return (struct field){ .value = json_array_get(array->value, index),
                           .parent = array,
                           .index = index };
}

enum weir_code field_need_object(const struct field *f, struct weir_error *err)
{
    return json_is_object(f->value) ? WEIR_OK : wrong_type(f, "an object", err);
}

enum weir_code field_need_array(const struct field *f, struct weir_error *err)
{
    return json_is_array(f->value) ? WEIR_OK : wrong_type(f, "an array", err);
}

enum weir_code field_bool(const struct field *object, const char *name, bool *out,
                          struct weir_error *err)
{
    struct field f = field_of(object, name);
    if (!json_is_boolean(f.value))
        return wrong_type(&f, "a boolean", err);
    *out = json_is_true(f.value);
    return WEIR_OK;
}

enum weir_code field_text_here(const struct field *f, struct str *out, struct weir_error *err)
{
    if (!json_is_string(f->value))
        return wrong_type(f, "a string", err);
    *out = (struct str){ json_string_value(f->value), json_string_length(f->value) };
    return WEIR_OK;
}

enum weir_code field_text(const struct field *object, const char *name, struct str *out,
                          struct weir_error *err)
{
    struct field f = field_of(object, name);
    return field_text_here(&f, out, err);
}

enum weir_code field_integer(const struct field *f, int64_t least, int64_t most, int64_t *out,
                             struct weir_error *err)
{
    if (!json_is_integer(f->value))
        return wrong_type(f, "an integer", err);
    int64_t value = json_integer_value(f->value);
    if (value < least || value > most) {
        struct field_path path;
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "%s is %" PRId64 ", it must be from %" PRId64 " to %" PRId64,
                         field_path(f, &path), value, least, most);
    }
    *out = value;
    return WEIR_OK;
}

enum weir_code field_only(const struct field *object, const char *const *names,
                          struct weir_error *err)
{
    /* Jansson walks by a pointer that may change the object; here nothing changes it. */
    json_t *value = (json_t *)(uintptr_t)object->value;
    for (void *at = json_object_iter(value); at != NULL; at = json_object_iter_next(value, at)) {
        const char *key = json_object_iter_key(at);
        size_t i = 0;
        while (names[i] != NULL && strcmp(names[i], key) != 0)
            i++;
        if (names[i] == NULL) {
            struct field_path path;
            struct str quote = field_quote(str_of(key));
            return weir_fail(err, WEIR_LOAD_FAILED, "%s has a field '%.*s' that is not supported",
                             field_path(object, &path), STR_ARG(quote));
        }
    }
    return WEIR_OK;
}

/* A walk over parts; `list_name` is the same in Sequences within Sequences. */
struct walk {
    const char *list_name;
    field_visit visit;
    void *context;
    size_t count, depth;
};

static enum weir_code walk_part(struct walk *w, const struct field *f, struct weir_error *err)
{
    struct field_path path;
    struct component part = { .item = *f };
    if (field_need_object(f, err) || field_text(f, "type", &part.type, err))
        return WEIR_LOAD_FAILED;
    if (!str_eq(part.type, STR("Sequence"))) {
        if (w->count++ == FIELD_COMPONENTS_MAX)
            return weir_fail(err, WEIR_LOAD_FAILED, "%s is one part more than the limit of %d",
                             field_path(f, &path), FIELD_COMPONENTS_MAX);
        return w->visit(w->context, &part, err);
    }
    if (w->depth == SEQUENCE_DEPTH_MAX)
        return weir_fail(err, WEIR_LOAD_FAILED, "%s is a Sequence within %d others, the limit",
                         field_path(f, &path), SEQUENCE_DEPTH_MAX);
    struct field list = field_of(f, w->list_name);
    if (field_need_array(&list, err))
        return WEIR_LOAD_FAILED;
    w->depth++;
    for (size_t i = 0; i < json_array_size(list.value); i++) {
        struct field item = field_at(&list, i);
        enum weir_code code = walk_part(w, &item, err);
        if (code != WEIR_OK)
            return code;
    }
    w->depth--;
    return WEIR_OK;
}

enum weir_code field_components(const struct field *f, const char *list_name, field_visit visit,
                                void *context, struct weir_error *err)
{
    struct walk w = { .list_name = list_name, .visit = visit, .context = context };
    if (f->value == NULL || json_is_null(f->value))
        return WEIR_OK;
    return walk_part(&w, f, err);
}

enum weir_code field_unknown_type(const struct component *c, struct weir_error *err)
{
    struct field_path path;
    struct str quote = field_quote(c->type);
    return weir_fail(err, WEIR_LOAD_FAILED, "%s is of type '%.*s', which is not supported",
                     field_path(&c->item, &path), STR_ARG(quote));
}
