/* registry.c — the names of the pool: who has which, and how an entry comes, changes and goes.
 *
 *     register ──► named ──unregister, replaced──► nameless ──served all──► ended ──► freed
 *                    ▲ │
 *                    └─┘ replaced by one that differs in soft settings only
 *
 * Soft settings say how many workers there are and when they come and go; they change in place.
 * The others say what a worker is: for them the old entry gives its names to a new one. */
#include "supervisor/registry.h"

#include "supervisor/state.h"

#include "base/check.h"
#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

#define SLOTS_MAX   64 /* as many as a control page has cancel words */
#define ALIASES_MAX 64

struct model *model_find(struct supervisor *s, const char *name)
{
    return map_get(&s->by_name, str_of(name));
}

static enum weir_code find(struct supervisor *s, const char *name, struct model **out,
                           struct weir_error *err)
{
    *out = model_find(s, name);
    if (*out == NULL)
        return weir_fail(err, WEIR_NO_SUCH_MODEL, "no model named '%.120s' is registered", name);
    return WEIR_OK;
}

static bool name_is_legal(const char *name)
{
    static const char legal[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/:-@";
    const size_t length = strlen(name);
    const char *at = strchr(name, '@');
    if (at != NULL && (at == name || at[1] == '\0' || strchr(at + 1, '@') != NULL))
        return false;
    return length > 0 && length <= 200 && strspn(name, legal) == length;
}

static enum weir_code check_names(const struct model_settings *settings, struct weir_error *err)
{
    if (settings->aliases_count > ALIASES_MAX)
        return weir_fail(err, WEIR_INVALID, "model '%.100s' has %zu aliases, the limit is %d",
                         settings->name, settings->aliases_count, ALIASES_MAX);
    for (size_t i = 0; i <= settings->aliases_count; i++) {
        const char *name = i == 0 ? settings->name : settings->aliases[i - 1];
        if (!name_is_legal(name))
            return weir_fail(err, WEIR_INVALID,
                             "'%.100s' is no model name: 1 to 200 of A-Z a-z 0-9 . _ / "
                             ": - and an @revision",
                             name);
        for (size_t k = 0; k < i; k++)
            if (strcmp(name, k == 0 ? settings->name : settings->aliases[k - 1]) == 0)
                return weir_fail(err, WEIR_INVALID, "model '%.80s' has the name '%.80s' twice",
                                 settings->name, name);
    }
    return WEIR_OK;
}

static enum weir_code check_values(const struct model_settings *settings, struct weir_error *err)
{
    if (settings->max_workers == 0 || settings->min_workers > settings->max_workers)
        return weir_fail(err, WEIR_INVALID, "model '%s': min_workers is %u, max_workers %u",
                         settings->name, settings->min_workers, settings->max_workers);
    if (settings->idle_label_ms > settings->idle_ms)
        return weir_fail(err, WEIR_INVALID,
                         "model '%s': idle_label is %" PRId64 " ms, more than idle, %" PRId64 " ms",
                         settings->name, settings->idle_label_ms, settings->idle_ms);
    if (settings->slots > SLOTS_MAX)
        return weir_fail(err, WEIR_INVALID, "model '%s': slots is %u, the limit is %u",
                         settings->name, settings->slots, SLOTS_MAX);
    if (settings->priority >= PRIORITIES)
        return weir_fail(err, WEIR_INVALID, "model '%s': priority is %u, the lowest is %u",
                         settings->name, settings->priority, PRIORITIES - 1);
    if (settings->precision >= PLAN_PRECISIONS)
        return weir_fail(err, WEIR_INVALID, "model '%s': there is no precision %u", settings->name,
                         settings->precision);
    if (settings->capabilities >> WEIR_CAPABILITY_COUNT != 0)
        return weir_fail(err, WEIR_INVALID, "model '%s': there is no such capability",
                         settings->name);
    return WEIR_OK;
}

/* Nobody but `old`, which would give way, has one of the names. */
static enum weir_code check_free(struct supervisor *s, const struct model_settings *settings,
                                 const struct model *old, struct weir_error *err)
{
    for (size_t i = 0; i <= settings->aliases_count; i++) {
        const char *name = i == 0 ? settings->name : settings->aliases[i - 1];
        const struct model *other = model_find(s, name);
        if (other == NULL || other == old)
            continue;
        if (i > 0)
            return weir_fail(err, WEIR_EXISTS,
                             "the alias '%.60s' of model '%.60s' is taken: it names model '%.60s'",
                             name, settings->name, other->name);
        if (strcmp(name, other->name) != 0)
            return weir_fail(err, WEIR_EXISTS, "'%.80s' is an alias of model '%.80s' already", name,
                             other->name);
        return weir_fail(err, WEIR_EXISTS, "a model named '%s' is registered already", name);
    }
    return WEIR_OK;
}

static void put_names(struct supervisor *s, struct model *m)
{
    map_put(&s->by_name, str_of(m->name), m);
    for (size_t i = 0; i < m->settings.aliases_count; i++)
        map_put(&s->by_name, str_of(m->aliases[i]), m);
}

static void drop_names(struct supervisor *s, struct model *m)
{
    map_remove(&s->by_name, str_of(m->name));
    for (size_t i = 0; i < m->settings.aliases_count; i++)
        map_remove(&s->by_name, str_of(m->aliases[i]));
}

static void copy_aliases(struct model *m, const struct model_settings *from)
{
    m->aliases = from->aliases_count > 0 ? mem_new(from->aliases_count, sizeof *m->aliases) : NULL;
    for (size_t i = 0; i < from->aliases_count; i++)
        m->aliases[i] = mem_copy_text(from->aliases[i], strlen(from->aliases[i]));
    m->settings.aliases = (const char *const *)m->aliases;
    m->settings.aliases_count = from->aliases_count;
}

static void free_aliases(struct model *m)
{
    for (size_t i = 0; i < m->settings.aliases_count; i++)
        mem_free(m->aliases[i]);
    mem_free(m->aliases);
}

static void add(struct supervisor *s, const struct model_settings *settings, const char *reason)
{
    struct model *m = mem_new(1, sizeof *m);
    m->number = ++s->last_model;
    m->name = mem_copy_text(settings->name, strlen(settings->name));
    m->path = mem_copy_text(settings->path, strlen(settings->path));
    m->settings = *settings;
    m->settings.name = m->name;
    m->settings.path = m->path;
    m->settings.known = NULL;
    copy_aliases(m, settings);
    m->context_asked = settings->context;
    m->pin_asked = settings->pin;
    m->preload_due = settings->preload;
    m->workers_most = settings->max_workers;
    queue_init(&m->queue);
    list_init(&m->children);
    list_push_back(&s->models, &m->link);
    put_names(s, m);
    inspect_later(s, m);
    m->last_used_ms = m->last_retired_ms = s->now_ms;
    event_emit(s, &(struct pool_event){ .kind = "registered", .model = m->name, .reason = reason });
    if (settings->known != NULL)
        inspect_known(s, m, settings->known);
}

/* What was wrong with its files may not be wrong any more. */
static void look_again(struct supervisor *s, struct model *m, const struct model_settings *settings)
{
    m->settings.stamp = settings->stamp;
    inspect_again(s, m);
    if (settings->known != NULL)
        inspect_known(s, m, settings->known);
}

/* Its names are free from now on; what it has accepted it serves, also what waits for inspection.
 */
static void let_go(struct supervisor *s, struct model *m, const char *reason)
{
    drop_names(s, m);
    m->gone = true;
    m->gone_reason = reason;
    m->preload_due = false;
    if (!model_has_jobs(m))
        inspect_forget(s, m);
    /* Behind those that have a name: who looks one up in a list of all finds the right one. */
    list_remove(&m->link);
    list_push_back(&s->models, &m->link);
    model_touch(s, m);
}

static bool same_aliases(const struct model_settings *a, const struct model_settings *b)
{
    if (a->aliases_count != b->aliases_count)
        return false;
    for (size_t i = 0; i < a->aliases_count; i++)
        if (strcmp(a->aliases[i], b->aliases[i]) != 0)
            return false;
    return true;
}

/* The settings by which a worker is what it is. */
static bool same_worker(const struct model *m, const struct model_settings *b)
{
    const struct model_settings *a = &m->settings;
    return strcmp(m->path, b->path) == 0 && a->program == b->program &&
           m->context_asked == b->context && a->slots == b->slots &&
           a->capabilities == b->capabilities && a->precision == b->precision;
}

static bool same_rest(const struct model *m, const struct model_settings *b)
{
    const struct model_settings *a = &m->settings;
    return a->max_workers == b->max_workers && a->min_workers == b->min_workers &&
           a->idle_ms == b->idle_ms && a->idle_label_ms == b->idle_label_ms &&
           a->priority == b->priority && a->truncate == b->truncate && m->pin_asked == b->pin &&
           a->preload == b->preload && same_aliases(a, b);
}

/* No worker is touched: those that are too many now leave when they have nothing to do. */
static void change(struct supervisor *s, struct model *m, const struct model_settings *to)
{
    struct model_settings *now = &m->settings;
    const uint32_t living = model_living(m);
    m->preload_due = m->preload_due || (to->preload && !now->preload && living == 0);
    now->max_workers = to->max_workers;
    now->min_workers = to->min_workers;
    now->idle_ms = to->idle_ms;
    now->idle_label_ms = to->idle_label_ms;
    now->priority = to->priority;
    now->preload = to->preload;
    now->truncate = to->truncate;
    if (m->pin_asked != to->pin) /* else a pin of an operator outlives a reload */
        now->pin = m->pin_asked = to->pin;
    if (!same_aliases(now, to)) {
        drop_names(s, m);
        free_aliases(m);
        copy_aliases(m, to);
        put_names(s, m);
    }
    m->workers_most = living > to->max_workers ? living : to->max_workers;
    s->claims_dirty = true;
    LIST_EACH(&m->children, at)
        child_touch(s, CONTAINER_OF(at, struct child, link)); /* its idle label may be due */
    model_touch(s, m);
    event_emit(s, &(struct pool_event){ .kind = "changed", .model = m->name });
}

enum weir_code supervisor_register(struct supervisor *s, const struct model_settings *settings,
                                   struct weir_error *err)
{
    if (check_names(settings, err) != WEIR_OK || check_values(settings, err) != WEIR_OK)
        return WEIR_INVALID;
    if (s->draining)
        return weir_fail(err, WEIR_SHUTTING_DOWN, "the pool is shutting down");
    struct model *old = settings->replace ? model_find(s, settings->name) : NULL;
    if (old != NULL && strcmp(old->name, settings->name) != 0)
        old = NULL; /* an alias of another model is no entry that could give way */
    if (check_free(s, settings, old, err) != WEIR_OK)
        return WEIR_EXISTS;
    if (old != NULL && same_worker(old, settings)) {
        if (!same_rest(old, settings))
            change(s, old, settings);
        if (old->inspection == INSPECTION_FAILED)
            look_again(s, old, settings);
        return WEIR_OK;
    }
    if (old != NULL)
        let_go(s, old, "replaced");
    add(s, settings, old != NULL ? "in place of another" : NULL);
    return WEIR_OK;
}

enum weir_code supervisor_unregister(struct supervisor *s, const char *name, struct weir_error *err)
{
    struct model *m;
    if (find(s, name, &m, err) != WEIR_OK)
        return WEIR_NO_SUCH_MODEL;
    let_go(s, m, "unregistered");
    return WEIR_OK;
}

enum weir_code supervisor_unload(struct supervisor *s, const char *name, struct weir_error *err)
{
    struct model *m;
    if (find(s, name, &m, err) != WEIR_OK)
        return WEIR_NO_SUCH_MODEL;
    m->second_due = m->preload_due = false;
    m->refill_at_ms = INT64_MAX; /* min_workers counts again from the next request on */
    m->unload_told = true;
    prepare_stop(s, m, "unload");
    model_touch(s, m); /* it may stand in the queue for memory without a worker */
    LIST_EACH(&m->children, at) {
        struct child *c = CONTAINER_OF(at, struct child, link);
        if (child_state_is_living(c->state))
            child_retire(s, c, EVICTION_UNLOAD, "unload");
        if (c->state == DEAD || c->unloads)
            continue;
        c->unloads = true;
        m->unloading++;
    }
    return WEIR_OK;
}

enum weir_code supervisor_pin(struct supervisor *s, const char *name, bool pin,
                              struct weir_error *err)
{
    struct model *m;
    if (find(s, name, &m, err) != WEIR_OK)
        return WEIR_NO_SUCH_MODEL;
    if (m->settings.pin == pin)
        return WEIR_OK;
    m->settings.pin = pin;
    s->claims_dirty = true; /* somebody may have to give way now, or need not any more */
    model_touch(s, m);
    event_emit(s, &(struct pool_event){ .kind = pin ? "pinned" : "unpinned", .model = m->name });
    return WEIR_OK;
}

bool supervisor_truncates(struct supervisor *s, const char *name)
{
    const struct model *m = model_find(s, name);
    return m != NULL && m->settings.truncate;
}

void registry_settle(struct supervisor *s, struct model *m)
{
    if (m->unload_told && m->unloading == 0) {
        m->unload_told = false;
        event_emit(s, &(struct pool_event){ .kind = "unloaded", .model = m->name });
    }
    if (m->gone && m->queue.jobs == 0)
        prepare_stop(s, m, m->gone_reason);
    if (!m->gone || m->holders > 0 || m->queue.jobs > 0)
        return;
    if (!m->end_told)
        event_emit(s, &(struct pool_event){
                          .kind = "unregistered", .model = m->name, .reason = m->gone_reason });
    m->end_told = true;
    if (list_empty(&m->children)) /* their graves are shown for a while */
        model_free(s, m);
}

void model_free(struct supervisor *s, struct model *m)
{
    CHECK(list_empty(&m->children) && m->queue.jobs == 0 && m->holders == 0);
    if (!m->gone)
        drop_names(s, m);
    timer_clear(&s->model_timers, &m->wake);
    inspect_forget(s, m); /* its files may have been looked at anew since it lost its name */
    list_remove(&m->link);
    list_remove(&m->dirty_link);
    list_remove(&m->claim_link);
    stats_leave(s, m);
    queue_finish(&m->queue);
    free_aliases(m);
    mem_free(m->name);
    mem_free(m->path);
    mem_free(m);
}
