/* control.c — weir_control: one JSON object in, one out, by a table of operations. */
#include "base/capability.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/jsonw.h"
#include "lib/model_stamp.h"
#include "lib/pool.h"
#include "wire/plan.h"

#include <jansson.h>
#include <string.h>

#define ALIASES_MOST 64 /* of one model */

struct control_op {
    const char *name;
    const char *const *fields; /* what it may carry besides "op" */
    enum weir_code (*run)(struct weir *w, json_t *request, struct jsonw *out,
                          struct weir_error *err);
};

static enum weir_code get_text(json_t *o, const char *key, const char **out, struct weir_error *err)
{
    json_t *v = json_object_get(o, key);
    if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
        return weir_fail(err, WEIR_INVALID, "\"%s\" must be a text", key);
    *out = json_string_value(v);
    return WEIR_OK;
}

/* Absent leaves *out as it is. */
static enum weir_code get_number(json_t *o, const char *key, int64_t most, int64_t *out,
                                 struct weir_error *err)
{
    json_t *v = json_object_get(o, key);
    if (v == NULL || json_is_null(v))
        return WEIR_OK;
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > most)
        return weir_fail(err, WEIR_INVALID, "\"%s\" must be a whole number from 0 to %lld", key,
                         (long long)most);
    *out = json_integer_value(v);
    return WEIR_OK;
}

/* Absent leaves *out as it is. */
static enum weir_code get_bool(json_t *o, const char *key, bool *out, struct weir_error *err)
{
    json_t *v = json_object_get(o, key);
    if (v == NULL || json_is_null(v))
        return WEIR_OK;
    if (!json_is_boolean(v))
        return weir_fail(err, WEIR_INVALID, "\"%s\" must be true or false", key);
    *out = json_boolean_value(v);
    return WEIR_OK;
}

/* The texts of an array, borrowed from it; absent is an empty one. */
static enum weir_code get_texts(json_t *o, const char *key, const char **out, size_t most,
                                size_t *count, struct weir_error *err)
{
    json_t *v = json_object_get(o, key);
    *count = 0;
    if (v == NULL || json_is_null(v))
        return WEIR_OK;
    if (!json_is_array(v) || json_array_size(v) > most)
        return weir_fail(err, WEIR_INVALID, "\"%s\" must be an array of at most %zu texts", key,
                         most);
    for (size_t i = 0; i < json_array_size(v); i++) {
        json_t *text = json_array_get(v, i);
        if (!json_is_string(text) || strlen(json_string_value(text)) != json_string_length(text))
            return weir_fail(err, WEIR_INVALID, "\"%s\" must be an array of texts", key);
        out[i] = json_string_value(text);
    }
    *count = json_array_size(v);
    return WEIR_OK;
}

static void write_ok(struct jsonw *out)
{
    jsonw_object(out);
    jsonw_key(out, "ok"), jsonw_bool(out, true);
    jsonw_end(out);
}

static enum weir_code get_capabilities(json_t *o, uint32_t *out, struct weir_error *err)
{
    const char *names[WEIR_CAPABILITY_COUNT];
    size_t count;
    enum weir_capability capability;
    if (get_texts(o, "capabilities", names, ARRAY_COUNT(names), &count, err) != WEIR_OK)
        return err->code;
    for (size_t i = 0; i < count; i++) {
        if (!capability_parse(str_of(names[i]), &capability))
            return weir_fail(err, WEIR_INVALID, "there is no capability \"%.60s\"", names[i]);
        *out |= 1u << capability;
    }
    return WEIR_OK;
}

/* Absent leaves *out as it is. */
static enum weir_code get_priority(json_t *o, uint8_t *out, struct weir_error *err)
{
    const char *name;
    if (json_object_get(o, "priority") == NULL)
        return WEIR_OK;
    if (get_text(o, "priority", &name, err) != WEIR_OK)
        return err->code;
    for (uint8_t i = 0; i < PRIORITIES; i++) {
        if (strcmp(supervisor_priority_name(i), name) == 0) {
            *out = i;
            return WEIR_OK;
        }
    }
    return weir_fail(err, WEIR_INVALID,
                     "\"priority\" is \"%.60s\", it may be critical, high, normal, low or batch",
                     name);
}

/* Absent leaves *out as it is. */
static enum weir_code get_precision(json_t *o, uint32_t *out, struct weir_error *err)
{
    const char *name;
    if (json_object_get(o, "precision") == NULL)
        return WEIR_OK;
    if (get_text(o, "precision", &name, err) != WEIR_OK)
        return err->code;
    if (plan_precision_parse(str_of(name), out))
        return WEIR_OK;
    return weir_fail(err, WEIR_INVALID, "\"precision\" is \"%.60s\", it may be f32 or bf16", name);
}

static enum weir_code get_numbers(json_t *o, struct model_settings *m, struct weir_error *err)
{
    int64_t max = m->max_workers, min = m->min_workers, slots = 0, context = 0;
    if (get_number(o, "max_workers", WORKERS_MOST, &max, err) != WEIR_OK ||
        get_number(o, "min_workers", WORKERS_MOST, &min, err) != WEIR_OK ||
        get_number(o, "idle_ms", INT32_MAX, &m->idle_ms, err) != WEIR_OK ||
        get_number(o, "idle_label_ms", INT32_MAX, &m->idle_label_ms, err) != WEIR_OK ||
        get_number(o, "slots", CONTROL_SLOTS, &slots, err) != WEIR_OK ||
        get_number(o, "context", INT32_MAX, &context, err) != WEIR_OK)
        return err->code;
    if (json_object_get(o, "idle_label_ms") == NULL && m->idle_label_ms > m->idle_ms)
        m->idle_label_ms = m->idle_ms;
    m->max_workers = (uint32_t)max;
    m->min_workers = (uint32_t)min;
    m->slots = (uint32_t)slots;
    m->context = (uint32_t)context;
    return WEIR_OK;
}

/* What an earlier life found out about just these files. Without a cache nothing is remembered, and
 * a fake model has no files. */
static void recall(struct weir *w, struct model_settings *m)
{
    if (w->inspected.folder == NULL || m->program == PROGRAM_FAKE)
        return;
    m->stamp = model_stamp(m->path, clock_wall_ms());
    m->known = inspected_file_find(&w->inspected, &(struct inspected){ .path = m->path,
                                                                       .program = m->program,
                                                                       .context = m->context,
                                                                       .stamp = m->stamp });
}

static enum weir_code run_register(struct weir *w, json_t *o, struct jsonw *out,
                                   struct weir_error *err)
{
    struct model_settings m = w->defaults;
    const char *aliases[ALIASES_MOST];
    m.aliases = aliases;
    if (get_text(o, "name", &m.name, err) != WEIR_OK ||
        get_text(o, "path", &m.path, err) != WEIR_OK || get_numbers(o, &m, err) != WEIR_OK ||
        get_texts(o, "aliases", aliases, ALIASES_MOST, &m.aliases_count, err) != WEIR_OK ||
        get_capabilities(o, &m.capabilities, err) != WEIR_OK ||
        get_priority(o, &m.priority, err) != WEIR_OK ||
        get_precision(o, &m.precision, err) != WEIR_OK ||
        get_bool(o, "truncate", &m.truncate, err) != WEIR_OK ||
        get_bool(o, "pin", &m.pin, err) != WEIR_OK ||
        get_bool(o, "preload", &m.preload, err) != WEIR_OK ||
        get_bool(o, "replace", &m.replace, err) != WEIR_OK)
        return err->code;
    m.program = strncmp(m.path, "fake:", 5) == 0 ? PROGRAM_FAKE : PROGRAM_CPU;
    recall(w, &m);
    enum weir_code code = supervisor_register(w->supervisor, &m, err);
    if (code == WEIR_OK)
        write_ok(out);
    return code;
}

/* The operations that do one thing to one model. */
static enum weir_code run_by_name(struct weir *w, json_t *o, struct jsonw *out,
                                  enum weir_code (*act)(struct supervisor *s, const char *name,
                                                        struct weir_error *err),
                                  struct weir_error *err)
{
    const char *name;
    if (get_text(o, "name", &name, err) != WEIR_OK || act(w->supervisor, name, err) != WEIR_OK)
        return err->code;
    write_ok(out);
    return WEIR_OK;
}

static enum weir_code run_unregister(struct weir *w, json_t *o, struct jsonw *out,
                                     struct weir_error *err)
{
    return run_by_name(w, o, out, supervisor_unregister, err);
}

static enum weir_code run_unload(struct weir *w, json_t *o, struct jsonw *out,
                                 struct weir_error *err)
{
    return run_by_name(w, o, out, supervisor_unload, err);
}

static enum weir_code pin(struct supervisor *s, const char *name, struct weir_error *err)
{
    return supervisor_pin(s, name, true, err);
}

static enum weir_code unpin(struct supervisor *s, const char *name, struct weir_error *err)
{
    return supervisor_pin(s, name, false, err);
}

static enum weir_code run_pin(struct weir *w, json_t *o, struct jsonw *out, struct weir_error *err)
{
    return run_by_name(w, o, out, pin, err);
}

static enum weir_code run_unpin(struct weir *w, json_t *o, struct jsonw *out,
                                struct weir_error *err)
{
    return run_by_name(w, o, out, unpin, err);
}

static enum weir_code run_configure(struct weir *w, json_t *o, struct jsonw *out,
                                    struct weir_error *err)
{
    int64_t bytes = 0, percent = 0;
    if (get_number(o, "memory_bytes", INT64_MAX, &bytes, err) != WEIR_OK ||
        get_number(o, "memory_percent", 100, &percent, err) != WEIR_OK)
        return err->code;
    if (bytes > 0 && percent > 0)
        return weir_fail(err, WEIR_INVALID,
                         "\"memory_bytes\" and \"memory_percent\" say two things of one budget");
    supervisor_configure(w->supervisor, (uint64_t)bytes, (uint32_t)percent);
    write_ok(out);
    return WEIR_OK;
}

static enum weir_code run_plan(struct weir *w, json_t *o, struct jsonw *out, struct weir_error *err)
{
    const char *name;
    if (get_text(o, "name", &name, err) != WEIR_OK)
        return err->code;
    return supervisor_plan(w->supervisor, name, out, err);
}

static enum weir_code run_request(struct weir *w, json_t *o, struct jsonw *out,
                                  struct weir_error *err)
{
    int64_t id = 0;
    if (get_number(o, "id", INT64_MAX, &id, err) != WEIR_OK)
        return err->code;
    if (!supervisor_request(w->supervisor, (uint64_t)id, out))
        return weir_fail(err, WEIR_NO_SUCH_PATH, "there is no request %lld, or no more",
                         (long long)id);
    return WEIR_OK;
}

static enum weir_code run_metrics(struct weir *w, json_t *o, struct jsonw *out,
                                  struct weir_error *err)
{
    (void)o;
    (void)err;
    supervisor_metrics(w->supervisor, out);
    return WEIR_OK;
}

static enum weir_code run_status(struct weir *w, json_t *o, struct jsonw *out,
                                 struct weir_error *err)
{
    (void)o;
    (void)err;
    supervisor_status(w->supervisor, out);
    return WEIR_OK;
}

static enum weir_code run_models(struct weir *w, json_t *o, struct jsonw *out,
                                 struct weir_error *err)
{
    const char *name = NULL;
    if (json_object_get(o, "name") != NULL && get_text(o, "name", &name, err) != WEIR_OK)
        return err->code;
    supervisor_models(w->supervisor, name, out);
    return WEIR_OK;
}

static enum weir_code run_machine(struct weir *w, json_t *o, struct jsonw *out,
                                  struct weir_error *err)
{
    (void)o;
    (void)err;
    supervisor_machine(w->supervisor, out);
    return WEIR_OK;
}

static enum weir_code run_inspection(struct weir *w, json_t *o, struct jsonw *out,
                                     struct weir_error *err)
{
    (void)o;
    (void)err;
    supervisor_inspection(w->supervisor, out);
    return WEIR_OK;
}

static enum weir_code run_able(struct weir *w, json_t *o, struct jsonw *out, struct weir_error *err)
{
    const char *name;
    enum weir_capability capability;
    if (get_text(o, "capability", &name, err) != WEIR_OK)
        return err->code;
    if (!capability_parse(str_of(name), &capability))
        return weir_fail(err, WEIR_INVALID, "there is no capability \"%.60s\"", name);
    supervisor_able(w->supervisor, capability, out);
    return WEIR_OK;
}

static enum weir_code run_drain(struct weir *w, json_t *o, struct jsonw *out,
                                struct weir_error *err)
{
    int64_t limit_ms = w->drain_ms;
    if (get_number(o, "limit_ms", INT32_MAX, &limit_ms, err) != WEIR_OK)
        return err->code;
    supervisor_drain(w->supervisor, limit_ms);
    write_ok(out);
    return WEIR_OK;
}

static enum weir_code run_drained(struct weir *w, json_t *o, struct jsonw *out,
                                  struct weir_error *err)
{
    (void)o;
    (void)err;
    jsonw_object(out);
    jsonw_key(out, "drained"), jsonw_bool(out, supervisor_drained(w->supervisor));
    jsonw_end(out);
    return WEIR_OK;
}

static const char *const fields_none[] = { NULL };
static const char *const fields_name[] = { "name", NULL };
static const char *const fields_able[] = { "capability", NULL };
static const char *const fields_limit[] = { "limit_ms", NULL };
static const char *const fields_memory[] = { "memory_bytes", "memory_percent", NULL };
static const char *const fields_id[] = { "id", NULL };
static const char *const fields_register[] = {
    "name",          "path",    "max_workers", "min_workers",  "slots",    "idle_ms",
    "idle_label_ms", "context", "aliases",     "capabilities", "priority", "pin",
    "preload",       "replace", "precision",   "truncate",     NULL
};

static const struct control_op ops[] = {
    {"register",    fields_register, run_register  },
    { "unregister", fields_name,     run_unregister},
    { "unload",     fields_name,     run_unload    },
    { "pin",        fields_name,     run_pin       },
    { "unpin",      fields_name,     run_unpin     },
    { "configure",  fields_memory,   run_configure },
    { "status",     fields_none,     run_status    },
    { "models",     fields_name,     run_models    },
    { "inspection", fields_none,     run_inspection},
    { "able",       fields_able,     run_able      },
    { "machine",    fields_none,     run_machine   },
    { "plan",       fields_name,     run_plan      },
    { "request",    fields_id,       run_request   },
    { "metrics",    fields_none,     run_metrics   },
    { "drain",      fields_limit,    run_drain     },
    { "drained",    fields_none,     run_drained   },
};

static enum weir_code check_fields(const struct control_op *op, json_t *o, struct weir_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(o, key, value) {
        const char *const *field = op->fields;
        while (*field != NULL && strcmp(*field, key) != 0)
            field++;
        if (*field == NULL && strcmp(key, "op") != 0)
            return weir_fail(err, WEIR_INVALID, "\"%s\" knows no field \"%.60s\"", op->name, key);
    }
    return WEIR_OK;
}

static enum weir_code run(struct weir *w, json_t *o, struct weir_error *err)
{
    const char *name;
    struct jsonw out;
    if (get_text(o, "op", &name, err) != WEIR_OK)
        return err->code;
    for (size_t i = 0; i < ARRAY_COUNT(ops); i++) {
        if (strcmp(ops[i].name, name) != 0)
            continue;
        if (check_fields(&ops[i], o, err) != WEIR_OK)
            return err->code;
        supervisor_clock(w->supervisor, clock_ms());
        buffer_clear(&w->answer);
        jsonw_init(&out, &w->answer);
        return ops[i].run(w, o, &out, err);
    }
    return weir_fail(err, WEIR_INVALID, "there is no operation \"%.60s\"", name);
}

enum weir_code weir_control(struct weir *w, const char *json, size_t bytes, const char **answer,
                            size_t *answer_bytes, struct weir_error *err)
{
    struct weir_error local;
    json_error_t where;
    err = err != NULL ? err : &local;
    if (!pool_is_own(w, err))
        return WEIR_INVALID;
    world_wake(w);
    json_t *o = json_loadb(json, bytes, JSON_REJECT_DUPLICATES, &where);
    enum weir_code code =
        json_is_object(o)
            ? run(w, o, err)
            : weir_fail(err, WEIR_INVALID, "the control request is no JSON object: %.100s",
                        o == NULL ? where.text : "another value");
    json_decref(o);
    if (code != WEIR_OK)
        return code;
    buffer_u8(&w->answer, 0);
    if (w->answer.failed)
        return weir_fail(err, WEIR_INTERNAL, "the answer is larger than %zu bytes", w->answer.max);
    if (answer != NULL)
        *answer = (const char *)w->answer.data;
    if (answer_bytes != NULL)
        *answer_bytes = w->answer.len - 1;
    return WEIR_OK;
}
