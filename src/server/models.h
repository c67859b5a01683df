/* models.h — what the pool says of its models, for the routes that show or look at them. */
#ifndef SERVER_MODELS_H
#define SERVER_MODELS_H

#include "base/error.h"
#include "base/str.h"

#include "weir/capability.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_value;
struct weir;

struct models {
    struct json_value *tree;
    const struct json_value *list;
    size_t count;
};

struct model {
    const char *name;
    const char *problem; /* NULL: none */
    bool is_inspected;
    bool truncates; /* what is too long, unless a request says otherwise */
    int64_t tokens_max;
    const char *precision;                 /* "f32" */
    const struct json_value *capabilities; /* an array of names, or NULL */
    const struct json_value *aliases;      /* likewise */
};

/* Of all models, or with `name` of at most one. */
enum weir_code models_read(struct weir *pool, const char *name, struct models *out,
                           struct weir_error *err);
void models_finish(struct models *m);
/* Borrowed until models_finish. */
struct model models_at(const struct models *m, size_t index);
/* By its name or an alias. */
bool models_find(const struct models *m, const char *name, struct model *out);
bool models_can(const struct model *model, enum weir_capability capability);

#endif
