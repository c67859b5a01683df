/* worker.h — what every worker program is: a process around one model.
 *
 * worker_main sets the process up, speaks the opening of the conversation (hello, plan, load,
 * loaded) and leaves the rest to a table of functions. Started as `TITLE PATH` it works for the
 * supervisor behind descriptor 3; as `TITLE --inspect` it reads paths there and answers what each
 * model would need, one after another, loading none; as `TITLE --prepare` it puts the packed
 * weights of a model into a cache. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "base/error.h"
#include "wire/message.h"
#include "wire/plan.h"
#include "worker/confine.h"
#include "worker/control.h"

#define WORKER_CHANNEL_FD  3
#define WORKER_PAGE_FD     4
#define WORKER_REQUESTS_FD 5 /* these two only where there are jobs */
#define WORKER_REPLIES_FD  6

struct worker {
    const char *path;
    struct control *control;
    void *state; /* the implementation's own */
};

/* What a worker started with --prepare is told to do. */
struct worker_preparation {
    const char *path;
    uint32_t context, precision; /* as in message_load */
    const char *cache;           /* the folder */
    void (*tick)(void *context);
    void *tick_context;
};

struct worker_ops {
    const char *name; /* of the program, for what it says on stderr */
    /* How a worker is confined until it has loaded; then it is CONFINE_CPU. */
    enum confine_profile loading;

    /* Mandatory: what the model at the path would need, from its headers. `context` 0: its own. */
    enum weir_code (*inspect)(const char *path, uint32_t context, struct plan *out,
                              struct weir_error *err);
    /* Optional, default: there is nothing to prepare. Sees that packed weights are in the cache. */
    enum weir_code (*prepare)(const struct worker_preparation *p, struct weir_error *err);
    /* Optional: called before the hello. False leaves out the hello and waits for the end. */
    bool (*start)(struct worker *w);
    /* Optional, default `inspect` of the path: the plan that a worker repeats. */
    enum weir_code (*plan)(struct worker *w, struct plan *out, struct weir_error *err);
    /* Mandatory: loads, with ticks. */
    enum weir_code (*load)(struct worker *w, const struct message_load *load,
                           struct weir_error *err);
    /* Mandatory: works until control_wait says to leave. */
    void (*serve)(struct worker *w);
    /* Mandatory: gives back what start and load made; also after a failure. */
    void (*finish)(struct worker *w);
};

/* The exit status of the process. */
int worker_main(const struct worker_ops *ops, int argc, char **argv);

#endif
