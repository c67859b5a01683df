/* helper.h — a process that works for the pool and is no worker of a model: it says hello, is
 * asked one thing at a time, answers, and is told to leave. Inspectors and preparers are helpers;
 * what their answers mean, and who pays when none comes, is said in their own rooms. */
#ifndef SUPERVISOR_HELPER_H
#define SUPERVISOR_HELPER_H

#include "base/buffer.h"
#include "supervisor/supervisor.h"

struct helper {
    uint32_t id; /* 0: none runs */
    bool hello, leaving, killed;
    uint32_t asked;   /* number of the question that it works on, 0: none */
    int64_t since_ms; /* of what it is waited for */
};

/* On failure nothing was started, and it is to be reaped all the same. */
enum weir_code helper_start(struct supervisor *s, struct helper *h, enum spawn_kind kind,
                            const struct spawn_spec *spec, struct weir_error *err);
/* Sends the question: `body` is the caller's. */
void helper_ask(struct supervisor *s, struct helper *h, enum frame_type type, uint32_t number,
                const struct buffer *body);
void helper_bye(struct supervisor *s, struct helper *h);
void helper_kill(struct supervisor *s, struct helper *h); /* once; it exits in its own time */
void helper_reaped(struct supervisor *s, struct helper *h);

/* It is there for a question. */
bool helper_is_free(const struct helper *h);
/* It owes its hello, an answer or its exit, and was not given up yet. */
bool helper_is_waited_for(const struct helper *h);
/* When the patience with it ends, or TIMER_NEVER. An answer may take `answer_ms`. */
int64_t helper_until(const struct supervisor *s, const struct helper *h, int64_t answer_ms);
/* Takes its hello; false when that is of another build. */
bool helper_greet(struct helper *h, const struct frame *f);

#endif
