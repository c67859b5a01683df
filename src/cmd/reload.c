#include "cmd/reload.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/size.h"
#include "cmd/ask.h"
#include "cmd/bodies.h"

#include <jansson.h>
#include <string.h>

#define ORDER_MAX (512 * KiB)

/* What a new file can change while the server runs, or is looked at on its own (limits). Every
 * other row of the table waits for a restart. */
static const char *const applied_at_once[] = {
    "config",     "model", "models",    "memory",       "max-workers", "min-workers",  "idle",
    "idle-label", "log",   "log-level", "print-config", "limit",       "api-key-file",
};

static bool applies_at_once(const char *option)
{
    for (size_t i = 0; i < ARRAY_COUNT(applied_at_once); i++) {
        if (strcmp(option, applied_at_once[i]) == 0)
            return true;
    }
    return false;
}

static enum weir_code order(struct weir *pool, const struct buffer *json, struct weir_error *err)
{
    const char *answer;
    if (json->failed)
        return weir_fail(err, WEIR_NO_MEMORY, "no memory for an order to the pool");
    return weir_control(pool, (const char *)json->data, json->len, &answer, NULL, err);
}

/* Whether every limit of `a` is one of `b`, but for drain_ms, which only the end looks at. */
static bool covers(const struct serve_settings *a, const struct serve_settings *b)
{
    for (size_t i = 0; i < a->pool_limits_count; i++) {
        const struct weir_limit *const limit = &a->pool_limits[i];
        bool found = strcmp(limit->name, "drain_ms") == 0;
        for (size_t k = 0; k < b->pool_limits_count && !found; k++)
            found = strcmp(limit->name, b->pool_limits[k].name) == 0 &&
                    limit->value == b->pool_limits[k].value;
        if (!found)
            return false;
    }
    return true;
}

static bool same_limits(const struct serve_settings *a, const struct serve_settings *b)
{
    return memcmp(&a->server_limits, &b->server_limits, sizeof(a->server_limits)) == 0 &&
           covers(a, b) && covers(b, a);
}

/* Against what runs, so that it is said until it is true or taken back. */
static void name_what_needs_a_restart(const struct log *log, const struct serve_config *started,
                                      const struct serve_config *now)
{
    if (!same_limits(&started->settings, &now->settings))
        log_write(log, LOG_WARN, "reload", "limits changed, which takes effect after a restart");
    for (size_t i = 0; i < started->values.count; i++) {
        const char *const name = started->values.table[i].name;
        if (!applies_at_once(name) && !options_same(&started->values, &now->values, i))
            log_write(log, LOG_WARN, "reload", "'%s' changed, which takes effect after a restart",
                      name);
    }
}

static void set_memory(struct weir *pool, const struct log *log, const struct serve_config *now)
{
    const struct option_memory *const memory = &now->options.memory;
    const char *const text = options_value(&now->values, "memory")->text;
    struct weir_error err;
    struct buffer json;
    buffer_init(&json, ORDER_MAX);
    buffer_printf(&json, "{\"op\":\"configure\",\"memory_bytes\":%llu,\"memory_percent\":%u}",
                  (unsigned long long)memory->bytes, (unsigned)memory->percent);
    if (order(pool, &json, &err) != WEIR_OK)
        log_write(log, LOG_ERROR, "reload", "the budget stays as it was: %s", err.text);
    else
        log_write(log, LOG_INFO, "reload", "memory = %s", text != NULL ? text : "the default");
    buffer_finish(&json);
}

static bool same_order(const struct serve_model *a, const struct serve_model *b)
{
    return str_eq(buffer_view(&a->order), buffer_view(&b->order));
}

static enum weir_code replace(struct weir *pool, const struct serve_model *model, bool with_aliases,
                              struct weir_error *err)
{
    json_t *const request = json_loadb((const char *)model->order.data, model->order.len, 0, NULL);
    struct buffer json;
    CHECK(request != NULL); /* it was written here */
    json_object_set_new(request, "replace", json_true());
    if (!with_aliases)
        json_object_del(request, "aliases");
    buffer_init(&json, ORDER_MAX);
    ask_dump(request, &json);
    const enum weir_code code = order(pool, &json, err);
    buffer_finish(&json);
    json_decref(request);
    return code;
}

static void remove_gone(struct weir *pool, const struct log *log, const struct serve_config *was,
                        const struct serve_config *now, struct reload_counts *counts)
{
    for (size_t i = 0; i < was->models.count; i++) {
        const char *const name = was->models.items[i].name;
        struct weir_error err;
        struct buffer json;
        if (serve_models_find(&now->models, name) != NULL)
            continue;
        buffer_init(&json, ORDER_MAX);
        body_name(&json, "unregister", name);
        /* One that the pool does not know was refused before, or is gone already. */
        if (order(pool, &json, &err) != WEIR_OK && err.code != WEIR_NO_SUCH_MODEL) {
            counts->failed++;
            log_write(log, LOG_ERROR, "reload", "model '%s' stays: %s", name, err.text);
        } else {
            counts->removed++;
        }
        buffer_finish(&json);
    }
}

static bool same_aliases(const struct serve_model *a, const struct serve_model *b)
{
    const char *const x = a->options.alias, *const y = b->options.alias;
    return x == y || (x != NULL && y != NULL && strcmp(x, y) == 0);
}

/* An alias may move to another model, or two may change theirs: all that change leave the old ones
 * before any takes a new one. Nobody can ask for a name meanwhile. */
static void free_aliases(struct weir *pool, const struct serve_config *was,
                         const struct serve_config *now)
{
    for (size_t i = 0; i < now->models.count; i++) {
        const struct serve_model *const model = &now->models.items[i];
        const struct serve_model *const old = serve_models_find(&was->models, model->name);
        struct weir_error err; /* said when it is registered, which fails likewise */
        if (old != NULL && (old->order.len == 0 || !same_aliases(old, model)))
            (void)replace(pool, model, false, &err);
    }
}

/* What is configured as before may lie there in another state: the pool looks again at what it
 * could not use, of {"models":[{"name","problem",…}]}. */
static void look_again(struct weir *pool, const struct serve_config *was,
                       const struct serve_config *now)
{
    static const char question[] = "{\"op\":\"models\"}";
    const char *answer;
    size_t bytes, i;
    struct weir_error err;
    const json_t *row;
    if (weir_control(pool, question, sizeof(question) - 1, &answer, &bytes, &err) != WEIR_OK)
        return;
    json_t *const models = json_loadb(answer, bytes, 0, NULL);
    json_array_foreach(json_object_get(models, "models"), i, row) {
        const char *const name = json_string_value(json_object_get(row, "name"));
        if (name == NULL || !json_is_string(json_object_get(row, "problem")))
            continue;
        const struct serve_model *const old = serve_models_find(&was->models, name);
        const struct serve_model *const model = serve_models_find(&now->models, name);
        if (old != NULL && model != NULL && same_order(old, model))
            (void)replace(pool, model, true, &err); /* it is there, and takes its own name */
    }
    json_decref(models);
}

static void register_rest(struct weir *pool, const struct log *log, const struct serve_config *was,
                          const struct serve_config *now, struct reload_counts *counts)
{
    free_aliases(pool, was, now);
    for (size_t i = 0; i < now->models.count; i++) {
        struct serve_model *const model = &now->models.items[i];
        const struct serve_model *const old = serve_models_find(&was->models, model->name);
        struct weir_error err;
        if (old != NULL && same_order(old, model))
            continue;
        if (replace(pool, model, true, &err) == WEIR_OK) {
            *(old != NULL ? &counts->changed : &counts->added) += 1;
            continue;
        }
        counts->failed++;
        log_write(log, LOG_ERROR, "reload", "model '%s' is not registered: %s", model->name,
                  err.text);
        buffer_clear(&model->order); /* so that the next SIGHUP tries it again */
    }
}

struct reload_counts reload_apply(struct weir *pool, const struct log *log,
                                  const struct serve_config *started,
                                  const struct serve_config *was, const struct serve_config *now)
{
    struct reload_counts counts = { 0 };
    const struct option_memory *const old = &was->options.memory, *const new = &now->options.memory;
    name_what_needs_a_restart(log, started, now);
    if (old->bytes != new->bytes || old->percent != new->percent)
        set_memory(pool, log, now);
    remove_gone(pool, log, was, now, &counts);
    register_rest(pool, log, was, now, &counts);
    look_again(pool, was, now);
    return counts;
}
