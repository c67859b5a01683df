#include "cmd/verb.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/size.h"
#include "cmd/ask.h"
#include "cmd/table.h"

#include <jansson.h>
#include <string.h>

#define OUTPUT_MAX (64 * MiB)

struct plan_options {
    bool json;
};

static const struct option plan_options_table[] = {
    OPTION(.name = "json", .type = OPTION_FLAG, .offset = offsetof(struct plan_options, json),
           .help = "Print the server's answers as they are, one line a model."),
};

/* What a verdict means for who asked. */
static const char *what_happens(const char *verdict)
{
    static const struct {
        const char *verdict, *says;
    } rows[] = {
        {"loaded", "It is loaded: a request is served at once."                         },
        { "grant", "A request would start it now; nobody has to leave for it."          },
        { "evict", "A request would start it once those below have left, in that order."},
        { "wait",  "A request would wait for now, and start it when the reason is gone."},
        { "never", "A request would be refused: waiting does not help."                 },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (strcmp(verdict, rows[i].verdict) == 0)
            return rows[i].says;
    }
    return "";
}

/* "f32, 85.5 MiB packed, shared by all workers". */
static void print_packing(const json_t *plan, struct buffer *out)
{
    struct size_text size;
    buffer_printf(out, "  %-11s %s", "precision", ask_text(plan, "precision", ""));
    if (ask_number(plan, "packed") > 0)
        buffer_printf(out, ", %s packed, %s", ask_size(plan, "packed", &size),
                      json_is_true(json_object_get(plan, "prepared")) ? "shared by all workers"
                                                                      : "by each worker");
    buffer_u8(out, '\n');
}

static void print_figures(const json_t *plan, struct buffer *out)
{
    static const struct {
        const char *key, *label;
    } rows[] = {
        {"needed",     "needed"   },
        { "weights",   "  weights"},
        { "context",   "  context"},
        { "learned",   "  learned"},
        { "leased",    "leased"   },
        { "budget",    "budget"   },
        { "available", "available"},
        { "reserve",   "  reserve"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct size_text size;
        if (!json_is_integer(json_object_get(plan, rows[i].key)))
            continue;
        buffer_printf(out, "  %-11s %s", rows[i].label, ask_size(plan, rows[i].key, &size));
        if (strcmp(rows[i].key, "budget") == 0 && ask_text(plan, "budget_source", NULL) != NULL)
            buffer_printf(out, "  (%s)", ask_text(plan, "budget_source", ""));
        buffer_u8(out, '\n');
    }
    if (ask_text(plan, "precision", NULL) != NULL)
        print_packing(plan, out);
    if (ask_text(plan, "pressure", NULL) != NULL)
        buffer_printf(out, "  %-11s %s\n", "pressure", ask_text(plan, "pressure", ""));
}

static void print_victims(const json_t *plan, struct buffer *out)
{
    const json_t *const victims = json_object_get(plan, "victims");
    struct size_text size;
    struct table t;
    if (json_array_size(victims) == 0)
        return;
    table_init(&t, 4);
    table_cell(&t, "  LEAVES"), table_cell(&t, "WORKER");
    table_cell(&t, "FREES"), table_cell(&t, "IDLE");
    for (size_t i = 0; i < json_array_size(victims); i++) {
        const json_t *const victim = json_array_get(victims, i);
        table_cell(&t, "  %s", ask_text(victim, "model", "?"));
        table_cell(&t, "%lld", (long long)ask_number(victim, "worker"));
        table_cell(&t, "%s", ask_size(victim, "frees", &size));
        table_cell(&t, "%.1f s", (double)ask_number(victim, "idle_ms") / 1000);
    }
    table_print(&t, out);
    table_finish(&t);
}

static void print_plan(const json_t *plan, const char *asked, struct buffer *out)
{
    const char *const verdict = ask_text(plan, "verdict", "unknown");
    const char *const reason = ask_text(plan, "reason", NULL);
    buffer_printf(out, "%s: %s\n", ask_text(plan, "model", asked), verdict);
    if (reason != NULL)
        buffer_printf(out, "  %s\n", reason);
    if (what_happens(verdict)[0] != '\0')
        buffer_printf(out, "  %s\n", what_happens(verdict));
    print_figures(plan, out);
    print_victims(plan, out);
}

static enum weir_code plan_all(const struct api *api, const struct options *o, bool as_json,
                               struct buffer *out, struct weir_error *err)
{
    enum weir_code code = WEIR_OK;
    for (size_t i = 0; i < o->rest_count && code == WEIR_OK; i++) {
        json_t *plan = NULL;
        code = ask_model(api, "plan", o->rest[i], NULL, &plan, err);
        if (code == WEIR_OK && as_json) {
            ask_dump(plan, out);
        } else if (code == WEIR_OK) {
            buffer_text(out, i > 0 ? "\n" : "");
            print_plan(plan, o->rest[i], out);
        }
        json_decref(plan);
    }
    return code;
}

static int plan_run(const struct verb *verb, int argc, char **argv)
{
    struct options o;
    struct plan_options options = { 0 };
    struct weir_error err;
    struct api api;
    struct buffer out;
    int status;
    if (!verb_begin(verb, &o, &options, argc, argv, &status))
        return status;
    buffer_init(&out, OUTPUT_MAX);
    if (o.rest_count == 0)
        status = verb_misused(verb, "a MODEL is missing");
    else if (api_init(&api, &err) != WEIR_OK)
        status = verb_misused(verb, "%s", err.text);
    else if (plan_all(&api, &o, options.json, &out, &err) != WEIR_OK) {
        verb_write(&out, NULL); /* the models before the one that failed */
        status = verb_failed(verb, &err);
    } else
        status = verb_end(verb, &out);
    buffer_finish(&out);
    options_finish(&o);
    return status;
}

const struct verb verb_plan = {
    .name = "plan",
    .arguments = "MODEL…",
    .summary = "what loading a model would take and do, without doing it",
    .details =
        "Asks the server at $WEIR_HOST (default http://127.0.0.1:9347, with $WEIR_API_KEY as its\n"
        "key) what a load of each MODEL, by its name there, would do now: what it needs, what is\n"
        "leased, the budget and where it comes from, the verdict (grant, wait, evict, never or\n"
        "loaded), and who would have to leave, in order. Nothing is changed by asking.",
    .options = plan_options_table,
    .options_count = ARRAY_COUNT(plan_options_table),
    .run = plan_run,
};
