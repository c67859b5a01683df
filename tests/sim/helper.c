/* helper.c — the processes that are no workers: inspectors, and those that pack a model's weights
 * before its first worker; and all that can go wrong with them. */
#include "process.h"

#include "base/check.h"
#include "wire/message.h"

#include <string.h>

static void act_inspected(void *context, uint64_t id, uint64_t number)
{
    struct world_sim *w = context;
    struct process *p = process_find(w, id);
    if (p == NULL || p->dead)
        return;
    struct message_inspected m = {
        .error = {.code = WEIR_OK, .index = -1}
    };
    m.plan = w->models[number].plan;
    if (process_draws(p, 30, FAULT_INSPECT_CRASHES)) {
        process_die(p, "while inspecting");
        return;
    }
    if (process_draws(p, 10, FAULT_INSPECT_PROBLEM)) {
        m.error.code = WEIR_LOAD_FAILED;
        memcpy(m.error.text, "no such folder", sizeof "no such folder");
    }
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    if (process_draws(p, 10, FAULT_INSPECT_GARBAGE))
        buffer_u32(&body, 77);
    else
        message_inspected_write(&body, &m);
    const uint64_t question = p->question;
    p->question = 0;
    process_emit(p, FRAME_INSPECTED, question, &body);
    buffer_finish(&body);
}

void helper_on_inspect(struct process *p, const struct frame *f)
{
    struct world_sim *w = p->world;
    struct message_inspect m;
    struct weir_error err;
    SIM_EXPECT(p->kind == SPAWN_INSPECT && p->greeted && p->question == 0,
               "process %u: inspect out of turn", (unsigned)p->key);
    SIM_EXPECT(message_inspect_read(f, &m, &err), "process %u: %s", (unsigned)p->key, err.text);
    p->question = f->job;
    if (process_draws(p, 12, FAULT_INSPECT_HANGS))
        return;
    struct str name, number;
    str_cut(m.path, '#', &name, &number);
    for (size_t i = 0; i < w->models_count; i++)
        if (str_eq(name, str_of(w->models[i].name)))
            process_later(p, 1, 400, act_inspected, i);
}

static struct sim_entry *find_entry(struct world_sim *w, uint64_t number)
{
    LIST_EACH(&w->entries, at) {
        struct sim_entry *e = CONTAINER_OF(at, struct sim_entry, link);
        if (e->number == number)
            return e;
    }
    return NULL;
}

static void answer_prepared(struct process *p, const struct weir_error *error, uint64_t number)
{
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    if (process_draws(p, 10, FAULT_PREPARE_GARBAGE)) {
        p->odd = p->broke = true;
        buffer_u32(&body, 77);
    } else {
        message_prepared_write(&body, error);
        if (sim_chance(p->world, 40)) {
            process_fault(p, FAULT_ILLEGAL);
            p->odd = p->broke = true;
            number += 1000000;
        }
    }
    p->question = 0;
    process_emit(p, FRAME_PREPARED, number, &body);
    buffer_finish(&body);
}

static void act_prepared(void *context, uint64_t id, uint64_t number)
{
    struct world_sim *w = context;
    struct process *p = process_find(w, id);
    if (p == NULL || p->dead)
        return;
    struct weir_error error = { .index = -1 };
    struct sim_entry *e = find_entry(w, number);
    if (process_draws(p, 12, FAULT_PREPARE_CRASHES)) {
        process_die(p, "while preparing");
        return;
    }
    if (process_draws(p, 10, FAULT_PREPARE_PROBLEM)) {
        error.code = WEIR_LOAD_FAILED;
        memcpy(error.text, "the disk is full", sizeof "the disk is full");
    }
    answer_prepared(p, &error, p->question);
    if (error.code != WEIR_OK || p->broke)
        return;
    w->deeds_count[DEED_PREPARED]++;
    if (e != NULL)
        e->prepared = true;
}

/* Mostly the file is there already; else it takes about as long as a load. */
void helper_on_prepare(struct process *p, const struct frame *f)
{
    struct world_sim *w = p->world;
    struct message_prepare m;
    struct weir_error err;
    SIM_EXPECT(p->kind == SPAWN_PREPARE && p->greeted && p->question == 0,
               "process %u: prepare out of turn", (unsigned)p->key);
    SIM_EXPECT(message_prepare_read(f, &m, &err), "process %u: %s", (unsigned)p->key, err.text);
    struct sim_entry *e = world_sim_entry(w, m.path);
    SIM_EXPECT(e != NULL && str_eq(m.cache, STR(SIM_CACHE)) && m.precision == e->model->precision &&
                   sim_packed_bytes(e->model) > 0,
               "process %u: prepares what is not to be prepared", (unsigned)p->key);
    e->prepared = false;
    p->question = f->job;
    const int64_t load_ms = e->model->load_ms;
    if (process_draws(p, 15, FAULT_PREPARE_HANGS))
        process_stick(p);
    else if (process_draws(p, 12, FAULT_PREPARE_SLOW))
        process_later(p, load_ms * 5, load_ms * 20, act_prepared, e->number);
    else if (sim_between(w, 0, 3) == 0)
        process_later(p, load_ms / 2, load_ms, act_prepared, e->number);
    else
        process_later(p, 0, 5, act_prepared, e->number);
}
