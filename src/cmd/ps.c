#include "cmd/verb.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/size.h"
#include "cmd/ask.h"
#include "cmd/table.h"

#include <jansson.h>
#include <string.h>

#define OUTPUT_MAX (256 * MiB)

struct ps_options {
    bool json;
};

static const struct option ps_options_table[] = {
    OPTION(.name = "json", .type = OPTION_FLAG, .offset = offsetof(struct ps_options, json),
           .help = "Print the server's status object as it is."),
};

static const char *const head[] = { "MODEL",  "WORKER",   "STATE", "PID",
                                    "LEASED", "MEASURED", "JOBS",  "IDLE" };

static void worker_row(struct table *t, const char *model, const json_t *worker)
{
    struct size_text leased, measured;
    const int64_t slots = ask_number(worker, "slots");
    table_cell(t, "%s", model);
    table_cell(t, "%lld", (long long)ask_number(worker, "id"));
    table_cell(t, "%s", ask_text(worker, "state", "?"));
    table_cell(t, "%lld", (long long)ask_number(worker, "pid"));
    table_cell(t, "%s", ask_size(worker, "leased", &leased));
    table_cell(t, "%s", ask_size(worker, "measured", &measured));
    if (slots > 0)
        table_cell(t, "%lld/%lld", (long long)ask_number(worker, "jobs"), (long long)slots);
    else
        table_cell(t, "%lld", (long long)ask_number(worker, "jobs"));
    table_cell(t, "%.1f s", (double)ask_number(worker, "idle_ms") / 1000);
}

/* A model without workers still has a row; one with a problem says it where its state would stand.
 */
static void model_rows(struct table *t, const json_t *model)
{
    const char *const name = ask_text(model, "name", "?");
    const json_t *const workers = json_object_get(model, "workers");
    const char *const problem = ask_text(model, "problem", NULL);
    for (size_t i = 0; i < json_array_size(workers); i++)
        worker_row(t, name, json_array_get(workers, i));
    if (json_array_size(workers) > 0)
        return;
    table_cell(t, "%s", name);
    table_cell(t, "-");
    table_cell(t, "%s", problem != NULL ? "problem" : "not loaded");
    for (size_t i = 3; i < ARRAY_COUNT(head); i++)
        table_cell(t, "-");
}

static void print_aliases(const json_t *model, struct buffer *out)
{
    const json_t *const aliases = json_object_get(model, "aliases");
    for (size_t i = 0; i < json_array_size(aliases); i++) {
        const char *const alias = json_string_value(json_array_get(aliases, i));
        buffer_printf(out, "%s%s", i > 0 ? ", " : " also called ", alias != NULL ? alias : "?");
    }
    if (json_array_size(aliases) > 0)
        buffer_text(out, ";");
}

static void print_queue(const json_t *model, struct buffer *out)
{
    const int64_t queue = ask_number(model, "queue");
    const int64_t predicted_ms = ask_number(model, "predicted_wait_ms");
    if (queue == 0)
        return;
    buffer_printf(out, " %lld waiting", (long long)queue);
    if (json_is_integer(json_object_get(model, "oldest_ms")))
        buffer_printf(out, ", the oldest for %.1f s",
                      (double)ask_number(model, "oldest_ms") / 1000);
    if (predicted_ms > 0)
        buffer_printf(out, ", the next one for about %.1f s", (double)predicted_ms / 1000);
    buffer_text(out, ";");
}

/* " f32, 85.5 MiB packed, shared by all workers;" */
static void print_packing(const json_t *model, struct buffer *out)
{
    struct size_text size;
    const bool is_loaded = json_array_size(json_object_get(model, "workers")) > 0;
    if (!is_loaded || ask_number(model, "packed") == 0)
        return;
    buffer_printf(out, " %s, %s packed, %s;", ask_text(model, "precision", "?"),
                  ask_size(model, "packed", &size),
                  strcmp(ask_text(model, "preparation", ""), "shared") == 0
                      ? "shared by all workers"
                      : "by each worker");
}

/* "m: pinned; 3 waiting, the oldest for 1.2 s; breaker open", or nothing. */
static void print_remarks(const json_t *model, struct buffer *out)
{
    const char *const problem = ask_text(model, "problem", NULL);
    const char *const breaker = ask_text(model, "breaker", "closed");
    struct buffer line;
    buffer_init(&line, MiB);
    print_aliases(model, &line);
    if (ask_flag(model, "pinned"))
        buffer_text(&line, " pinned;");
    if (ask_number(model, "slots") > 0 && ask_number(model, "context") > 0)
        buffer_printf(&line, " %lld slots, context %lld;", (long long)ask_number(model, "slots"),
                      (long long)ask_number(model, "context"));
    print_packing(model, &line);
    print_queue(model, &line);
    if (strcmp(breaker, "closed") != 0)
        buffer_printf(&line, " breaker %s;", breaker);
    if (problem != NULL)
        buffer_printf(&line, " %s;", problem);
    if (line.len > 0) /* without the last semicolon */
        buffer_printf(out, "%s:%.*s\n", ask_text(model, "name", "?"), (int)(line.len - 1),
                      (const char *)line.data);
    buffer_finish(&line);
}

static void print_status(const json_t *status, struct buffer *out)
{
    const json_t *const memory = json_object_get(status, "memory");
    const json_t *const models = json_object_get(status, "models");
    struct size_text leased, budget, measured;
    struct table t;
    buffer_printf(out, "memory: %s leased of %s, %s measured, pressure %s\n",
                  ask_size(memory, "leased", &leased), ask_size(memory, "budget", &budget),
                  ask_size(memory, "measured", &measured), ask_text(memory, "pressure", "unknown"));
    if (json_array_size(models) == 0) {
        buffer_text(out, "no models\n");
        return;
    }
    table_init(&t, ARRAY_COUNT(head));
    for (size_t i = 0; i < ARRAY_COUNT(head); i++)
        table_cell(&t, "%s", head[i]);
    for (size_t i = 0; i < json_array_size(models); i++)
        model_rows(&t, json_array_get(models, i));
    table_print(&t, out);
    table_finish(&t);
    for (size_t i = 0; i < json_array_size(models); i++)
        print_remarks(json_array_get(models, i), out);
}

static int ps_run(const struct verb *verb, int argc, char **argv)
{
    struct options o;
    struct ps_options options = { 0 };
    struct weir_error err;
    struct api api;
    json_t *answer = NULL;
    int status;
    if (!verb_begin(verb, &o, &options, argc, argv, &status))
        return status;
    if (o.rest_count > 0) {
        status = verb_misused(verb, "'%s' is one argument too many", o.rest[0]);
    } else if (api_init(&api, &err) != WEIR_OK) {
        status = verb_misused(verb, "%s", err.text);
    } else if (ask_status(&api, ASK_MS, NULL, &answer, &err) != WEIR_OK) {
        status = verb_failed(verb, &err);
    } else {
        struct buffer out;
        buffer_init(&out, OUTPUT_MAX);
        if (options.json)
            ask_dump(answer, &out);
        else
            print_status(answer, &out);
        status = verb_end(verb, &out);
        json_decref(answer);
    }
    options_finish(&o);
    return status;
}

const struct verb verb_ps = {
    .name = "ps",
    .arguments = "",
    .summary = "the models and workers of the running server",
    .details =
        "Asks the server at $WEIR_HOST (default http://127.0.0.1:9347, with $WEIR_API_KEY as its\n"
        "key) and prints its memory, models and workers.",
    .options = ps_options_table,
    .options_count = ARRAY_COUNT(ps_options_table),
    .run = ps_run,
};
