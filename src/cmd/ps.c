#include "cmd/verb.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/size.h"
#include "client/api.h"

#include <jansson.h>
#include <string.h>

#define ASK_MS  10000
#define COLUMNS 8

#define OUTPUT_MAX (256 * MiB)

struct ps_options {
    bool json;
};

static const struct option ps_options_table[] = {
    OPTION(.name = "json", .type = OPTION_FLAG, .offset = offsetof(struct ps_options, json),
           .help = "Print the server's status object as it is."),
};

/* Cells are kept until all are known, so that columns are as wide as they need to be. */
struct table {
    struct buffer cells; /* NUL-terminated texts, row by row */
    size_t widths[COLUMNS];
    size_t count;
};

static void cell(struct table *t, const char *text)
{
    const size_t len = strlen(text), column = t->count++ % COLUMNS;
    if (len > t->widths[column])
        t->widths[column] = len;
    buffer_append(&t->cells, text, len + 1);
}

static void table_print(const struct table *t, struct buffer *out)
{
    const char *at = (const char *)t->cells.data;
    for (size_t i = 0; i < t->count; i++) {
        const size_t column = i % COLUMNS;
        if (column + 1 < COLUMNS)
            buffer_printf(out, "%-*s  ", (int)t->widths[column], at);
        else
            buffer_printf(out, "%s\n", at);
        at += strlen(at) + 1;
    }
}

static const char *text_of(const json_t *object, const char *key, const char *otherwise)
{
    const char *const text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : otherwise;
}

static const char *size_of(const json_t *object, const char *key, struct size_text *out)
{
    const json_int_t bytes = json_integer_value(json_object_get(object, key));
    return size_format(bytes > 0 ? (uint64_t)bytes : 0, out);
}

static void number_cell(struct table *t, const json_t *object, const char *key)
{
    char text[32];
    str_print(text, sizeof(text), "%lld",
              (long long)json_integer_value(json_object_get(object, key)));
    cell(t, text);
}

static void worker_row(struct table *t, const char *model, const json_t *worker)
{
    struct size_text size;
    char idle[32];
    const json_int_t idle_ms = json_integer_value(json_object_get(worker, "idle_ms"));
    str_print(idle, sizeof(idle), "%.1f s", (double)idle_ms / 1000);
    cell(t, model);
    number_cell(t, worker, "id");
    cell(t, text_of(worker, "state", "?"));
    number_cell(t, worker, "pid");
    cell(t, size_of(worker, "leased", &size));
    cell(t, size_of(worker, "measured", &size));
    number_cell(t, worker, "jobs");
    cell(t, idle);
}

/* A model without workers still has a row; one with a problem says it where its state would stand.
 */
static void model_rows(struct table *t, const json_t *model)
{
    const char *const name = text_of(model, "name", "?");
    const json_t *const workers = json_object_get(model, "workers");
    const char *const problem = text_of(model, "problem", NULL);
    for (size_t i = 0; i < json_array_size(workers); i++)
        worker_row(t, name, json_array_get(workers, i));
    if (json_array_size(workers) > 0)
        return;
    cell(t, name);
    cell(t, "-");
    cell(t, problem != NULL ? "problem" : "not loaded");
    for (size_t i = 3; i < COLUMNS; i++)
        cell(t, "-");
}

static void print_status(const json_t *status, struct buffer *out)
{
    static const char *const head[COLUMNS] = { "MODEL",  "WORKER",   "STATE", "PID",
                                               "LEASED", "MEASURED", "JOBS",  "IDLE" };
    const json_t *const memory = json_object_get(status, "memory");
    const json_t *const models = json_object_get(status, "models");
    struct size_text leased, budget, measured;
    struct table t = { .count = 0 };
    buffer_printf(out, "memory: %s leased of %s, %s measured, pressure %s\n",
                  size_of(memory, "leased", &leased), size_of(memory, "budget", &budget),
                  size_of(memory, "measured", &measured), text_of(memory, "pressure", "unknown"));
    if (json_array_size(models) == 0) {
        buffer_text(out, "no models\n");
        return;
    }
    buffer_init(&t.cells, 64 * MiB);
    for (size_t i = 0; i < COLUMNS; i++)
        cell(&t, head[i]);
    for (size_t i = 0; i < json_array_size(models); i++)
        model_rows(&t, json_array_get(models, i));
    if (!t.cells.failed)
        table_print(&t, out);
    buffer_finish(&t.cells);
    for (size_t i = 0; i < json_array_size(models); i++) {
        const json_t *const model = json_array_get(models, i);
        const char *const problem = text_of(model, "problem", NULL);
        const json_int_t queue = json_integer_value(json_object_get(model, "queue"));
        const char *const breaker = text_of(model, "breaker", "closed");
        if (problem != NULL)
            buffer_printf(out, "%s: %s\n", text_of(model, "name", "?"), problem);
        if (queue > 0)
            buffer_printf(out, "%s: %lld waiting\n", text_of(model, "name", "?"), (long long)queue);
        if (strcmp(breaker, "closed") != 0)
            buffer_printf(out, "%s: breaker %s\n", text_of(model, "name", "?"), breaker);
    }
}

static int add_piece(const char *piece, size_t bytes, void *out)
{
    buffer_append(out, piece, bytes);
    return 0;
}

static int show(const struct verb *verb, const json_t *answer, bool as_json)
{
    struct weir_error err;
    struct buffer out;
    buffer_init(&out, OUTPUT_MAX);
    if (as_json) {
        json_dump_callback(answer, add_piece, &out, JSON_COMPACT);
        buffer_u8(&out, '\n');
    } else {
        print_status(answer, &out);
    }
    const enum weir_code code = out.failed
                                    ? weir_fail(&err, WEIR_NO_MEMORY, "no memory for the status")
                                    : verb_write(&out, &err);
    buffer_finish(&out);
    return verb_status(verb, code, &err);
}

static int ps_run(const struct verb *verb, int argc, char **argv)
{
    struct options o;
    struct ps_options options = { 0 };
    struct weir_error err;
    struct api api;
    json_t *answer = NULL;
    int status, http_status;
    if (!verb_begin(verb, &o, &options, argc, argv, &status))
        return status;
    if (o.rest_count > 0) {
        status = verb_misused(verb, "'%s' is one argument too many", o.rest[0]);
    } else if (api_init(&api, &err) != WEIR_OK) {
        status = verb_misused(verb, "%s", err.text);
    } else if (api_call(&api, "/weir/v1/status", (struct str){ NULL, 0 }, ASK_MS, &http_status,
                        &answer, &err) != WEIR_OK) {
        if (http_status == 0)
            weir_wrap(&err, "no server answers at %s", api.host);
        status = verb_failed(verb, &err);
    } else {
        status = show(verb, answer, options.json);
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
