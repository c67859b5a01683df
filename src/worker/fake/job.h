/* job.h — one request that a fake worker runs: a number of steps of a given duration each, then the
 * answer. Streamed text goes out a word every `steps` steps. Several jobs run side by side; each
 * has a time of its own at which its next step is due. */
#ifndef WORKER_FAKE_JOB_H
#define WORKER_FAKE_JOB_H

#include "base/arena.h"
#include "worker/control.h"
#include "worker/fake/order.h"
#include "worker/fake/spec.h"

#include <stdbool.h>
#include <stdint.h>

struct fake_job {
    struct worker_job job;
    const struct spec *spec;
    struct arena arena; /* everything below that is borrowed lies here or in the payload */
    const struct wire_input *inputs;
    size_t count;
    bool truncate;
    uint32_t dimensions;
    struct order order;
    const struct str *words; /* GENERATE */
    size_t words_count;
    uint64_t step, steps; /* done, and in all */
    uint64_t word_steps;  /* GENERATE: steps a word */
    int64_t step_ms;
    int64_t due_ms;         /* of the next step; CONTROL_FOREVER while parked */
    int64_t sleep_until_ms; /* a sleeping job ticks, but does no step */
    bool crashes;           /* it is one of crash=every:N */
    bool parked;            /* its output waits for credit */
    uint64_t input_tokens, output_tokens;
};

/* `number` counts the worker's jobs from 1. False: it was refused and has ended. */
bool job_begin(struct fake_job *j, struct control *c, const struct worker_job *job,
               const struct spec *spec, uint64_t number);
/* Does what is due, at most one step. False: it has ended. */
bool job_advance(struct fake_job *j, struct control *c);

#endif
