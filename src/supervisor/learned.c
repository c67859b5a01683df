/* learned.c — the table of figures, and which changes are worth telling. */
#include "supervisor/state.h"

#include "base/mem.h"
#include "base/size.h"

#include <string.h>

/* Less is noise: figures creep by pages, and each one told is a file written. */
#define USE_STEP_BYTES MiB
#define USE_STEP_PART  50 /* 2 % */
#define LOAD_STEP_MS   100
#define LOAD_STEP_PART 5 /* 20 % */

/* Sanitizers multiply what a process uses and how long it takes: their figures say nothing of the
 * model, and must not reach a table that other builds read. */
#ifdef WEIR_SANITIZED
static const bool learns = false;
#else
static const bool learns = true;
#endif

void learned_finish(struct learned_table *t)
{
    mem_free(t->rows);
    *t = (struct learned_table){ 0 };
}

/* A plan without a digest names no file. */
static bool is_named(const uint8_t *digest)
{
    static const uint8_t none[32];
    return memcmp(digest, none, sizeof none) != 0;
}

static struct learned *find(const struct learned_table *t, const struct learned *key)
{
    for (size_t i = 0; i < t->count; i++) {
        struct learned *row = &t->rows[i];
        if (row->context == key->context && row->slots == key->slots &&
            row->threads == key->threads && row->precision == key->precision &&
            row->prepared == key->prepared &&
            memcmp(row->digest, key->digest, sizeof row->digest) == 0)
            return row;
    }
    return NULL;
}

static struct learned *find_or_add(struct learned_table *t, const struct learned *key)
{
    struct learned *row = find(t, key);
    if (row != NULL)
        return row;
    if (t->rows == NULL)
        t->rows = mem_new(LEARNED_ROWS, sizeof *t->rows);
    row = &t->rows[t->next];
    t->next = (t->next + 1) % LEARNED_ROWS;
    t->count += t->count < LEARNED_ROWS;
    *row = *key;
    row->context_bytes = 0;
    row->load_ms = 0;
    return row;
}

static struct learned key_of(const struct supervisor *s, const struct model *m, uint32_t context,
                             uint32_t slots, bool prepared)
{
    struct learned key = { .context = context,
                           .slots = slots,
                           .threads = s->options.threads,
                           .precision = m->settings.precision,
                           .prepared = prepared };
    memcpy(key.digest, m->plan.digest, sizeof key.digest);
    return key;
}

const struct learned *learned_find(const struct supervisor *s, const struct model *m,
                                   uint32_t context, uint32_t slots)
{
    const struct learned key = key_of(s, m, context, slots, prepare_shares(s, m));
    return find(&s->learned, &key);
}

/* The row of a worker, or NULL when nothing can be learned of it. */
static struct learned *row_of(struct supervisor *s, const struct child *c)
{
    const struct learned key = key_of(s, c->model, c->context, c->slots, c->lease.packed);
    return learns && is_named(key.digest) ? find_or_add(&s->learned, &key) : NULL;
}

static void tell(const struct supervisor *s, const struct learned *row)
{
    if (s->options.on_learned != NULL)
        s->options.on_learned(s->options.learned_context, row);
}

void learned_use(struct supervisor *s, const struct child *c)
{
    if (c->measured_bytes < USE_STEP_BYTES)
        return;
    struct learned *row = row_of(s, c);
    if (row == NULL || c->measured_bytes <= row->context_bytes)
        return;
    const uint64_t more = c->measured_bytes - row->context_bytes;
    if (more < USE_STEP_BYTES || more <= row->context_bytes / USE_STEP_PART)
        return;
    row->context_bytes = c->measured_bytes;
    tell(s, row);
}

void learned_load(struct supervisor *s, const struct child *c, int64_t load_ms)
{
    struct learned *row = row_of(s, c);
    if (row == NULL)
        return;
    const int64_t change = load_ms > row->load_ms ? load_ms - row->load_ms : row->load_ms - load_ms;
    const bool matters = change >= LOAD_STEP_MS && change > row->load_ms / LOAD_STEP_PART;
    if (!matters && row->load_ms > 0)
        return;
    row->load_ms = load_ms > 0 ? load_ms : 1; /* 0 is "not known" */
    tell(s, row);
}

void supervisor_learn(struct supervisor *s, const struct learned *row)
{
    if (!learns || !is_named(row->digest) || row->slots == 0 || row->load_ms < 0 ||
        row->precision >= PLAN_PRECISIONS)
        return;
    if (row->context_bytes > s->facts.total_bytes) /* that was another machine */
        return;
    struct learned *known = find_or_add(&s->learned, row);
    if (row->context_bytes > known->context_bytes)
        known->context_bytes = row->context_bytes;
    if (row->load_ms > 0)
        known->load_ms = row->load_ms;
}
