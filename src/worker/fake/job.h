/* job.h — one request that a fake worker runs: a number of steps of a given duration each, then the
 * answer. What is streamed, words and pictures, goes out a piece every so many steps. Several jobs
 * run side by side; each has a time of its own at which its next step is due.
 *
 * request.c reads what is asked, reply.c writes what is answered, job.c lets time pass between. */
#ifndef WORKER_FAKE_JOB_H
#define WORKER_FAKE_JOB_H

#include "base/arena.h"
#include "wire/text_embedding.h"
#include "wire/text_to_image.h"
#include "worker/control.h"
#include "worker/fake/order.h"
#include "worker/fake/spec.h"
#include "worker/fake/words.h"

#include <stdbool.h>
#include <stdint.h>

#define JOB_REPORT_MAX 200

struct operation;

struct fake_job {
    struct worker_job job;
    const struct operation *operation;
    const struct spec *spec;
    char report[JOB_REPORT_MAX]; /* answered instead of what is asked, unless it is empty */
    struct arena arena;          /* everything below that is borrowed lies here or in the payload */
    const struct wire_input *inputs; /* of what is collected: embed, tokenize, detokenize */
    size_t count;
    bool truncate, truncate_front;
    enum text_embedding_normalize normalize;
    uint32_t dimensions;
    struct words words;       /* generate, describe */
    struct draw_request draw; /* with the sizes and steps that it will have */
    struct buffer picture;    /* the reply that waits for credit */
    struct order order;
    uint64_t step, steps; /* done, and in all */
    uint64_t piece_steps; /* steps a piece */
    size_t pieces;        /* streamed outputs; 0: one answer at the end */
    int64_t step_ms;
    int64_t due_ms;         /* of the next step; CONTROL_FOREVER while parked */
    int64_t sleep_until_ms; /* a sleeping job ticks, but does no step */
    bool crashes;           /* it is one of crash=every:N */
    bool parked;            /* its output waits for credit */
    struct control_usage usage;
};

/* What a worker of a capability is asked to do; request.c has the table. */
struct operation {
    uint8_t capability, operation;
    bool shows_steps; /* by progress frames; a text shows itself */
    /* Fills the job from its payload and obeys the order in it. */
    enum weir_code (*read)(struct fake_job *j, struct weir_error *err);
    /* One of the two. Sends piece `index`; false: without credit, nothing was sent. */
    bool (*stream)(struct fake_job *j, struct control *c, size_t index);
    /* Sends the whole answer. */
    enum weir_code (*collect)(struct fake_job *j, struct control *c, struct weir_error *err);
};

/* `number` counts the worker's jobs from 1. False: it was refused and has ended. */
bool job_begin(struct fake_job *j, struct control *c, const struct worker_job *job,
               const struct spec *spec, uint64_t number);
/* Does what is due, at most one step. False: it has ended. */
bool job_advance(struct fake_job *j, struct control *c);

#endif
