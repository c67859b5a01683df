#include "cmd/local_models.h"

#include "base/buffer.h"
#include "base/mem.h"
#include "base/size.h"
#include "cmd/ask.h"
#include "cmd/bodies.h"
#include "cmd/model_ref.h"
#include "cmd/pool.h"

#include <string.h>

#define ORDER_MAX (256 * KiB)

extern char **environ; /* POSIX leaves the declaration to the program */

enum weir_code local_models_read(struct serve_config *c, struct weir_error *err)
{
    const struct serve_sources from = { .environment = environ, .without_keys = true };
    return serve_config_read(c, &from, err);
}

static struct pool_settings settings_of(const struct serve_config *c)
{
    return (struct pool_settings){ .memory = c->options.memory, .threads = c->options.threads };
}

static enum weir_code tell(struct pool *p, const json_t *order, struct weir_error *err)
{
    struct buffer text;
    buffer_init(&text, ORDER_MAX);
    ask_dump(order, &text);
    const enum weir_code code =
        text.failed
            ? weir_fail(err, WEIR_INVALID, "an order of over %d KiB", (int)(ORDER_MAX / KiB))
            : pool_ask(p, buffer_view(&text), NULL, err);
    buffer_finish(&text);
    return code;
}

/* As the server would, but for what makes workers start without a request, and perhaps
 * with no more than one of them. */
static enum weir_code add_configured(struct pool *p, const struct serve_model *model,
                                     bool one_worker, struct weir_error *err)
{
    const struct str order = buffer_view(&model->order);
    json_t *const object = json_loadb(order.data, order.len, 0, NULL);
    json_object_del(object, "preload");
    json_object_del(object, "min_workers");
    if (one_worker)
        json_object_set_new(object, "max_workers", json_integer(1));
    const enum weir_code code = tell(p, object, err);
    json_decref(object);
    return code;
}

enum weir_code local_models_status(const struct serve_config *c, json_t **out,
                                   struct weir_error *err)
{
    const struct pool_settings settings = settings_of(c);
    struct pool *pool = NULL;
    enum weir_code code = pool_start(&settings, &pool, err);
    for (size_t i = 0; i < c->models.count && code == WEIR_OK; i++)
        code = add_configured(pool, &c->models.items[i], false, err);
    if (code == WEIR_OK)
        code = pool_wait_inspected(pool, err);
    if (code == WEIR_OK)
        code = pool_ask(pool, STR("{\"op\":\"status\"}"), out, err);
    pool_close(pool);
    return code;
}

static enum weir_code add_path(struct pool *p, const struct serve_options *options,
                               const char *name, const char *path, bool one_worker,
                               struct weir_error *err)
{
    struct body_model body = BODY_MODEL(name, path);
    struct buffer order;
    body.max_workers = one_worker ? 1 : options->max_workers;
    body.idle_ms = options->idle_ms;
    buffer_init(&order, ORDER_MAX);
    body_register(&order, &body);
    const enum weir_code code =
        order.failed ? weir_fail(err, WEIR_INVALID, "the path of '%s' is too long", name)
                     : pool_ask(p, buffer_view(&order), NULL, err);
    buffer_finish(&order);
    return code;
}

/* The pool was not told what would start workers; who reads the settings wants them as they are. */
static void restore_settings(json_t *plan, const struct serve_model *model)
{
    json_t *const settings = json_object_get(json_object_get(plan, "about"), "settings");
    json_object_set_new(settings, "preload", json_boolean(model->options.preload));
    json_object_set_new(settings, "min_workers", json_integer(model->options.min_workers));
}

static enum weir_code ask_plan(struct pool *p, const char *name, json_t **out,
                               struct weir_error *err)
{
    struct buffer order;
    buffer_init(&order, ORDER_MAX);
    body_name(&order, "plan", name);
    enum weir_code code = pool_wait_inspected(p, err);
    if (code == WEIR_OK)
        code = pool_ask(p, buffer_view(&order), out, err);
    buffer_finish(&order);
    return code;
}

/* NULL for a path, and for a name that the configuration has not. */
static const struct serve_model *find(const struct serve_config *c, const char *model)
{
    return model_ref_is_path(model) ? NULL : serve_models_called(&c->models, model);
}

/* What a pool calls a model that was given by its path: the last part, of fake: all before the
 * options, or "model" where that is no name. The caller's (mem_free). */
static char *name_of_path(const char *path)
{
    struct str rest = str_of(path), part, name = STR("model");
    if (str_starts(rest, STR("fake:")))
        str_cut(rest, '?', &rest, &part);
    while (rest.len > 0) {
        str_cut(rest, '/', &part, &rest);
        if (part.len > 0)
            name = part;
    }
    return model_ref_is_name(name) ? mem_copy_text(name.data, name.len) : mem_copy_text("model", 5);
}

/* Adds the model and says what the pool calls it: *name is the caller's (mem_free). */
static enum weir_code add_asked(struct pool *p, const struct serve_config *c, const char *model,
                                bool one_worker, char **name, struct weir_error *err)
{
    const struct serve_model *const configured = find(c, model);
    char *path = NULL;
    if (configured != NULL) {
        *name = mem_copy_text(configured->name, strlen(configured->name));
        return add_configured(p, configured, one_worker, err);
    }
    if (model_ref_is_path(model)) {
        path = model_ref_expand(model);
        *name = name_of_path(path);
    } else {
        if (model_ref_find(model, &path, err) != WEIR_OK)
            return err->code;
        *name = mem_copy_text(model, strlen(model));
    }
    const enum weir_code code = add_path(p, &c->options, *name, path, one_worker, err);
    mem_free(path);
    return code;
}

enum weir_code local_models_plan(const struct serve_config *c, const char *model, json_t **out,
                                 struct weir_error *err)
{
    const struct serve_model *const configured = find(c, model);
    const struct pool_settings settings = settings_of(c);
    struct pool *pool;
    char *name = NULL;
    enum weir_code code = pool_start(&settings, &pool, err);
    if (code != WEIR_OK)
        return code;
    code = add_asked(pool, c, model, false, &name, err);
    if (code == WEIR_OK)
        code = ask_plan(pool, name, out, err);
    if (code == WEIR_OK && configured != NULL)
        restore_settings(*out, configured);
    mem_free(name);
    pool_close(pool);
    return code;
}

enum weir_code local_models_open(const char *model, struct pool_settings *settings,
                                 struct pool **out, struct weir_error *err)
{
    struct serve_config config;
    struct pool *pool = NULL;
    char *name = NULL;
    enum weir_code code = local_models_read(&config, err);
    if (code == WEIR_OK) {
        if (settings->memory.bytes == 0 && settings->memory.percent == 0)
            settings->memory = config.options.memory;
        if (settings->threads == 0)
            settings->threads = config.options.threads;
        code = pool_start(settings, &pool, err);
    }
    if (code == WEIR_OK)
        code = add_asked(pool, &config, model, true, &name, err);
    if (code == WEIR_OK)
        code = pool_take_model(pool, name, err);
    if (code == WEIR_OK)
        *out = pool;
    else
        pool_close(pool);
    mem_free(name);
    serve_config_finish(&config);
    return code;
}
