#include "cmd/doctor.h"

#include "base/check.h"
#include "base/file.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include "base/size.h"
#include "cmd/verb.h"

#include "weir/weir.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_MAX MiB

extern char **environ; /* POSIX leaves the declaration to the program */

struct doctor_options {
    bool json;
};

static const struct option doctor_options_table[] = {
    OPTION(.name = "json", .type = OPTION_FLAG, .offset = offsetof(struct doctor_options, json),
           .help = "Print one JSON object: ok, and the findings."),
};

/* In the order in which they are printed. */
static const struct {
    const char *name;
    void (*look)(struct doctor *d);
} checks[] = {
    {"kernel",      doctor_kernel    },
    { "cores",      doctor_cores     },
    { "memory",     doctor_memory    },
    { "swap",       doctor_swap      },
    { "huge pages", doctor_huge_pages},
    { "files",      doctor_files     },
    { "processes",  doctor_processes },
    { "worker",     doctor_worker    },
    { "speed",      doctor_speed     },
    { "config",     doctor_config    },
    { "models",     doctor_models    },
    { "cache",      doctor_cache     },
    { "server",     doctor_server    },
};

static const char *const verdict_names[] = {
#define X(NAME, name) [DOCTOR_##NAME] = #name,
    DOCTOR_VERDICTS(X)
#undef X
};

void doctor_say(struct doctor *d, enum doctor_verdict verdict, const char *format, ...)
{
    va_list args;
    CHECK(d->count < DOCTOR_FINDINGS_MAX);
    struct finding *const f = &d->findings[d->count++];
    *f = (struct finding){ .check = d->check, .verdict = verdict };
    va_start(args, format);
    str_vprint(f->says, sizeof(f->says), format, args);
    va_end(args);
}

void doctor_advise(struct doctor *d, const char *format, ...)
{
    va_list args;
    CHECK(d->count > 0);
    struct finding *const f = &d->findings[d->count - 1];
    va_start(args, format);
    str_vprint(f->advice, sizeof(f->advice), format, args);
    va_end(args);
}

bool doctor_read(const char *path, struct buffer *out)
{
    const char *const root = getenv("WEIR_SYSTEM_ROOT");
    const char *const roots[] = { root != NULL ? root : "/", "/" };
    bool found = false;
    for (size_t i = 0; i < ARRAY_COUNT(roots) && !found; i++) {
        char *const whole = file_join(roots[i], path);
        buffer_clear(out);
        found = file_read(whole, out, NULL) == WEIR_OK;
        mem_free(whole);
    }
    return found;
}

/* --- the facts -------------------------------------------------------------------------------- */

/* A pool that starts nothing: what it would make of this machine. */
static enum weir_code ask_pool(struct doctor *d)
{
    static const char order[] = "{\"op\":\"machine\"}";
    const char *answer;
    size_t bytes;
    const bool configured = d->config_error.code == WEIR_OK;
    struct weir_options options = { .size = sizeof(options) };
    if (configured) {
        options.memory_bytes = d->config.options.memory.bytes;
        options.memory_percent = d->config.options.memory.percent;
    }
    struct weir *const w = weir_open(&options, &d->machine_error);
    if (w == NULL)
        return d->machine_error.code;
    const enum weir_code code =
        weir_control(w, order, sizeof(order) - 1, &answer, &bytes, &d->machine_error);
    if (code == WEIR_OK)
        d->machine = json_loadb(answer, bytes, 0, NULL);
    weir_close(w);
    return code;
}

static void look_at_all(struct doctor *d)
{
    const struct serve_sources sources = { .environment = environ };
    if (serve_config_read(&d->config, &sources, &d->config_error) == WEIR_OK)
        d->config_error = (struct weir_error){ .code = WEIR_OK };
    (void)ask_pool(d);
    for (size_t i = 0; i < ARRAY_COUNT(checks); i++) {
        d->check = checks[i].name;
        checks[i].look(d);
    }
}

static struct doctor *doctor_create(void)
{
    return mem_new(1, sizeof(struct doctor));
}

static void doctor_destroy(struct doctor *d)
{
    serve_config_finish(&d->config);
    json_decref(d->machine);
    mem_free(d);
}

static size_t count_of(const struct doctor *d, enum doctor_verdict verdict)
{
    size_t count = 0;
    for (size_t i = 0; i < d->count; i++)
        count += d->findings[i].verdict == verdict;
    return count;
}

/* --- what is printed -------------------------------------------------------------------------- */

static void print_text(const struct doctor *d, struct buffer *out)
{
    const size_t wrong = count_of(d, DOCTOR_WRONG), notes = count_of(d, DOCTOR_NOTE);
    const char *before = "";
    for (size_t i = 0; i < d->count; i++) {
        const struct finding *const f = &d->findings[i];
        buffer_printf(out, "%-6s %-11s %s\n", verdict_names[f->verdict],
                      f->check == before ? "" : f->check, f->says);
        if (f->advice[0] != '\0')
            buffer_printf(out, "%18s  → %s\n", "", f->advice);
        before = f->check;
    }
    if (wrong > 0)
        buffer_printf(out, "%zu wrong, %zu to note\n", wrong, notes);
    else
        buffer_printf(out, "nothing is wrong, %zu to note\n", notes);
}

static void print_json(const struct doctor *d, struct buffer *out)
{
    struct jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j);
    jsonw_key(&j, "ok"), jsonw_bool(&j, count_of(d, DOCTOR_WRONG) == 0);
    jsonw_key(&j, "findings");
    jsonw_array(&j);
    for (size_t i = 0; i < d->count; i++) {
        const struct finding *const f = &d->findings[i];
        jsonw_object(&j);
        jsonw_key(&j, "check"), jsonw_text(&j, f->check);
        jsonw_key(&j, "verdict"), jsonw_text(&j, verdict_names[f->verdict]);
        jsonw_key(&j, "says"), jsonw_text(&j, f->says);
        jsonw_key(&j, "advice"), jsonw_text(&j, f->advice[0] != '\0' ? f->advice : NULL);
        jsonw_end(&j);
    }
    jsonw_end(&j);
    jsonw_end(&j);
    buffer_u8(out, '\n');
}

static int doctor_run(const struct verb *verb, int argc, char **argv)
{
    struct options o;
    struct doctor_options options = { 0 };
    struct buffer out;
    int status;
    if (!verb_begin(verb, &o, &options, argc, argv, &status))
        return status;
    if (o.rest_count > 0) {
        status = verb_misused(verb, "'%s' is one argument too many", o.rest[0]);
    } else {
        struct doctor *const d = doctor_create();
        look_at_all(d);
        buffer_init(&out, OUTPUT_MAX);
        if (options.json)
            print_json(d, &out);
        else
            print_text(d, &out);
        status = verb_end(verb, &out);
        if (status == 0 && count_of(d, DOCTOR_WRONG) > 0)
            status = 1;
        doctor_destroy(d);
    }
    options_finish(&o);
    return status;
}

const struct verb verb_doctor = {
    .name = "doctor",
    .arguments = "",
    .summary = "what this machine offers, and what is wrong with it",
    .details =
        "Looks at the machine, at the worker programs and at what weir was told, as `weir serve`\n"
        "would find them without arguments: CPU and cores, memory and the budget that follows,\n"
        "how fast arithmetic and memory are now (a second of work), how workers are confined\n"
        "(each profile is tried by a process that confines itself), configuration, models, cache,\n"
        "and the server at $WEIR_HOST. Every line is ok, note (could be better) or wrong, with\n"
        "what to do. Changes nothing. The exit status is 1 when something is wrong.",
    .options = doctor_options_table,
    .options_count = ARRAY_COUNT(doctor_options_table),
    .run = doctor_run,
};
