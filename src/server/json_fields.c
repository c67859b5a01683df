#include "server/json_fields.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct json_fields json_fields_of(const struct json_value *object)
{
    struct json_fields f = { .object = object, .problem = { .index = -1 } };
    if (json_read_kind(object) != JSON_IS_OBJECT)
        json_fields_fail(&f, NULL, "the body must be a JSON object, not %s",
                         json_read_kind_name(object));
    return f;
}

bool json_fields_ok(const struct json_fields *f)
{
    return f->problem.code == WEIR_OK;
}

void json_fields_fail(struct json_fields *f, const char *param, const char *format, ...)
{
    char text[sizeof(f->problem.text)];
    va_list args;
    if (!json_fields_ok(f))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    weir_fail(&f->problem, WEIR_INVALID, "%s", text);
    f->param = param;
}

static const struct json_value *field(struct json_fields *f, const char *name, enum json_kind kind,
                                      const char *wanted)
{
    const struct json_value *v = json_fields_ok(f) ? json_read_field(f->object, name) : NULL;
    if (v == NULL || json_read_kind(v) == kind)
        return v;
    json_fields_fail(f, name, "'%s' must be %s, not %s", name, wanted, json_read_kind_name(v));
    return NULL;
}

struct str json_fields_text(struct json_fields *f, const char *name, struct str absent)
{
    const struct json_value *v = field(f, name, JSON_IS_TEXT, "a string");
    return v ? json_read_text(v) : absent;
}

bool json_fields_bool(struct json_fields *f, const char *name, bool absent)
{
    const struct json_value *v = field(f, name, JSON_IS_BOOL, "true or false");
    return v ? json_read_bool(v) : absent;
}

int64_t json_fields_integer(struct json_fields *f, const char *name, int64_t least, int64_t most,
                            int64_t absent)
{
    const struct json_value *v = field(f, name, JSON_IS_INTEGER, "an integer");
    if (v == NULL)
        return absent;
    int64_t number = json_read_integer(v);
    if (number >= least && number <= most)
        return number;
    json_fields_fail(f, name, "'%s' must be from %lld to %lld, not %lld", name, (long long)least,
                     (long long)most, (long long)number);
    return absent;
}

double json_fields_number(struct json_fields *f, const char *name, double least, double most,
                          double absent)
{
    const struct json_value *v = json_fields_ok(f) ? json_read_field(f->object, name) : NULL;
    enum json_kind kind = json_read_kind(v);
    if (v == NULL)
        return absent;
    if (kind != JSON_IS_INTEGER && kind != JSON_IS_REAL) {
        json_fields_fail(f, name, "'%s' must be a number, not %s", name, json_read_kind_name(v));
        return absent;
    }
    double number = json_read_number(v);
    if (number >= least && number <= most)
        return number;
    json_fields_fail(f, name, "'%s' must be from %g to %g, not %g", name, least, most, number);
    return absent;
}

const char *json_fields_model(struct json_fields *f)
{
    struct str name = json_fields_text(f, "model", (struct str){ NULL, 0 });
    if (name.data == NULL)
        json_fields_fail(f, "model", "'model' is required");
    else if (name.len == 0 || strlen(name.data) != name.len)
        json_fields_fail(f, "model", "'model' must be a name, without NUL");
    return json_fields_ok(f) ? name.data : NULL;
}
