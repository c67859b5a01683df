#include "worker/fake/job.h"

#include "base/check.h"
#include "base/clock.h"
#include "worker/fake/misbehave.h"
#include "worker/fake/request.h"
#include "worker/probe.h"
#include "worker/refuse.h"

enum { ARENA_MAX = 256 * 1024 * 1024, SLEEP_TICK_MS = 100 };

static void end(struct fake_job *j, struct control *c, const struct weir_error *err)
{
    control_end(c, &j->job, err, err ? NULL : &j->usage);
    buffer_finish(&j->picture);
    arena_finish(&j->arena);
}

/* How its steps are counted, once it is known what is asked. */
static void plan_steps(struct fake_job *j)
{
    if (j->order.kind == ORDER_TOKENS) {
        j->step_ms = j->order.duration_ms;
        /* In a text every token is a piece; other answers have so many steps. */
        j->piece_steps = j->operation->shows_steps ? j->order.count : 1;
    }
    j->steps = j->piece_steps * (j->pieces > 0 ? j->pieces : 1);
    const int64_t now_ms = clock_ms();
    if (j->order.kind == ORDER_SLEEP)
        j->sleep_until_ms = now_ms + j->order.duration_ms;
    j->due_ms = now_ms + (j->sleep_until_ms > 0 ? 0 : j->step_ms);
}

/* It is loaded and confined: what can it still do? */
static void report_probe(struct fake_job *j)
{
    struct probe probe;
    probe_run(&probe);
    probe_say(&probe, j->report, sizeof(j->report));
}

bool job_begin(struct fake_job *j, struct control *c, const struct worker_job *job,
               const struct spec *spec, uint64_t number)
{
    struct weir_error err;
    *j = (struct fake_job){
        .job = *job, .spec = spec, .piece_steps = spec->steps, .step_ms = spec->step_ms
    };
    arena_init(&j->arena, ARENA_MAX);
    if (spec->probe && number == 1)
        report_probe(j);
    if (request_read(j, &err) != WEIR_OK) {
        end(j, c, &err);
        return false;
    }
    j->crashes = spec->crash.place == SPEC_EVERY && number % spec->crash.number == 0;
    plan_steps(j);
    return true;
}

static bool is_here(const struct spec_fault *fault, uint64_t step)
{
    return fault->place == SPEC_STEP && fault->number == step;
}

/* What is not an answer: false when the job is over or will never be. */
static bool behave(struct fake_job *j, struct control *c)
{
    if (j->order.kind == ORDER_CRASH || j->crashes || is_here(&j->spec->crash, j->step))
        misbehave_crash();
    if (j->order.kind == ORDER_HANG || is_here(&j->spec->hang, j->step))
        misbehave_hang();
    const bool garbles = j->order.kind == ORDER_GARBAGE || j->spec->garbage.place == SPEC_RESULT;
    if (garbles && misbehave_garbage(j->order.garbage, j->job.id)) {
        j->due_ms = CONTROL_FOREVER;
        return false;
    }
    if (j->order.kind == ORDER_FAIL) {
        struct weir_error err;
        weir_fail(&err, WEIR_MODEL_FAILED, "%.*s", STR_ARG(j->order.text));
        end(j, c, &err);
        return false;
    }
    return true;
}

static bool is_asleep(struct fake_job *j, struct control *c, int64_t now_ms)
{
    if (j->sleep_until_ms == 0)
        return false;
    control_tick(c);
    if (now_ms < j->sleep_until_ms) {
        const int64_t left_ms = j->sleep_until_ms - now_ms;
        j->due_ms = now_ms + (left_ms < SLEEP_TICK_MS ? left_ms : SLEEP_TICK_MS);
        return true;
    }
    j->sleep_until_ms = 0;
    j->due_ms = now_ms + j->step_ms;
    return j->step_ms > 0;
}

static bool stream(struct fake_job *j, struct control *c)
{
    const struct operation *o = j->operation;
    if (j->pieces == 0 || j->step % j->piece_steps != 0)
        return true;
    return o->stream(j, c, (size_t)(j->step / j->piece_steps - 1));
}

/* Whether the step that is due was done; a parked job has done it and only waits for credit. */
static bool step(struct fake_job *j, struct control *c)
{
    if (!j->parked) {
        j->step++;
        control_tick(c);
        if (!behave(j, c))
            return false;
        /* The last step of what is collected shows itself by the answer. */
        if (j->operation->shows_steps && (j->pieces > 0 || j->step < j->steps))
            control_progress(c, &j->job, (uint32_t)j->step, (uint32_t)j->steps);
    }
    j->parked = !stream(j, c);
    return true;
}

static void finish(struct fake_job *j, struct control *c)
{
    struct weir_error err;
    const struct operation *o = j->operation;
    const bool good = !o->collect || o->collect(j, c, &err) == WEIR_OK;
    end(j, c, good ? NULL : &err);
}

bool job_advance(struct fake_job *j, struct control *c)
{
    const int64_t now_ms = clock_ms();
    if (control_cancelled(c, &j->job)) {
        struct weir_error err;
        refuse_cancelled(&err);
        end(j, c, &err);
        return false;
    }
    if (!j->parked && now_ms < j->due_ms)
        return true;
    if (is_asleep(j, c, now_ms))
        return true;
    if (!step(j, c))
        return j->due_ms == CONTROL_FOREVER;
    if (j->parked) {
        j->due_ms = CONTROL_FOREVER;
        return true;
    }
    if (j->step == j->steps) {
        finish(j, c);
        return false;
    }
    /* From when it was due, so that steps do not drift; from now after a pause. */
    const int64_t from_ms =
        j->due_ms > now_ms || j->due_ms + j->step_ms < now_ms ? now_ms : j->due_ms;
    j->due_ms = from_ms + j->step_ms;
    return true;
}
