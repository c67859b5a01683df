/* work.c — the jobs of a fake process: each does one step an event, and repeats its request's tag
 * in everything that it says. */
#include "process.h"

#include "base/reader.h"
#include "wire/message.h"

#include <string.h>

static struct work *find(struct process *p, uint64_t job)
{
    for (size_t i = 0; job != 0 && i < SIM_SLOTS_MAX; i++)
        if (p->works[i].job == job)
            return &p->works[i];
    return NULL;
}

static void act_step(void *context, uint64_t id, uint64_t job);

static void step_later(struct process *p, const struct work *k, int64_t least, int64_t most)
{
    events_add(p->world->events, sim_between(p->world, least, most), act_step, p->world, p->key,
               k->job);
}

static void end(struct process *p, struct work *k, enum weir_code code, const char *text)
{
    struct message_end m = {
        .error = {.code = code, .index = -1},
        .input_tokens = k->order.output_bytes,
        .output_tokens = k->sent
    };
    memcpy(m.error.text, text, strlen(text) + 1);
    const uint64_t job = k->job;
    *k = (struct work){ 0 };
    if (--p->works_count == 0)
        p->quiet_ms = p->world->events->now_ms;
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_end_write(&body, &m);
    process_emit(p, FRAME_END, job, &body);
    buffer_finish(&body);
}

static const char filler[256] = "what a model says";

/* One output: its announcement, then its bytes in parts of random length. */
static void emit_output(struct process *p, struct work *k)
{
    struct buffer body, bytes;
    buffer_init(&body, FRAME_BODY_MAX);
    buffer_init(&bytes, WIRE_PAYLOAD_MAX);
    buffer_u64(&bytes, k->order.tag);
    buffer_u32(&bytes, k->sent);
    for (size_t part; bytes.len < k->order.output_bytes; buffer_append(&bytes, filler, part)) {
        part = k->order.output_bytes - bytes.len;
        part = part < sizeof filler ? part : sizeof filler;
    }
    const bool streamed = k->order.kind == ORDER_STREAM;
    message_output_write(&body, &(struct message_output){ .payload_bytes = (uint32_t)bytes.len,
                                                          .streamed = streamed });
    const uint64_t job = k->job;
    k->sent++;
    if (streamed) {
        k->credit_events--;
        k->credit_bytes -= (int64_t)bytes.len;
    }
    process_emit(p, FRAME_OUTPUT, job, &body);
    for (size_t at = 0; at < bytes.len;) {
        size_t part = (size_t)sim_between(p->world, 1, (int64_t)(bytes.len - at));
        buffer_clear(&body);
        buffer_append(&body, bytes.data + at, part);
        process_emit(p, FRAME_PART, job, &body);
        at += part;
    }
    buffer_finish(&body);
    buffer_finish(&bytes);
}

static void emit_progress(struct process *p, const struct work *k)
{
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_progress_write(
        &body, &(struct message_progress){ .step = k->sent, .steps = k->order.outputs });
    process_emit(p, FRAME_PROGRESS, k->job, &body);
    buffer_finish(&body);
}

/* True when something went wrong and the step is over. */
static bool goes_wrong(struct process *p, struct work *k)
{
    if (k->order.kind == ORDER_POISON) {
        process_fault(p, FAULT_POISON);
        process_die(p, "of its input");
    } else if (sim_chance(p->world, 800)) {
        process_fault(p, FAULT_WORK_CRASHES);
        process_die(p, "while working");
    } else if (sim_chance(p->world, 800)) {
        process_fault(p, FAULT_WORK_HANGS);
        process_stick(p);
    } else if (sim_chance(p->world, 1400)) {
        process_emit_garbage(p, k->job);
    } else if (sim_chance(p->world, 1400)) {
        process_emit_illegal(p, k->job);
    } else if (sim_chance(p->world, 200)) {
        process_fault(p, FAULT_WORK_SLOW);
        step_later(p, k, 1000, 20000);
    } else {
        return false;
    }
    return true;
}

static void produce(struct process *p, struct work *k)
{
    if (k->order.kind == ORDER_FAILS) {
        end(p, k, WEIR_MODEL_FAILED, "not a number in row 3");
    } else if (k->order.kind == ORDER_INVALID) {
        end(p, k, WEIR_INVALID, "input 0 is empty");
    } else if (k->sent == k->order.outputs) {
        end(p, k, WEIR_OK, "");
    } else if (k->order.kind == ORDER_STREAM && (k->credit_events <= 0 || k->credit_bytes <= 0)) {
        k->parked = true;
        if (sim_chance(p->world, 2)) {
            process_fault(p, FAULT_OVERSENT);
            p->odd = p->broke = true;
            emit_output(p, k);
        }
    } else {
        if (sim_between(p->world, 0, 3) == 0)
            emit_progress(p, k);
        emit_output(p, k);
        step_later(p, k, k->order.step_ms / 2, k->order.step_ms * 3 / 2);
    }
}

static void act_step(void *context, uint64_t id, uint64_t job)
{
    struct process *p = process_find(context, id);
    struct work *k = p != NULL && !p->dead && !p->stuck ? find(p, job) : NULL;
    if (k == NULL || k->parked)
        return;
    if (!k->accepted) {
        k->accepted = true;
        process_emit(p, FRAME_ACCEPTED, job, NULL);
        step_later(p, k, k->order.step_ms / 2, k->order.step_ms);
    } else if (k->cancelled && !k->deaf && k->slow_to_cancel) {
        k->slow_to_cancel = false;
        process_fault(p, FAULT_CANCEL_LATE);
        step_later(p, k, 500, 5000);
    } else if (k->cancelled && !k->deaf) {
        end(p, k, WEIR_CANCELLED, "it was cancelled");
    } else if (!goes_wrong(p, k)) {
        produce(p, k);
    }
}

static bool order_read(struct str payload, struct sim_order *order)
{
    struct reader r = reader_of(payload.data, payload.len);
    order->tag = reader_u64(&r);
    order->kind = (enum sim_order_kind)reader_u32(&r);
    order->entry = reader_u32(&r);
    order->caller = reader_u32(&r);
    order->outputs = reader_u32(&r);
    order->output_bytes = reader_u32(&r);
    order->step_ms = reader_u32(&r);
    return reader_ok(&r);
}

void sim_order_write(struct buffer *out, const struct sim_order *order)
{
    buffer_u64(out, order->tag);
    buffer_u32(out, (uint32_t)order->kind);
    buffer_u32(out, order->entry);
    buffer_u32(out, order->caller);
    buffer_u32(out, order->outputs);
    buffer_u32(out, order->output_bytes);
    buffer_u32(out, order->step_ms);
}

void work_on_run(struct process *p, const struct frame *f, struct str payload)
{
    const unsigned id = (unsigned)p->key;
    struct message_run m;
    struct weir_error err;
    SIM_EXPECT(message_run_read(f, &m, &err), "process %u: %s", id, err.text);
    SIM_EXPECT(p->stage == STAGE_SERVING, "process %u: run before it was loaded", id);
    SIM_EXPECT(payload.len == m.payload_bytes, "process %u: %zu bytes, %u announced", id,
               payload.len, m.payload_bytes);
    SIM_EXPECT(f->job != 0 && find(p, f->job) == NULL, "process %u: the same job again", id);
    SIM_EXPECT(p->works_count < p->slots, "process %u: more jobs than its %u slots", id, p->slots);
    struct work *k = p->works;
    while (k->job != 0)
        k++;
    *k = (struct work){ .job = f->job,
                        .credit_events = m.credit_events,
                        .credit_bytes = m.credit_bytes };
    p->works_count++;
    SIM_EXPECT(order_read(payload, &k->order), "process %u: a payload cut short", id);
    SIM_EXPECT(child_state_takes_jobs(p->state), "process %u: run while %s", id,
               child_state_name(p->state));
    p->world->witness.on_run(p->world->witness.context, p, &k->order);
    if (sim_chance(p->world, 120)) {
        process_fault(p, FAULT_NOT_ACCEPTED);
        return;
    }
    step_later(p, k, 0, 3);
}

void work_on_cancel(struct process *p, uint64_t job)
{
    struct work *k = find(p, job);
    if (k == NULL) /* it ended a moment ago */
        return;
    SIM_EXPECT(!k->cancelled, "process %u: cancelled twice", (unsigned)p->key);
    k->cancelled = true;
    k->deaf = sim_chance(p->world, 5);
    k->slow_to_cancel = sim_chance(p->world, 3);
    if (k->deaf)
        process_fault(p, FAULT_CANCEL_IGNORED);
    else if (k->parked) {
        k->parked = false;
        step_later(p, k, 0, 2);
    }
}

void work_on_credit(struct process *p, const struct frame *f)
{
    struct message_credit m;
    struct weir_error err;
    struct work *k = find(p, f->job);
    SIM_EXPECT(message_credit_read(f, &m, &err), "process %u: %s", (unsigned)p->key, err.text);
    if (k == NULL)
        return;
    k->credit_events += m.events;
    k->credit_bytes += m.bytes;
    SIM_EXPECT(k->credit_events <= WIRE_CREDIT_EVENTS && k->credit_bytes <= WIRE_CREDIT_BYTES,
               "process %u: credit for %lld events and %lld bytes", (unsigned)p->key,
               (long long)k->credit_events, (long long)k->credit_bytes);
    p->stuck_ms = p->world->events->now_ms; /* only now it can be told that it hangs */
    if (k->parked && k->credit_events > 0 && k->credit_bytes > 0) {
        k->parked = false;
        step_later(p, k, 0, 2);
    }
}
