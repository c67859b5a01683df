#include "worker/fake/fake.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/size.h"
#include "worker/fake/job.h"
#include "worker/fake/memory.h"
#include "worker/fake/misbehave.h"
#include "worker/fake/spec.h"

#include <signal.h>

enum { LOAD_TICK_MS = 10, PARKED_TICK_MS = 1000 };

struct fake {
    struct spec spec;
    struct weir_error spec_error; /* code WEIR_OK: the spec holds */
    struct memory memory;
    struct fake_job jobs[CONTROL_SLOTS];
    size_t running, slots;
    uint64_t taken; /* jobs so far */
};

/* An inspector tells the truth: no fault acts here. */
static enum weir_code fake_inspect(const char *path, uint32_t context, struct plan *out,
                                   struct weir_error *err)
{
    struct spec spec;
    (void)context;
    const enum weir_code code = spec_parse(path, &spec, err);
    if (code == WEIR_OK)
        spec_plan(&spec, path, out);
    return code;
}

static void take_time(int64_t ms, void (*tick)(void *context), void *context)
{
    const int64_t until_ms = clock_ms() + ms;
    int64_t left_ms;
    while ((left_ms = until_ms - clock_ms()) > 0) {
        clock_sleep_ms(left_ms < LOAD_TICK_MS ? left_ms : LOAD_TICK_MS);
        tick(context);
    }
}

/* There is nothing to put into the cache: what counts is who waits for it and who pays. */
static enum weir_code fake_prepare(const struct worker_preparation *p, struct weir_error *err)
{
    struct spec spec;
    if (spec_parse(p->path, &spec, err) != WEIR_OK)
        return err->code;
    take_time(spec.prepare_ms, p->tick, p->tick_context);
    if (spec.prepare_fail[0])
        return weir_fail(err, WEIR_LOAD_FAILED, "%s", spec.prepare_fail);
    return WEIR_OK;
}

static bool fake_start(struct worker *w)
{
    struct fake *f = mem_new(1, sizeof(*f));
    w->state = f;
    if (spec_parse(w->path, &f->spec, &f->spec_error) != WEIR_OK)
        return true; /* said after the hello, as the failure of its plan */
    if (f->spec.ignore_term) {
        struct sigaction action = { .sa_handler = SIG_IGN };
        sigaction(SIGTERM, &action, NULL);
    }
    if (f->spec.crash.place == SPEC_START)
        misbehave_crash();
    if (f->spec.hang.place == SPEC_START)
        misbehave_hang();
    if (f->spec.garbage.place != SPEC_HELLO)
        return true;
    misbehave_garbage(GARBAGE_NONSENSE, 0);
    return false;
}

static enum weir_code fake_plan(struct worker *w, struct plan *out, struct weir_error *err)
{
    struct fake *f = w->state;
    if (f->spec_error.code != WEIR_OK) {
        *err = f->spec_error;
        return err->code;
    }
    if (f->spec.garbage.place == SPEC_PLAN)
        misbehave_garbage(GARBAGE_NONSENSE, 0);
    if (f->spec.plan_fail[0])
        return weir_fail(err, WEIR_LOAD_FAILED, "%s", f->spec.plan_fail);
    spec_plan(&f->spec, w->path, out);
    return WEIR_OK;
}

/* Packed weights that were not prepared are its own. */
static enum weir_code use_memory(struct fake *f, const struct message_load *load,
                                 struct weir_error *err)
{
    uint64_t bytes = f->spec.leak_bytes;
    const uint64_t packed = f->spec.packed_bytes >> load->precision;
    if (f->spec.touch) {
        if (!size_add(bytes, f->spec.context_bytes, &bytes) ||
            !size_add(bytes, f->spec.scratch_bytes, &bytes) ||
            (load->cache.len == 0 && !size_add(bytes, packed, &bytes)))
            bytes = UINT64_MAX;
        const enum weir_code code = memory_map_weights(&f->memory, f->spec.weights_bytes, err);
        if (code != WEIR_OK)
            return code;
    }
    return memory_use(&f->memory, bytes, err);
}

static void tick_control(void *control)
{
    control_tick(control);
}

static enum weir_code fake_load(struct worker *w, const struct message_load *load,
                                struct weir_error *err)
{
    struct fake *f = w->state;
    take_time(f->spec.load_ms, tick_control, w->control);
    if (f->spec.crash.place == SPEC_LOAD)
        misbehave_crash();
    if (f->spec.hang.place == SPEC_LOAD)
        misbehave_hang();
    const uint32_t times = f->spec.load_fail_times;
    if (times > 0 ? load->attempt <= times : f->spec.load_fail[0] != '\0')
        return weir_fail(err, WEIR_LOAD_FAILED, "%s",
                         f->spec.load_fail[0] ? f->spec.load_fail : "told to fail its load");
    f->slots = load->slots;
    return use_memory(f, load, err);
}

static void admit_jobs(struct fake *f, struct control *c)
{
    struct worker_job job;
    while (f->running < f->slots && control_take(c, &job, 1) == 1) {
        if (job_begin(&f->jobs[f->running], c, &job, &f->spec, ++f->taken))
            f->running++;
    }
}

/* Does what is due in every job; returns when something is due again. */
static int64_t advance_jobs(struct fake *f, struct control *c)
{
    int64_t due_ms = CONTROL_FOREVER;
    for (size_t i = 0; i < f->running;) {
        struct fake_job *j = &f->jobs[i];
        if (!job_advance(j, c)) {
            *j = f->jobs[--f->running];
            due_ms = 0; /* a waiting job may take its place */
            continue;
        }
        /* Waiting for credit is no hang: the worker shows that it lives. */
        const int64_t next_ms = j->parked ? clock_ms() + PARKED_TICK_MS : j->due_ms;
        if (j->parked)
            control_tick(c);
        if (next_ms < due_ms)
            due_ms = next_ms;
        i++;
    }
    return due_ms;
}

static void fake_serve(struct worker *w)
{
    struct fake *f = w->state;
    int64_t due_ms = CONTROL_FOREVER;
    while (control_wait(w->control, due_ms)) {
        admit_jobs(f, w->control);
        due_ms = advance_jobs(f, w->control);
    }
}

static void fake_finish(struct worker *w)
{
    struct fake *f = w->state;
    CHECK(f->running == 0);
    memory_release(&f->memory);
    mem_free(f);
}

const struct worker_ops fake_ops = {
    .name = "weir-worker-fake",
    .inspect = fake_inspect,
    .prepare = fake_prepare,
    .start = fake_start,
    .plan = fake_plan,
    .load = fake_load,
    .serve = fake_serve,
    .finish = fake_finish,
};
