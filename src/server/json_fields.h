/* json_fields.h — the fields of a request body, read one by one; the first problem sticks.
 *
 * null is the same as absent; fields that nobody asks for are ignored. After a problem every get
 * returns its default; the caller looks at `problem` once, at the end. */
#ifndef SERVER_JSON_FIELDS_H
#define SERVER_JSON_FIELDS_H

#include "base/error.h"
#include "base/str.h"
#include "server/json_read.h"

#include <stdbool.h>
#include <stdint.h>

struct json_fields {
    const struct json_value *object;
    struct weir_error problem; /* code WEIR_OK while all is well */
    const char *param;         /* the field at fault */
};

struct json_fields json_fields_of(const struct json_value *object);
bool json_fields_ok(const struct json_fields *f);
/* Records a problem of the field `param`, unless there is one already. */
void json_fields_fail(struct json_fields *f, const char *param, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct str json_fields_text(struct json_fields *f, const char *name, struct str absent);
bool json_fields_bool(struct json_fields *f, const char *name, bool absent);
int64_t json_fields_integer(struct json_fields *f, const char *name, int64_t least, int64_t most,
                            int64_t absent);
/* A number, with or without a fraction. */
double json_fields_number(struct json_fields *f, const char *name, double least, double most,
                          double absent);
/* The name of a model, as a C string in the tree; NULL after a problem. Required. */
const char *json_fields_model(struct json_fields *f);

#endif
