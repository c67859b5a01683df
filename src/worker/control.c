#include "worker/control.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "wire/build_id.h"
#include "wire/region.h"
#include "worker/channel.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LINGER_NS      200000
#define FRAMES_AT_ONCE 256 /* bytes; a part in a block is a frame of 24 */

/*      run          last part        control_take      control_end
 *  FREE ──► FILLING ─────────► QUEUED ──────────► TAKEN ──────────► FREE
 *               │ cancel          │ cancel           (cancel: a word in the page)
 *               └──► FREE         └──► FREE
 */
enum stage { STAGE_FREE, STAGE_FILLING, STAGE_QUEUED, STAGE_TAKEN };

struct slot {
    enum stage stage;
    uint64_t job;
    uint64_t order; /* QUEUED: the lowest is the oldest */
    uint8_t capability, operation;
    uint32_t payload_bytes;
    struct buffer payload; /* filled by the control thread; read-only from QUEUED on */
    int64_t credit_events, credit_bytes;
};

struct control {
    struct channel channel;
    struct control_page *page;
    struct region requests; /* the control thread's */
    struct region replies;  /* the compute side's */
    pthread_t thread;

    pthread_mutex_t lock; /* guards what follows; taken before the channel's lock, if both */
    pthread_cond_t changed;
    struct slot slots[CONTROL_SLOTS];
    uint64_t arrived;
    struct message_load load;
    uint32_t threads; /* of load, once the compute side has it; its own */
    char *cache;      /* of load */
    bool has_load;
    _Atomic bool news; /* something came that control_wait waits for; looked at without the lock */
    bool is_untold;    /* the control thread's own: `changed` is to be signalled */
    bool bye;
    bool stopping; /* control_destroy waits for the thread */
};

_Noreturn static void break_off(const struct frame *f, const char *why)
{
    fprintf(stderr, "weir-worker: frame '%s' for job %llu: %s\n", frame_name(f->type),
            (unsigned long long)f->job, why);
    _exit(EXIT_FAILURE);
}

/* Writes one frame whose body is already made. */
static void write_frame(struct control *c, enum frame_type type, uint64_t job,
                        const struct buffer *body, bool may_wait)
{
    struct buffer frame;
    buffer_init(&frame, FRAME_HEADER + FRAME_BODY_MAX);
    frame_write(&frame, type, job, body ? body->data : NULL, body ? body->len : 0);
    channel_write(&c->channel, &frame, may_wait);
    buffer_finish(&frame);
}

static void write_end(struct control *c, uint64_t job, const struct message_end *end, bool may_wait)
{
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_end_write(&body, end);
    write_frame(c, FRAME_END, job, &body, may_wait);
    buffer_finish(&body);
}

/* ---- the control thread ---- */

static struct slot *slot_of(struct control *c, uint64_t job)
{
    for (size_t i = 0; i < CONTROL_SLOTS; i++) {
        if (c->slots[i].stage != STAGE_FREE && c->slots[i].job == job)
            return &c->slots[i];
    }
    return NULL;
}

/* The compute side hears of it when the lock is free: woken within, it would sleep again at once.
 */
static void tell(struct control *c)
{
    c->news = c->is_untold = true;
}

static void free_slot(struct slot *s)
{
    buffer_finish(&s->payload);
    s->stage = STAGE_FREE;
    s->job = 0;
}

/* All of the payload is here. The acknowledgement goes before anything that a compute thread can
 * answer, and with it when that is soon. */
static void queue(struct control *c, struct slot *s)
{
    struct buffer frame;
    buffer_init(&frame, FRAME_HEADER);
    frame_write(&frame, FRAME_ACCEPTED, s->job, NULL, 0);
    channel_hold(&c->channel, &frame, false);
    buffer_finish(&frame);
    s->stage = STAGE_QUEUED;
    s->order = c->arrived++;
    tell(c);
}

static void on_load(struct control *c, const struct frame *f)
{
    struct weir_error err;
    if (!message_load_read(f, &c->load, &err))
        break_off(f, err.text);
    if (c->has_load)
        break_off(f, "the worker was told to load already");
    /* What was read is borrowed from the frame, and the frame is about to go. */
    c->cache = mem_copy_text(c->load.cache.data, c->load.cache.len);
    c->load.cache = str_of(c->cache);
    c->has_load = true;
    tell(c);
}

static void on_run(struct control *c, const struct frame *f)
{
    struct message_run run;
    struct weir_error err;
    if (!message_run_read(f, &run, &err))
        break_off(f, err.text);
    if (f->job == 0 || slot_of(c, f->job))
        break_off(f, "a job needs an id of its own");
    struct slot *s = NULL;
    for (size_t i = 0; i < CONTROL_SLOTS && !s; i++) {
        if (c->slots[i].stage == STAGE_FREE)
            s = &c->slots[i];
    }
    if (!s)
        break_off(f, "every slot holds a job");
    *s = (struct slot){ .stage = STAGE_FILLING,
                        .job = f->job,
                        .capability = run.capability,
                        .operation = run.operation,
                        .payload_bytes = run.payload_bytes,
                        .credit_events = run.credit_events,
                        .credit_bytes = run.credit_bytes };
    buffer_init(&s->payload, WIRE_PAYLOAD_MAX);
    buffer_reserve(&s->payload, run.payload_bytes); /* if that fails, the first part tells */
    if (run.payload_bytes == 0)
        queue(c, s);
}

static void on_part(struct control *c, const struct frame *f)
{
    struct message_part part;
    struct weir_error err;
    if (!region_part_read(&c->requests, f, &part, &err))
        break_off(f, err.text);
    struct slot *s = slot_of(c, f->job);
    if (s && (s->stage != STAGE_FILLING || part.bytes > s->payload_bytes - s->payload.len))
        break_off(f, "more parts than its run announced");
    if (s)
        buffer_append(&s->payload, part.data, part.bytes);
    region_return(&c->requests, &part);
    if (!s)
        return; /* cancelled between two parts; the rest was under way */
    if (s->payload.failed) {
        const uint64_t job = s->job;
        free_slot(s);
        struct message_end end = { 0 };
        weir_fail(&end.error, WEIR_NO_MEMORY, "no memory for the %u bytes of a request",
                  (unsigned)s->payload_bytes);
        write_end(c, job, &end, false);
    } else if (s->payload.len == s->payload_bytes) {
        queue(c, s);
    }
}

static void on_cancel(struct control *c, const struct frame *f)
{
    struct slot *s = slot_of(c, f->job);
    if (!s)
        return; /* it ended while the cancel was under way */
    if (s->stage == STAGE_TAKEN) {
        atomic_store(&c->page->cancel[s - c->slots], f->job);
        tell(c);
        return;
    }
    free_slot(s);
    struct message_end end = { 0 };
    weir_fail(&end.error, WEIR_CANCELLED, "the request was cancelled before it ran");
    write_end(c, f->job, &end, false);
    tell(c);
}

static void on_credit(struct control *c, const struct frame *f)
{
    struct message_credit credit;
    struct weir_error err;
    if (!message_credit_read(f, &credit, &err))
        break_off(f, err.text);
    struct slot *s = slot_of(c, f->job);
    if (!s)
        return; /* it ended while the credit was under way */
    s->credit_events += credit.events;
    s->credit_bytes += credit.bytes;
    tell(c);
}

static void on_ping(struct control *c, const struct frame *f)
{
    uint64_t sequence;
    struct weir_error err;
    if (!message_ping_read(f, &sequence, &err))
        break_off(f, err.text);
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_ping_write(&body, sequence);
    write_frame(c, FRAME_PONG, f->job, &body, false);
    buffer_finish(&body);
}

static void on_bye(struct control *c, const struct frame *f)
{
    (void)f;
    c->bye = true;
    tell(c);
}

static void (*const handlers[FRAME_TYPES])(struct control *c, const struct frame *f) = {
    [FRAME_LOAD] = on_load,     [FRAME_RUN] = on_run,       [FRAME_PART] = on_part,
    [FRAME_CANCEL] = on_cancel, [FRAME_CREDIT] = on_credit, [FRAME_PING] = on_ping,
    [FRAME_BYE] = on_bye,
};

static void handle_frames(struct control *c)
{
    size_t offset = 0;
    struct frame f;
    struct weir_error err;
    int taken;
    pthread_mutex_lock(&c->lock);
    while ((taken = frame_take(&c->channel.in, &offset, &f, &err)) > 0) {
        if (!handlers[f.type])
            break_off(&f, "is not for a worker");
        handlers[f.type](c, &f);
    }
    const bool is_untold = c->is_untold;
    c->is_untold = false;
    pthread_mutex_unlock(&c->lock);
    if (is_untold)
        pthread_cond_signal(&c->changed);
    if (taken < 0) {
        fprintf(stderr, "weir-worker: %s\n", err.text);
        _exit(EXIT_FAILURE);
    }
    buffer_drop(&c->channel.in, offset);
}

static bool may_stop(struct control *c)
{
    pthread_mutex_lock(&c->lock);
    const bool stopping = c->stopping;
    pthread_mutex_unlock(&c->lock);
    return stopping && channel_flushed(&c->channel);
}

static void *control_thread(void *context)
{
    struct control *c = context;
    while (!may_stop(c)) {
        channel_turn(&c->channel);
        handle_frames(c);
    }
    return NULL;
}

/* ---- the compute side ---- */

struct control *control_create(int fd, struct control_page *page, void *requests, void *replies)
{
    struct control *c = mem_new(1, sizeof(*c));
    c->page = page;
    if (requests) {
        region_init(&c->requests, requests, &page->returned[CONTROL_REQUESTS]);
        region_init(&c->replies, replies, &page->returned[CONTROL_REPLIES]);
    }
    channel_init(&c->channel, fd);
    CHECK(pthread_mutex_init(&c->lock, NULL) == 0);
    pthread_condattr_t monotonic;
    CHECK(pthread_condattr_init(&monotonic) == 0);
    CHECK(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&c->changed, &monotonic) == 0);
    pthread_condattr_destroy(&monotonic);
    CHECK(pthread_create(&c->thread, NULL, control_thread, c) == 0);
    return c;
}

void control_destroy(struct control *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_mutex_unlock(&c->lock);
    channel_wake(&c->channel);
    CHECK(pthread_join(c->thread, NULL) == 0);
    for (size_t i = 0; i < CONTROL_SLOTS; i++)
        buffer_finish(&c->slots[i].payload);
    channel_finish(&c->channel);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->changed);
    mem_free(c->cache);
    mem_free(c);
}

void control_hello(struct control *c)
{
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_hello_write(&body, &(struct message_hello){ WIRE_VERSION, str_of(build_id) });
    write_frame(c, FRAME_HELLO, 0, &body, true);
    buffer_finish(&body);
}

void control_plan(struct control *c, const struct plan *plan)
{
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_plan_write(&body, plan);
    write_frame(c, FRAME_PLAN, 0, &body, true);
    buffer_finish(&body);
}

bool control_load(struct control *c, struct message_load *out)
{
    pthread_mutex_lock(&c->lock);
    while (!c->has_load && !c->bye)
        pthread_cond_wait(&c->changed, &c->lock);
    const bool told = c->has_load && !c->bye;
    if (told) {
        *out = c->load;
        c->threads = out->threads;
    }
    pthread_mutex_unlock(&c->lock);
    return told;
}

void control_loaded(struct control *c)
{
    write_frame(c, FRAME_LOADED, 0, NULL, true);
}

void control_failed(struct control *c, const struct weir_error *err)
{
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_failed_write(&body, err);
    write_frame(c, FRAME_FAILED, 0, &body, true);
    buffer_finish(&body);
}

static struct slot *oldest_queued(struct control *c)
{
    struct slot *oldest = NULL;
    for (size_t i = 0; i < CONTROL_SLOTS; i++) {
        struct slot *s = &c->slots[i];
        if (s->stage == STAGE_QUEUED && (!oldest || s->order < oldest->order))
            oldest = s;
    }
    return oldest;
}

size_t control_take(struct control *c, struct worker_job *jobs, size_t max)
{
    size_t count = 0;
    struct slot *s;
    pthread_mutex_lock(&c->lock);
    while (count < max && (s = oldest_queued(c)) != NULL) {
        s->stage = STAGE_TAKEN;
        jobs[count++] = (struct worker_job){ .id = s->job,
                                             .slot = (uint32_t)(s - c->slots),
                                             .capability = s->capability,
                                             .operation = s->operation,
                                             .payload = buffer_view(&s->payload) };
    }
    pthread_mutex_unlock(&c->lock);
    return count;
}

static bool holds_jobs(const struct control *c)
{
    for (size_t i = 0; i < CONTROL_SLOTS; i++) {
        if (c->slots[i].stage != STAGE_FREE)
            return true;
    }
    return false;
}

/* The next job mostly follows the answer to the last within this time, and a thread that sleeps is
 * heard of late: being woken on another CPU takes half as long. Whoever else wants the CPU gets it;
 * with less than all of its cores others surely do. */
static void linger(const struct control *c)
{
    const uint32_t share = atomic_load_explicit(&c->page->threads, memory_order_relaxed);
    const int64_t until_ns = clock_ns() + LINGER_NS;
    if (share != 0 && share < c->threads)
        return;
    while (!atomic_load_explicit(&c->news, memory_order_relaxed) && clock_ns() < until_ns)
        sched_yield();
}

bool control_wait(struct control *c, int64_t until_ms)
{
    bool leave = false;
    if (until_ms == CONTROL_FOREVER)
        linger(c);
    pthread_mutex_lock(&c->lock);
    for (;;) {
        leave = c->bye && !holds_jobs(c);
        if (c->news || leave || clock_ms() >= until_ms)
            break;
        if (until_ms == CONTROL_FOREVER) {
            pthread_cond_wait(&c->changed, &c->lock);
        } else {
            const struct timespec until = { .tv_sec = (time_t)(until_ms / 1000),
                                            .tv_nsec = (long)(until_ms % 1000) * 1000000 };
            pthread_cond_timedwait(&c->changed, &c->lock, &until);
        }
    }
    c->news = false;
    pthread_mutex_unlock(&c->lock);
    return !leave;
}

bool control_cancelled(const struct control *c, const struct worker_job *job)
{
    return atomic_load_explicit(&c->page->cancel[job->slot], memory_order_relaxed) == job->id;
}

/* The job's slot, which the compute side must hold. */
static struct slot *held_slot(struct control *c, const struct worker_job *job)
{
    CHECK(job->slot < CONTROL_SLOTS);
    struct slot *s = &c->slots[job->slot];
    CHECK(s->stage == STAGE_TAKEN && s->job == job->id);
    return s;
}

static bool spend_credit(struct control *c, const struct worker_job *job, size_t bytes)
{
    pthread_mutex_lock(&c->lock);
    struct slot *s = held_slot(c, job);
    const bool enough = s->credit_events > 0 && s->credit_bytes > 0;
    if (enough) {
        s->credit_events -= 1;
        s->credit_bytes -= (int64_t)bytes;
    }
    pthread_mutex_unlock(&c->lock);
    return enough;
}

bool control_output(struct control *c, const struct worker_job *job, struct str bytes,
                    bool streamed)
{
    CHECK(bytes.len <= WIRE_PAYLOAD_MAX);
    if (streamed && !spend_credit(c, job, bytes.len))
        return false;
    struct buffer body, frames;
    buffer_init(&body, FRAME_BODY_MAX);
    buffer_init(&frames, 2 * FRAME_HEADER + FRAME_BODY_MAX + FRAME_PART_MAX);
    message_output_write(&body, &(struct message_output){ (uint32_t)bytes.len, streamed });
    frame_write(&frames, FRAME_OUTPUT, job->id, body.data, body.len);
    /* The announcement leaves with the first part: most outputs are one write. So do several parts
     * that lie in blocks; the supervisor copies them while the next ones are written. */
    size_t at = 0;
    bool is_large = false;
    do {
        if (at < bytes.len)
            at += region_write_part(&c->replies, &frames, job->id, bytes.data + at, bytes.len - at);
        if (at < bytes.len && frames.len < FRAMES_AT_ONCE)
            continue;
        /* The caller has what is collected with the job's end: a small one leaves with it. */
        if (streamed || is_large || at < bytes.len)
            channel_write(&c->channel, &frames, true);
        else
            channel_hold(&c->channel, &frames, true);
        is_large = at < bytes.len;
        buffer_clear(&frames);
    } while (at < bytes.len);
    CHECK(!c->replies.broken);
    buffer_finish(&frames);
    buffer_finish(&body);
    return true;
}

void control_progress(struct control *c, const struct worker_job *job, uint32_t step,
                      uint32_t steps)
{
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_progress_write(&body, &(struct message_progress){ step, steps });
    write_frame(c, FRAME_PROGRESS, job->id, &body, true);
    buffer_finish(&body);
}

void control_end(struct control *c, const struct worker_job *job, const struct weir_error *err,
                 const struct control_usage *usage)
{
    struct message_end end = { 0 };
    if (usage) {
        end.input_tokens = usage->input_tokens;
        end.output_tokens = usage->output_tokens;
        end.finish = usage->finish;
    }
    if (err)
        end.error = *err;
    else
        end.error.index = -1;
    pthread_mutex_lock(&c->lock);
    struct slot *s = held_slot(c, job);
    /* Under the lock, so that a late cancel cannot mark the slot's next job. */
    atomic_store(&c->page->cancel[job->slot], 0);
    free_slot(s);
    pthread_mutex_unlock(&c->lock);
    write_end(c, job->id, &end, true);
}

void control_tick(struct control *c)
{
    control_page_tick(c->page);
}

const _Atomic uint32_t *control_share(struct control *c, uint32_t threads)
{
    uint32_t none = 0;
    atomic_compare_exchange_strong(&c->page->threads, &none, threads);
    return &c->page->threads;
}
