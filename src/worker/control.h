/* control.h — the conversation of a worker with its supervisor.
 *
 * A control thread alone reads the socket: it acknowledges jobs, answers pings, passes cancels on
 * through the control page, counts credit and ends the process when the supervisor is gone, even if
 * computing hangs. The compute side takes whole jobs from it and answers them; its functions are
 * called from one thread, the one that created the control. A frame that breaks the protocol ends
 * the process: the supervisor is trusted to speak it, so that can only be a bug. */
#ifndef WORKER_CONTROL_H
#define WORKER_CONTROL_H

#include "base/error.h"
#include "base/str.h"
#include "wire/control_page.h"
#include "wire/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTROL_FOREVER INT64_MAX

struct control;

/* A job as the compute side holds it, from control_take until control_end. */
struct worker_job {
    uint64_t id;
    uint32_t slot;
    uint8_t capability; /* enum weir_capability */
    uint8_t operation;  /* enum weir_operation */
    struct str payload; /* borrowed until control_end */
};

/* Starts the control thread. The page and the regions, REGION_BYTES each or both NULL, must outlive
 * the control. */
struct control *control_create(int fd, struct control_page *page, void *requests, void *replies);
/* Waits until everything written has left, then stops the control thread. */
void control_destroy(struct control *c);

/* Before there are jobs. */
void control_hello(struct control *c);
void control_plan(struct control *c, const struct plan *plan);
/* Waits; false: told to leave. The strings of *out are the control's own. */
bool control_load(struct control *c, struct message_load *out);
void control_loaded(struct control *c);
void control_failed(struct control *c, const struct weir_error *err);

/* Jobs that are complete, oldest first; as many as there are, at most `max`, without waiting. */
size_t control_take(struct control *c, struct worker_job *jobs, size_t max);
/* Waits for a job, credit or a cancel that came since the last control_wait, or until `until_ms`.
 * False: told to leave, and no job is left. */
bool control_wait(struct control *c, int64_t until_ms);

bool control_cancelled(const struct control *c, const struct worker_job *job);
/* A streamed output needs credit: false means that nothing was sent, and is to be tried again after
 * a control_wait. A collected answer always goes: a small one with the end of its job. */
bool control_output(struct control *c, const struct worker_job *job, struct str bytes,
                    bool streamed);
void control_progress(struct control *c, const struct worker_job *job, uint32_t step,
                      uint32_t steps);
/* What a job that succeeded has used, and why its text ended. */
struct control_usage {
    uint64_t input_tokens, output_tokens;
    uint8_t finish; /* enum wire_finish */
};
/* Exactly once a job; its payload is gone afterwards. `err` NULL: the job succeeded; `usage` NULL:
 * it used nothing. */
void control_end(struct control *c, const struct worker_job *job, const struct weir_error *err,
                 const struct control_usage *usage);

/* Something moved: a layer, a token, a step, a piece of a load. Any thread may call it. */
void control_tick(struct control *c);
/* The word that holds how many threads may compute. While the supervisor has written none it says
 * `threads`, so that its reader needs no rule for 0. */
const _Atomic uint32_t *control_share(struct control *c, uint32_t threads);

#endif
