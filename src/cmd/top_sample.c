#include "cmd/top_sample.h"

#include "base/mem.h"
#include "cmd/ask.h"

#include <string.h>

#define MODELS_MOST  10000
#define WORKERS_MOST 10000

/* Printable ASCII; whatever else a foreign server says becomes '?'. */
static void take_text(char *out, size_t room, const char *text)
{
    str_print(out, room, "%s", text);
    for (char *at = out; *at != '\0'; at++) {
        if (*at < 0x20 || *at > 0x7e)
            *at = '?';
    }
}

static void read_worker(struct top_sample *s, size_t model, const json_t *worker)
{
    if (s->workers_count == WORKERS_MOST)
        return;
    struct top_worker *const w = &s->workers[s->workers_count++];
    w->model = model;
    w->id = ask_number(worker, "id");
    w->jobs = ask_number(worker, "jobs");
    w->slots = ask_number(worker, "slots");
    w->idle_ms = ask_number(worker, "idle_ms");
    w->leased_bytes = (uint64_t)ask_number(worker, "leased");
    w->measured_bytes = (uint64_t)ask_number(worker, "measured");
    take_text(w->state, sizeof(w->state), ask_text(worker, "state", "?"));
}

static void read_model(struct top_sample *s, const json_t *model)
{
    struct top_model *const m = &s->models[s->models_count];
    const json_t *const workers = json_object_get(model, "workers");
    take_text(m->name, sizeof(m->name), ask_text(model, "name", "?"));
    take_text(m->breaker, sizeof(m->breaker), ask_text(model, "breaker", "closed"));
    m->queue = ask_number(model, "queue");
    m->oldest_ms = ask_number(model, "oldest_ms");
    m->predicted_ms = ask_number(model, "predicted_wait_ms");
    m->pinned = ask_flag(model, "pinned");
    m->has_problem = ask_text(model, "problem", NULL) != NULL;
    m->requests = m->failures = -1;
    for (size_t i = 0; i < json_array_size(workers); i++)
        read_worker(s, s->models_count, json_array_get(workers, i));
    s->models_count++;
}

/* The value of a label within `model="m",outcome="ok"`; names of models hold no quote. */
static struct str label(struct str labels, struct str name)
{
    struct str part, key, value;
    while (labels.len > 0) {
        str_cut(labels, ',', &part, &labels);
        if (str_cut(part, '=', &key, &value) && str_eq(str_trim(key), name) && value.len >= 2)
            return (struct str){ value.data + 1, value.len - 2 };
    }
    return (struct str){ NULL, 0 };
}

/* weir_requests_total{model="m",outcome="ok"} 12 */
static void read_metric(struct top_sample *s, struct str line)
{
    static const struct str family = { "weir_requests_total{", sizeof("weir_requests_total{") - 1 };
    struct str labels, text;
    double value;
    if (!str_starts(line, family))
        return;
    line.data += family.len;
    line.len -= family.len;
    if (!str_cut(line, '}', &labels, &text) || !str_to_double(str_trim(text), &value) || value < 0)
        return;
    const struct str model = label(labels, STR("model"));
    const bool failed = !str_eq(label(labels, STR("outcome")), STR("ok"));
    for (size_t i = 0; i < s->models_count; i++) {
        struct top_model *const m = &s->models[i];
        if (!str_eq(model, str_of(m->name)))
            continue;
        m->requests = (m->requests < 0 ? 0 : m->requests) + value;
        m->failures = (m->failures < 0 ? 0 : m->failures) + (failed ? value : 0);
        return;
    }
}

static size_t count_workers(const json_t *models)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(models); i++)
        count += json_array_size(json_object_get(json_array_get(models, i), "workers"));
    return count < WORKERS_MOST ? count : WORKERS_MOST;
}

void top_sample_read(struct top_sample *s, const json_t *status, struct str metrics,
                     int64_t time_ms)
{
    const json_t *const memory = json_object_get(status, "memory");
    const json_t *const models = json_object_get(status, "models");
    const size_t count =
        json_array_size(models) < MODELS_MOST ? json_array_size(models) : MODELS_MOST;
    *s = (struct top_sample){
        .time_ms = time_ms,
        .leased_bytes = (uint64_t)ask_number(memory, "leased"),
        .measured_bytes = (uint64_t)ask_number(memory, "measured"),
        .budget_bytes = (uint64_t)ask_number(memory, "budget"),
        .models = mem_new(count + 1, sizeof(*s->models)),
        .workers = mem_new(count_workers(models) + 1, sizeof(*s->workers)),
    };
    take_text(s->pressure, sizeof(s->pressure), ask_text(memory, "pressure", "unknown"));
    for (size_t i = 0; i < count; i++)
        read_model(s, json_array_get(models, i));
    for (struct str line; metrics.len > 0;) {
        str_cut(metrics, '\n', &line, &metrics);
        read_metric(s, line);
    }
}

void top_sample_finish(struct top_sample *s)
{
    mem_free(s->models);
    mem_free(s->workers);
    *s = (struct top_sample){ 0 };
}

/* --- what was before -------------------------------------------------------------------------- */

static struct top_strip *find_strip(const struct top_history *h, int64_t worker)
{
    for (size_t i = 0; i < h->strips_count; i++) {
        if (h->strips[i].worker == worker)
            return &h->strips[i];
    }
    return NULL;
}

static void push(struct top_strip *strip, char letter)
{
    const size_t len = strlen(strip->letters);
    if (len == TOP_STRIP)
        memmove(strip->letters, strip->letters + 1, TOP_STRIP);
    strip->letters[len < TOP_STRIP ? len : TOP_STRIP - 1] = letter;
    strip->seen = true;
}

void top_history_give(struct top_history *h, struct top_sample *sample)
{
    struct top_strip *const kept = mem_new(sample->workers_count + 1, sizeof(*kept));
    for (size_t i = 0; i < sample->workers_count; i++) {
        const struct top_worker *const w = &sample->workers[i];
        const struct top_strip *const old = find_strip(h, w->id);
        kept[i] = old != NULL ? *old : (struct top_strip){ .worker = w->id };
        push(&kept[i], w->state[0] != '\0' ? w->state[0] : '?');
    }
    mem_free(h->strips);
    h->strips = kept;
    h->strips_count = sample->workers_count;
    top_sample_finish(&h->before);
    h->before = h->now;
    h->now = *sample;
    *sample = (struct top_sample){ 0 };
    h->samples++;
}

void top_history_miss(struct top_history *h)
{
    for (size_t i = 0; i < h->strips_count; i++)
        push(&h->strips[i], ' ');
}

void top_history_finish(struct top_history *h)
{
    top_sample_finish(&h->now);
    top_sample_finish(&h->before);
    mem_free(h->strips);
    *h = (struct top_history){ 0 };
}

const char *top_history_strip(const struct top_history *h, int64_t worker)
{
    const struct top_strip *const strip = find_strip(h, worker);
    return strip != NULL ? strip->letters : "";
}

static double counted(const struct top_sample *s, const char *model, bool failed)
{
    double sum = -1;
    for (size_t i = 0; i < s->models_count; i++) {
        const struct top_model *const m = &s->models[i];
        const double value = failed ? m->failures : m->requests;
        if ((model != NULL && strcmp(model, m->name) != 0) || value < 0)
            continue;
        sum = (sum < 0 ? 0 : sum) + value;
    }
    return sum;
}

double top_history_rate(const struct top_history *h, const char *model, bool failed)
{
    const double now = counted(&h->now, model, failed);
    const double before = counted(&h->before, model, failed);
    const int64_t passed_ms = h->now.time_ms - h->before.time_ms;
    if (h->samples < 2 || now < 0 || passed_ms <= 0)
        return -1;
    if (before > now) /* the server began anew, or a model was replaced */
        return 0;
    return (now - (before < 0 ? 0 : before)) * 1000 / (double)passed_ms;
}
