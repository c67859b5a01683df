#include "cmd/serve_models.h"

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"
#include "cmd/bodies.h"
#include "cmd/folders.h"
#include "cmd/model_ref.h"

#include "weir/weir.h"

#include <string.h>

#define LIST_MOST     64 /* aliases, or capabilities, of one model */
#define CONTEXT_MOST  INT32_MAX
#define SLOTS_MOST    64    /* what a worker can run together */
#define LABEL_DEFAULT 30000 /* as weir.h says: 30 s, or idle_ms where that is less */
#define ORDER_MAX     (256 * KiB)
#define AT(member)    offsetof(struct model_options, member)

const struct option serve_models_keys[] = {
    OPTION(.name = "path", .type = OPTION_STRING, .offset = AT(path), .argument = "PATH",
           .fallback_says = "the folder of models",
           .help = "A folder in Hugging Face layout, a .gguf file or a fake: model."),
    OPTION(.name = "capability", .type = OPTION_STRING, .offset = AT(capability),
           .argument = "NAME,…", .fallback_says = "all that its files can",
           .help = "Narrows what its files can do."),
    OPTION(.name = "alias", .type = OPTION_STRING, .offset = AT(alias), .argument = "NAME,…",
           .help = "Other names for it."),
    OPTION(.name = "max_workers", .type = OPTION_INTEGER, .offset = AT(max_workers),
           .argument = "N", .fallback_says = "as max-workers", .least = 1, .most = 64,
           .help = "Most workers of it."),
    OPTION(.name = "min_workers", .type = OPTION_INTEGER, .offset = AT(min_workers),
           .argument = "N", .fallback_says = "as min-workers", .least = 0, .most = 64,
           .help = "Workers of it that stay loaded."),
    OPTION(.name = "idle", .type = OPTION_DURATION, .offset = AT(idle_ms), .argument = "SECONDS",
           .fallback_says = "as idle", .least = SERVE_IDLE_LEAST_MS, .most = SERVE_IDLE_MOST_MS,
           .help = "One worker leaves each time the model was quiet for so long."),
    OPTION(.name = "idle_label", .type = OPTION_DURATION, .offset = AT(idle_label_ms),
           .argument = "SECONDS", .fallback_says = "as idle-label, or idle where that is less",
           .least = SERVE_IDLE_LEAST_MS, .most = SERVE_IDLE_MOST_MS,
           .help = "A worker that was quiet for so long is called Idle; at most idle."),
    OPTION(.name = "pin", .type = OPTION_FLAG, .offset = AT(pin),
           .help = "Its last worker leaves neither when idle nor for another model."),
    OPTION(.name = "preload", .type = OPTION_FLAG, .offset = AT(preload),
           .help = "Loaded as soon as the server has started."),
    OPTION(.name = "context", .type = OPTION_INTEGER, .offset = AT(context), .argument = "TOKENS",
           .fallback_says = "the model's own", .least = 1, .most = CONTEXT_MOST,
           .help = "Tokens of an input, at most the positions of the model."),
    OPTION(.name = "slots", .type = OPTION_INTEGER, .offset = AT(slots), .argument = "N",
           .fallback_says = "as its capability has", .least = 1, .most = SLOTS_MOST,
           .help = "Jobs that a worker runs together."),
    OPTION(.name = "priority", .type = OPTION_CHOICE, .offset = AT(priority), .argument = "CLASS",
           .fallback = "normal", .choices = "critical|high|normal|low|batch",
           .help = "Priority of requests that say none."),
    OPTION(.name = "precision", .type = OPTION_CHOICE, .offset = AT(precision), .argument = "FORM",
           .fallback = "f32", .choices = "f32|bf16",
           .help = "Form of the weights in matrix products; bf16 halves them."),
    OPTION(.name = "truncate", .type = OPTION_FLAG, .offset = AT(truncate),
           .help = "Cuts inputs that are too long, where a request does not say whether to."),
};
const size_t serve_models_keys_count = ARRAY_COUNT(serve_models_keys);

enum { ROW_IDLE_LABEL = 6, ROW_PRIORITY = 11, ROW_PRECISION };
_Static_assert(ARRAY_COUNT(serve_models_keys) == ROW_PRECISION + 2,
               "the rows stand where the enum says");

static struct serve_model *at(const struct serve_models *m, const struct map *map, struct str name)
{
    const uintptr_t place = (uintptr_t)map_get(map, name);
    return place > 0 ? &m->items[place - 1] : NULL;
}

static struct serve_model *find(const struct serve_models *m, struct str name)
{
    return at(m, &m->names, name);
}

const struct serve_model *serve_models_find(const struct serve_models *m, const char *name)
{
    return find(m, str_of(name));
}

const struct serve_model *serve_models_called(const struct serve_models *m, const char *name)
{
    const struct serve_model *const model = find(m, str_of(name));
    return model != NULL ? model : at(m, &m->aliases, str_of(name));
}

static struct serve_model *add(struct serve_models *m, struct str name)
{
    struct serve_model *const model = &m->items[m->count++];
    model->name = mem_copy_text(name.data, name.len);
    map_put(&m->names, str_of(model->name), (void *)(uintptr_t)m->count);
    return model;
}

static enum weir_code add_flag(struct serve_models *m, const char *text, const char *origin,
                               struct weir_error *err)
{
    struct str name, path;
    if (!str_cut(str_of(text), '=', &name, &path) || path.len == 0)
        return weir_fail(err, WEIR_INVALID, "'%s' is not of the form NAME=PATH", text);
    if (!model_ref_is_name(name))
        return weir_fail(err, WEIR_INVALID, "'%.*s' is no name (" MODEL_REF_NAME_RULE ")",
                         STR_ARG(name));
    if (find(m, name) != NULL)
        return weir_fail(err, WEIR_INVALID, "the name '%.*s' is given twice", STR_ARG(name));
    struct serve_model *const model = add(m, name);
    model->path = model_ref_expand(path.data);
    model->path_origin = origin;
    return WEIR_OK;
}

/* --- sections --------------------------------------------------------------------------------- */

/* What the section leaves open is what the server's own options say. */
static enum weir_code read_values(struct serve_model *model, const struct serve_options *options,
                                  struct weir_error *err)
{
    const struct config_model *const section = model->section;
    struct option_sources from = { 0 };
    model->options = (struct model_options){ .max_workers = options->max_workers,
                                             .min_workers = options->min_workers,
                                             .idle_ms = options->idle_ms,
                                             .idle_label_ms = options->idle_label_ms };
    if (section != NULL) {
        from.settings = section->settings;
        from.settings_count = section->count;
    }
    const enum weir_code code =
        options_read(&model->values, serve_models_keys, ARRAY_COUNT(serve_models_keys),
                     &model->options, &from, err);
    struct model_options *const o = &model->options;
    const bool own_label = model->values.values[ROW_IDLE_LABEL].source != OPTION_FROM_DEFAULT;
    if (code != WEIR_OK)
        return code;
    if (own_label && o->idle_label_ms > o->idle_ms)
        return weir_fail(err, WEIR_INVALID, "%s: idle_label (%g s) is more than idle (%g s)",
                         section->origin, (double)o->idle_label_ms / 1000,
                         (double)o->idle_ms / 1000);
    if (o->idle_label_ms == 0)
        o->idle_label_ms = LABEL_DEFAULT;
    if (o->idle_label_ms > o->idle_ms)
        o->idle_label_ms = o->idle_ms;
    if (o->min_workers > o->max_workers)
        return weir_fail(err, WEIR_INVALID,
                         "%s: [model %s] min_workers (%lld) is more than max_workers (%lld)",
                         section != NULL ? section->origin : "--model", model->name,
                         (long long)o->min_workers, (long long)o->max_workers);
    return WEIR_OK;
}

static void add_section(struct serve_models *m, const struct config_model *section)
{
    struct serve_model *model = find(m, str_of(section->name));
    if (model == NULL)
        model = add(m, str_of(section->name));
    model->section = section;
    for (size_t i = 0; i < section->count && model->path == NULL; i++) {
        if (strcmp(section->settings[i].name, "path") == 0) {
            model->path = model_ref_expand(section->settings[i].value);
            model->path_origin = section->settings[i].origin;
        }
    }
}

/* --- models that were found ------------------------------------------------------------------- */

/* A folder that nobody asked for need not exist. */
static enum weir_code look_for_models(struct serve_models *m, const struct options *o,
                                      const struct serve_options *options, struct weir_error *err)
{
    const struct option_value *const said = options_value(o, "models");
    const bool asked = said->source != OPTION_FROM_DEFAULT;
    char *const folder = asked ? model_ref_expand(options->models_folder) : folders_models();
    char *const hub = folders_hub();
    const bool exists = folder != NULL && file_is_folder(folder);
    enum weir_code code = WEIR_OK;
    if (asked && !exists)
        code = weir_fail(err, WEIR_INVALID, "models (%s): there is no folder '%s'", said->origin,
                         folder);
    else
        code = found_models_look(&m->found, exists ? folder : NULL, hub, err);
    mem_free(folder);
    mem_free(hub);
    return code;
}

/* A section without a path is about a model that was found. */
static enum weir_code settle_path(const struct serve_models *m, struct serve_model *model,
                                  struct weir_error *err)
{
    enum found_place place;
    if (model->path != NULL)
        return WEIR_OK;
    model->path = found_models_path(&m->found, model->name, &place);
    model->path_origin = found_place_name(place);
    if (model->path != NULL)
        return WEIR_OK;
    const char *const folder = m->found.places[FOUND_IN_FOLDER];
    const char *const hub = m->found.places[FOUND_IN_HUB];
    return weir_fail(
        err, WEIR_INVALID, "%s: [model %s] has no path, and there is no '%s' in %s, nor in %s",
        model->section->origin, model->name, model->name,
        folder != NULL ? folder : "a folder of models", hub != NULL ? hub : "a Hugging Face cache");
}

/* --- names, and the order to the pool --------------------------------------------------------- */

/* The parts of "a, b,c" without blanks. False for more than LIST_MOST, or an empty one. */
static bool split(const char *text, struct str out[LIST_MOST], size_t *count)
{
    struct str part, rest = str_of(text);
    for (*count = 0; rest.len > 0 && *count < LIST_MOST;) {
        const bool more = str_cut(rest, ',', &part, &rest);
        out[*count] = str_trim(part);
        if (out[(*count)++].len == 0 || (more && rest.len == 0))
            return false;
    }
    return rest.len == 0;
}

static enum weir_code check_capability(struct str name, struct weir_error *err)
{
    const char *names[WEIR_CAPABILITY_COUNT];
    char word[64];
    for (int i = 0; i < WEIR_CAPABILITY_COUNT; i++) {
        names[i] = weir_capability_name((enum weir_capability)i);
        if (str_eq(name, str_of(names[i])))
            return WEIR_OK;
    }
    str_print(word, sizeof(word), "%.*s", STR_ARG(name));
    const char *const near = options_nearest(word, names, WEIR_CAPABILITY_COUNT);
    return weir_fail(err, WEIR_INVALID, "there is no capability '%s'%s%s%s", word,
                     near != NULL ? ", perhaps '" : "", near != NULL ? near : "",
                     near != NULL ? "'?" : "");
}

/* An alias is a name like any other, and no two models share one. */
static enum weir_code add_alias(struct serve_models *m, const struct serve_model *of,
                                struct str alias, struct weir_error *err)
{
    if (!model_ref_is_name(alias))
        return weir_fail(err, WEIR_INVALID, "'%.*s' is no name (" MODEL_REF_NAME_RULE ")",
                         STR_ARG(alias));
    if (find(m, alias) != NULL)
        return weir_fail(err, WEIR_INVALID, "'%.*s' is the name of a model", STR_ARG(alias));
    const struct serve_model *const other = at(m, &m->aliases, alias);
    if (other != NULL && other != of)
        return weir_fail(err, WEIR_INVALID, "'%.*s' is an alias of '%s' too", STR_ARG(alias),
                         other->name);
    map_put(&m->aliases, alias, (void *)(uintptr_t)(of - m->items + 1));
    return WEIR_OK;
}

static enum weir_code write_order(struct serve_models *m, struct serve_model *model,
                                  struct weir_error *err)
{
    const struct model_options *const o = &model->options;
    struct str aliases[LIST_MOST], capabilities[LIST_MOST];
    size_t aliases_count = 0, capabilities_count = 0;
    const char *const where = model->section != NULL ? model->section->origin : "--model";
    if (!split(o->alias != NULL ? o->alias : "", aliases, &aliases_count) ||
        !split(o->capability != NULL ? o->capability : "", capabilities, &capabilities_count))
        return weir_fail(err, WEIR_INVALID,
                         "%s: alias and capability are lists with commas, of at most %d", where,
                         LIST_MOST);
    for (size_t i = 0; i < aliases_count; i++) {
        if (add_alias(m, model, aliases[i], err) != WEIR_OK)
            return options_wrap(&model->values, "alias", 0, err);
        for (size_t k = 0; k < i; k++) {
            if (str_eq(aliases[i], aliases[k])) {
                weir_fail(err, WEIR_INVALID, "'%.*s' is there twice", STR_ARG(aliases[i]));
                return options_wrap(&model->values, "alias", 0, err);
            }
        }
    }
    for (size_t i = 0; i < capabilities_count; i++) {
        if (check_capability(capabilities[i], err) != WEIR_OK)
            return options_wrap(&model->values, "capability", 0, err);
    }
    const struct option_value *const priority = &model->values.values[ROW_PRIORITY];
    const struct option_value *const precision = &model->values.values[ROW_PRECISION];
    const struct body_model body = {
        .name = model->name,
        .path = model->path,
        .max_workers = o->max_workers,
        .min_workers = o->min_workers,
        .idle_ms = o->idle_ms,
        .idle_label_ms = o->idle_label_ms,
        .slots = o->slots > 0 ? o->slots : -1,
        .context = o->context > 0 ? o->context : -1,
        .aliases = aliases,
        .aliases_count = aliases_count,
        .capabilities = capabilities,
        .capabilities_count = capabilities_count,
        .priority = priority->source != OPTION_FROM_DEFAULT ? priority->text : NULL,
        .precision = precision->source != OPTION_FROM_DEFAULT ? precision->text : NULL,
        .truncate = o->truncate,
        .pin = o->pin,
        .preload = o->preload,
    };
    buffer_init(&model->order, ORDER_MAX);
    body_register(&model->order, &body);
    return model->order.failed ? weir_fail(err, WEIR_INVALID,
                                           "%s: the settings of '%s' are over "
                                           "%d KiB",
                                           where, model->name, (int)(ORDER_MAX / KiB))
                               : WEIR_OK;
}

static enum weir_code settle(struct serve_models *m, struct serve_model *model,
                             const struct serve_options *options, struct weir_error *err)
{
    enum weir_code code = read_values(model, options, err);
    if (code == WEIR_OK)
        code = settle_path(m, model, err);
    if (code == WEIR_OK)
        code = write_order(m, model, err);
    return code;
}

/* The configuration is stronger: who has a name or an alias there keeps it, whatever was found. */
static enum weir_code add_found(struct serve_models *m, const struct serve_options *options,
                                struct weir_error *err)
{
    enum weir_code code = WEIR_OK;
    for (size_t i = 0; i < m->found.count && code == WEIR_OK; i++) {
        const struct found_model *const found = &m->found.items[i];
        if (find(m, str_of(found->name)) == NULL && at(m, &m->aliases, str_of(found->name)) == NULL)
            code = settle(m, add(m, str_of(found->name)), options, err);
    }
    return code;
}

enum weir_code serve_models_read(struct serve_models *m, const struct options *o,
                                 const struct serve_options *options, const struct config *file,
                                 struct weir_error *err)
{
    *m = (struct serve_models){ 0 };
    map_init(&m->names);
    map_init(&m->aliases);
    enum weir_code code = look_for_models(m, o, options, err);
    m->items =
        mem_new(options->models.count + file->models_count + m->found.count + 1, sizeof(*m->items));
    const struct option_list *const origins = &options_value(o, "model")->origins;
    for (size_t i = 0; i < options->models.count && code == WEIR_OK; i++) {
        code = add_flag(m, options->models.items[i], origins->items[i], err);
        if (code != WEIR_OK)
            options_wrap(o, "model", i, err);
    }
    for (size_t i = 0; i < file->models_count && code == WEIR_OK; i++)
        add_section(m, &file->models[i]);
    const size_t configured = m->count;
    for (size_t i = 0; i < configured && code == WEIR_OK; i++)
        code = settle(m, &m->items[i], options, err);
    return code == WEIR_OK ? add_found(m, options, err) : code;
}

void serve_models_finish(struct serve_models *m)
{
    for (size_t i = 0; i < m->count; i++) {
        mem_free(m->items[i].name);
        mem_free(m->items[i].path);
        options_finish(&m->items[i].values);
        buffer_finish(&m->items[i].order);
    }
    map_finish(&m->names);
    map_finish(&m->aliases);
    mem_free(m->items);
    found_models_finish(&m->found);
    *m = (struct serve_models){ 0 };
}

void serve_models_print(const struct serve_models *m, struct buffer *out)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct serve_model *const model = &m->items[i];
        buffer_printf(out, "\n[model %s]\npath = %s  (%s)\n", model->name, model->path,
                      model->path_origin);
        struct buffer lines;
        buffer_init(&lines, MiB);
        options_print(&model->values, &lines);
        struct str head, rest;
        str_cut(buffer_view(&lines), '\n', &head, &rest); /* without the row of the path */
        buffer_str(out, rest);
        buffer_finish(&lines);
    }
}
