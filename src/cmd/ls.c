#include "cmd/verb.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/size.h"
#include "cmd/ask.h"
#include "cmd/local_models.h"
#include "cmd/table.h"

#include <jansson.h>
#include <string.h>

#define OUTPUT_MAX (256 * MiB)
#define NAMES_MS   1000 /* somebody waits for the completion of a word */

struct ls_options {
    bool json, names, local;
};

#define AT(member) offsetof(struct ls_options, member)

static const struct option ls_options_table[] = {
    OPTION(.name = "json", .type = OPTION_FLAG, .offset = AT(json),
           .help = "Print one JSON object a model, one a line."),
    OPTION(.name = "names", .type = OPTION_FLAG, .offset = AT(names),
           .help = "Print names and aliases only, one a line; nothing is inspected for it."),
    OPTION(.name = "local", .type = OPTION_FLAG, .offset = AT(local),
           .help = "List the models of the configuration, whatever server there is."),
};

static const char *const head[] = { "MODEL", "CAPABILITIES", "STATE", "SIZE", "ALIASES", "PATH" };

static const char *text_at(const json_t *texts, size_t i)
{
    const char *const text = json_string_value(json_array_get(texts, i));
    return text != NULL ? text : "?";
}

/* Appends the texts of an array, or "-". */
static void join(const json_t *texts, struct buffer *out)
{
    for (size_t i = 0; i < json_array_size(texts); i++)
        buffer_printf(out, "%s%s", i > 0 ? "," : "", text_at(texts, i));
    if (json_array_size(texts) == 0)
        buffer_text(out, "-");
    buffer_u8(out, '\0');
}

static void joined_cell(struct table *t, const json_t *texts)
{
    struct buffer text;
    buffer_init(&text, 64 * KiB);
    join(texts, &text);
    table_cell(t, "%s", text.failed ? "?" : (const char *)text.data);
    buffer_finish(&text);
}

/* One word for all of a model: what a request would find. */
static const char *state_of(const json_t *model)
{
    static const char *const takes_jobs[] = { "Ready", "Processing", "Idle" };
    const json_t *const workers = json_object_get(model, "workers");
    bool is_loading = false;
    for (size_t i = 0; i < json_array_size(workers); i++) {
        const char *const state = ask_text(json_array_get(workers, i), "state", "");
        for (size_t k = 0; k < ARRAY_COUNT(takes_jobs); k++) {
            if (strcmp(state, takes_jobs[k]) == 0)
                return "loaded";
        }
        is_loading = is_loading || strcmp(state, "Spawning") == 0 || strcmp(state, "Loading") == 0;
    }
    if (is_loading)
        return "loading";
    if (ask_text(model, "problem", NULL) != NULL)
        return "problem";
    return ask_flag(model, "inspected") ? "not loaded" : "not inspected";
}

static void print_row(struct table *t, const json_t *model)
{
    struct size_text size;
    table_cell(t, "%s", ask_text(model, "name", "?"));
    joined_cell(t, json_object_get(model, "capabilities"));
    table_cell(t, "%s", state_of(model));
    table_cell(t, "%s", ask_number(model, "weights") > 0 ? ask_size(model, "weights", &size) : "-");
    joined_cell(t, json_object_get(model, "aliases"));
    table_cell(t, "%s", ask_text(model, "path", "-"));
}

static void print_table(const json_t *models, struct buffer *out)
{
    struct table t;
    if (json_array_size(models) == 0) {
        buffer_text(out, "no models\n");
        return;
    }
    table_init(&t, ARRAY_COUNT(head));
    for (size_t i = 0; i < ARRAY_COUNT(head); i++)
        table_cell(&t, "%s", head[i]);
    for (size_t i = 0; i < json_array_size(models); i++)
        print_row(&t, json_array_get(models, i));
    table_print(&t, out);
    table_finish(&t);
    for (size_t i = 0; i < json_array_size(models); i++) {
        const json_t *const model = json_array_get(models, i);
        const char *const problem = ask_text(model, "problem", NULL);
        if (problem != NULL)
            buffer_printf(out, "%s: %s\n", ask_text(model, "name", "?"), problem);
    }
}

static void print_json(const json_t *models, struct buffer *out)
{
    static const char *const members[] = { "name",  "aliases", "capabilities", "problem",
                                           "state", "weights", "path" };
    for (size_t i = 0; i < json_array_size(models); i++) {
        const json_t *const model = json_array_get(models, i);
        json_t *const line = json_object();
        for (size_t k = 0; k < ARRAY_COUNT(members); k++) {
            json_t *const value = json_object_get(model, members[k]);
            if (strcmp(members[k], "state") == 0)
                json_object_set_new(line, members[k], json_string(state_of(model)));
            else
                json_object_set(line, members[k], value != NULL ? value : json_null());
        }
        ask_dump(line, out);
        json_decref(line);
    }
}

static void print_names(const json_t *models, struct buffer *out)
{
    for (size_t i = 0; i < json_array_size(models); i++) {
        const json_t *const model = json_array_get(models, i);
        const json_t *const aliases = json_object_get(model, "aliases");
        buffer_printf(out, "%s\n", ask_text(model, "name", ""));
        for (size_t k = 0; k < json_array_size(aliases); k++)
            buffer_printf(out, "%s\n", text_at(aliases, k));
    }
}

/* What the configuration says of its models, in the shape of a status. */
static json_t *configured(const struct serve_config *c)
{
    json_t *const models = json_array();
    for (size_t i = 0; i < c->models.count; i++) {
        const struct str order = buffer_view(&c->models.items[i].order);
        json_array_append_new(models, json_loadb(order.data, order.len, 0, NULL));
    }
    return json_pack("{so}", "models", models);
}

static enum weir_code ask_here(const struct ls_options *options, json_t **out,
                               struct weir_error *err)
{
    struct serve_config config;
    enum weir_code code = local_models_read(&config, err);
    if (code == WEIR_OK && options->names)
        *out = configured(&config);
    else if (code == WEIR_OK)
        code = local_models_status(&config, out, err);
    serve_config_finish(&config);
    return code;
}

/* The models that give way to others of their names have none any more. */
static json_t *take_models(json_t *status)
{
    const json_t *const all = json_object_get(status, "models");
    json_t *const named = json_array();
    for (size_t i = 0; i < json_array_size(all); i++) {
        json_t *const model = json_array_get(all, i);
        if (!ask_flag(model, "draining"))
            json_array_append(named, model);
    }
    json_decref(status);
    return named;
}

static enum weir_code list(const struct ls_options *options, struct buffer *out,
                           struct weir_error *err)
{
    struct api api;
    json_t *status = NULL;
    bool answered = false;
    enum weir_code code = api_init(&api, err);
    if (code == WEIR_OK && !options->local)
        code = ask_status(&api, options->names ? NAMES_MS : ASK_MS, &answered, &status, err);
    if (status == NULL && !answered && (code == WEIR_OK || code == WEIR_UNAVAILABLE))
        code = ask_here(options, &status, err);
    if (code != WEIR_OK)
        return code;
    json_t *const models = take_models(status);
    if (options->names)
        print_names(models, out);
    else if (options->json)
        print_json(models, out);
    else
        print_table(models, out);
    json_decref(models);
    return WEIR_OK;
}

static int ls_run(const struct verb *verb, int argc, char **argv)
{
    struct options o;
    struct ls_options options = { 0 };
    struct weir_error err;
    struct buffer out;
    enum weir_code code;
    int status;
    if (!verb_begin(verb, &o, &options, argc, argv, &status))
        return status;
    buffer_init(&out, OUTPUT_MAX);
    if (o.rest_count > 0)
        status = verb_misused(verb, "'%s' is one argument too many", o.rest[0]);
    else if (options.json && options.names)
        status = verb_misused(verb, "--json and --names are two forms");
    else if ((code = list(&options, &out, &err)) != WEIR_OK)
        status = verb_status(verb, code, &err);
    else
        status = verb_end(verb, &out);
    buffer_finish(&out);
    options_finish(&o);
    return status;
}

const struct verb verb_ls = {
    .name = "ls",
    .arguments = "",
    .summary = "the models that there are, loaded or not",
    .details =
        "Prints every model that the server at $WEIR_HOST (default http://127.0.0.1:9347, with\n"
        "$WEIR_API_KEY as its key) knows, or where none answers every model that `weir serve`\n"
        "would serve, inspected inside this command: its capabilities, its state, the size of its\n"
        "weights, its other names and where it lies.",
    .options = ls_options_table,
    .options_count = ARRAY_COUNT(ls_options_table),
    .run = ls_run,
};
