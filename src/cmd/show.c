#include "cmd/verb.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/size.h"
#include "cmd/ask.h"
#include "cmd/local_models.h"
#include "cmd/model_ref.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define OUTPUT_MAX (64 * MiB)

struct show_options {
    bool json, local;
};

#define AT(member) offsetof(struct show_options, member)

static const struct option show_options_table[] = {
    OPTION(.name = "json", .type = OPTION_FLAG, .offset = AT(json),
           .help = "Print one JSON object a model, one a line: the answer of /weir/v1/plan."),
    OPTION(.name = "local", .type = OPTION_FLAG, .offset = AT(local),
           .help = "Inspect the model inside this command, whatever server there is."),
};

static void label(struct buffer *out, const char *what)
{
    buffer_printf(out, "  %-13s ", what);
}

static void print_text(struct buffer *out, const char *what, const json_t *about, const char *key)
{
    const char *const text = ask_text(about, key, "");
    if (text[0] == '\0')
        return;
    label(out, what);
    buffer_printf(out, "%s\n", text);
}

static void print_list(struct buffer *out, const char *what, const json_t *about, const char *key)
{
    const json_t *const texts = json_object_get(about, key);
    if (json_array_size(texts) == 0)
        return;
    label(out, what);
    for (size_t i = 0; i < json_array_size(texts); i++) {
        const char *const text = json_string_value(json_array_get(texts, i));
        buffer_printf(out, "%s%s", i > 0 ? ", " : "", text != NULL ? text : "?");
    }
    buffer_u8(out, '\n');
}

/* What inspection found of the model itself. */
static void print_inspection(const json_t *about, struct buffer *out)
{
    print_text(out, "architecture", about, "architecture");
    print_list(out, "capabilities", about, "capabilities");
    if (ask_number(about, "dim") > 0) {
        label(out, "dimensions");
        buffer_printf(out, "%lld\n", (long long)ask_number(about, "dim"));
    }
    if (ask_number(about, "tokens_max") > 0) {
        label(out, "tokens");
        buffer_printf(out, "%lld of an input, %lld positions\n",
                      (long long)ask_number(about, "tokens_max"),
                      (long long)ask_number(about, "positions"));
    }
    print_list(out, "prompts", about, "prompts");
    print_text(out, "  default", about, "default_prompt");
}

/* The plan: coefficients, and what they come to for the first worker, or for one more. */
static void print_sizes(const json_t *plan, struct buffer *out)
{
    static const struct {
        const char *key, *label, *says;
    } rows[] = {
        {"weights",             "weights",      "mapped files, shared by all workers"  },
        { "packed",             "packed",       "the same in the layout of the kernels"},
        { "fixed",              "fixed",        "of each worker"                       },
        { "per_slot",           "a slot",       "more for each job that runs together" },
        { "per_token",          "a token",      "more for each token of context"       },
        { "scratch_per_thread", "a thread",     "more for each compute thread"         },
        { "needed",             "first worker", "of the budget, as it would be granted"},
    };
    const json_t *const about = json_object_get(plan, "about");
    const char *const verdict = json_string_value(json_object_get(plan, "verdict"));
    const bool is_loaded = verdict != NULL && strcmp(verdict, "loaded") == 0;
    struct size_text size;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const bool is_sum = strcmp(rows[i].key, "needed") == 0;
        const json_t *const of = is_sum ? plan : about;
        if (ask_number(of, rows[i].key) == 0)
            continue;
        label(out, is_sum && is_loaded ? "next worker" : rows[i].label);
        buffer_printf(out, "%-10s %s\n", ask_size(of, rows[i].key, &size), rows[i].says);
    }
    if (ask_number(about, "slots") > 0) {
        label(out, "slots");
        buffer_printf(out, "%lld\n", (long long)ask_number(about, "slots"));
    }
}

static void print_settings(const json_t *about, struct buffer *out)
{
    const char *key;
    json_t *value;
    const char *separator = "";
    label(out, "settings");
    json_object_foreach(json_object_get(about, "settings"), key, value) {
        const bool is_own = json_is_integer(value) && json_integer_value(value) == 0 &&
                            (strcmp(key, "slots") == 0 || strcmp(key, "context") == 0);
        buffer_printf(out, "%s%s ", separator, key);
        if (json_is_string(value))
            buffer_text(out, json_string_value(value));
        else if (json_is_boolean(value))
            buffer_text(out, json_is_true(value) ? "yes" : "no");
        else if (is_own)
            buffer_text(out, "its own");
        else
            buffer_printf(out, "%lld", (long long)json_integer_value(value));
        separator = ", ";
    }
    buffer_u8(out, '\n');
}

static void print_model(const json_t *plan, const char *asked, struct buffer *out)
{
    const json_t *const about = json_object_get(plan, "about");
    const char *const problem = ask_text(about, "problem", NULL);
    buffer_printf(out, "%s\n", ask_text(plan, "model", asked));
    print_text(out, "path", about, "path");
    print_list(out, "aliases", about, "aliases");
    if (problem != NULL) {
        label(out, "problem");
        buffer_printf(out, "%s\n", problem);
    } else if (!ask_flag(about, "inspected")) {
        label(out, "state");
        buffer_text(out, "not inspected yet: nothing else is known of it\n");
    }
    if (ask_text(about, "architecture", "")[0] != '\0') {
        print_inspection(about, out);
        print_sizes(plan, out);
    }
    print_settings(about, out);
}

/* By the server when it is there and knows the name, as for `weir embed`; else here. */
static enum weir_code ask(const struct verb *verb, const struct show_options *options,
                          const struct api *api, const char *model, json_t **out,
                          struct weir_error *err)
{
    struct serve_config config;
    bool answered = false;
    if (!model_ref_is_path(model) && !options->local) {
        const enum weir_code code = ask_model(api, "plan", model, &answered, out, err);
        if (code == WEIR_OK || (answered ? code != WEIR_NO_SUCH_MODEL : code != WEIR_UNAVAILABLE))
            return code;
        if (answered)
            fprintf(stderr, "weir %s: %s does not know '%s', looking here\n", verb->name, api->host,
                    model);
    }
    enum weir_code code = local_models_read(&config, err);
    if (code == WEIR_OK)
        code = local_models_plan(&config, model, out, err);
    serve_config_finish(&config);
    if (code == WEIR_NO_SUCH_MODEL && !answered && !options->local && !model_ref_is_path(model))
        weir_wrap(err, "no server answers at %s", api->host);
    return code;
}

static enum weir_code show_all(const struct verb *verb, const struct show_options *options,
                               const struct api *api, const struct options *o, struct buffer *out,
                               struct weir_error *err)
{
    enum weir_code code = WEIR_OK;
    for (size_t i = 0; i < o->rest_count && code == WEIR_OK; i++) {
        json_t *plan = NULL;
        code = ask(verb, options, api, o->rest[i], &plan, err);
        if (code == WEIR_OK && options->json) {
            ask_dump(plan, out);
        } else if (code == WEIR_OK) {
            buffer_text(out, i > 0 ? "\n" : "");
            print_model(plan, o->rest[i], out);
        }
        json_decref(plan);
    }
    return code;
}

static int show_run(const struct verb *verb, int argc, char **argv)
{
    struct options o;
    struct show_options options = { 0 };
    struct weir_error err;
    struct api api;
    struct buffer out;
    enum weir_code code;
    int status;
    if (!verb_begin(verb, &o, &options, argc, argv, &status))
        return status;
    buffer_init(&out, OUTPUT_MAX);
    if (o.rest_count == 0)
        status = verb_misused(verb, "a MODEL is missing");
    else if (api_init(&api, &err) != WEIR_OK)
        status = verb_misused(verb, "%s", err.text);
    else if ((code = show_all(verb, &options, &api, &o, &out, &err)) != WEIR_OK) {
        verb_write(&out, NULL); /* the models before the one that failed */
        status = verb_status(verb, code, &err);
    } else
        status = verb_end(verb, &out);
    buffer_finish(&out);
    options_finish(&o);
    return status;
}

const struct verb verb_show = {
    .name = "show",
    .arguments = "MODEL…",
    .summary = "all that is known of a model, without loading it",
    .details =
        "Prints what inspection found of each MODEL: its architecture and capabilities, the\n"
        "length of its vectors and inputs, its prompts, what it needs in bytes, its settings, and\n"
        "what is wrong with it. A name is asked of the server at $WEIR_HOST (default\n"
        "http://127.0.0.1:9347, with $WEIR_API_KEY as its key) when one answers there and knows\n"
        "it; else, and for a path, the model is inspected inside this command, with the settings\n"
        "that the configuration of `weir serve` has for it.",
    .options = show_options_table,
    .options_count = ARRAY_COUNT(show_options_table),
    .run = show_run,
};
