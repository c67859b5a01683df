#include "server/models.h"

#include "server/json_read.h"
#include "server/order.h"

#include "weir/weir.h"

#include <string.h>

enum weir_code models_read(struct weir *pool, const char *name, struct models *out,
                           struct weir_error *err)
{
    struct str answer;
    const enum weir_code code = name != NULL ? order_by_name(pool, "models", name, &answer, err)
                                             : order_plain(pool, "models", &answer, err);
    if (code != WEIR_OK)
        return code;
    struct json_value *tree = json_read_parse(answer, err);
    const struct json_value *list = json_read_field(tree, "models");
    if (json_read_kind(list) != JSON_IS_ARRAY) {
        json_read_free(tree);
        return weir_fail(err, WEIR_INTERNAL, "the pool's list of models cannot be read");
    }
    *out = (struct models){ .tree = tree, .list = list, .count = json_read_count(list) };
    return WEIR_OK;
}

void models_finish(struct models *m)
{
    json_read_free(m->tree);
    *m = (struct models){ 0 };
}

static const char *text_of(const struct json_value *v)
{
    return json_read_kind(v) == JSON_IS_TEXT ? json_read_text(v).data : NULL;
}

static const struct json_value *array_or_null(const struct json_value *v)
{
    return json_read_kind(v) == JSON_IS_ARRAY ? v : NULL;
}

static bool is_true(const struct json_value *v)
{
    return json_read_kind(v) == JSON_IS_BOOL && json_read_bool(v);
}

static bool holds(const struct json_value *names, const char *wanted)
{
    size_t count = names ? json_read_count(names) : 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = text_of(json_read_item(names, i));
        if (name && strcmp(name, wanted) == 0)
            return true;
    }
    return false;
}

struct model models_at(const struct models *m, size_t index)
{
    const struct json_value *row = json_read_item(m->list, index);
    const struct json_value *tokens_max = json_read_field(row, "tokens_max");
    const char *name = text_of(json_read_field(row, "name"));
    return (struct model){
        .name = name ? name : "",
        .problem = text_of(json_read_field(row, "problem")),
        .is_inspected = is_true(json_read_field(row, "inspected")),
        .truncates = is_true(json_read_field(row, "truncate")),
        .tokens_max =
            json_read_kind(tokens_max) == JSON_IS_INTEGER ? json_read_integer(tokens_max) : 0,
        .precision = text_of(json_read_field(row, "precision")),
        .capabilities = array_or_null(json_read_field(row, "capabilities")),
        .aliases = array_or_null(json_read_field(row, "aliases")),
    };
}

bool models_find(const struct models *m, const char *name, struct model *out)
{
    for (size_t i = 0; i < m->count; i++) {
        struct model one = models_at(m, i);
        if (strcmp(one.name, name) == 0 || holds(one.aliases, name)) {
            *out = one;
            return true;
        }
    }
    return false;
}

bool models_can(const struct model *model, enum weir_capability capability)
{
    return holds(model->capabilities, weir_capability_name(capability));
}
