/* settings.h — the values that go in and out of the pool: its options, the settings of a model, a
 * request and its outcome, an event. Plain structs, copied by who keeps them. */
#ifndef SUPERVISOR_SETTINGS_H
#define SUPERVISOR_SETTINGS_H

#include "base/log.h"
#include "base/str.h"
#include "supervisor/limits.h"
#include "supervisor/world.h"

#include "weir/capability.h"
#include "weir/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Classes of requests, the most urgent first. */
#define PRIORITY_NAMES(X)                                                                          \
    X(CRITICAL, "critical") X(HIGH, "high") X(NORMAL, "normal") X(LOW, "low") X(BATCH, "batch")
enum request_priority {
#define X(NAME, name) PRIORITY_##NAME,
    PRIORITY_NAMES(X)
#undef X
        PRIORITIES
};

struct message_inspected;

/* One transition or decision. Texts are borrowed for the call; NULL where there is none. */
struct pool_event {
    const char *kind; /* "state", "registered", "inspected", "grant", "wait", "evict", "never", … */
    const char *model;
    uint32_t worker;     /* 0: none */
    const char *request; /* the label of the request that it is about */
    const char *from, *to;
    const char *reason;
};

/* What a worker of a file was seen to need, for one way of loading it. */
struct learned {
    uint8_t digest[32]; /* of the plan */
    uint32_t context, slots, threads;
    uint32_t precision;     /* enum plan_precision */
    bool prepared;          /* its packed weights were shared, and no use of its own */
    uint64_t context_bytes; /* the largest private use measured */
    int64_t load_ms;        /* of the last load */
};

/* What an inspector said of a file. `stamp` is what the model was registered with. */
struct inspected {
    const char *path;
    enum worker_program program;
    uint32_t context; /* asked for */
    uint64_t stamp;
    const struct message_inspected *answer;
};

struct supervisor_options {
    struct limits limits;
    uint64_t memory_bytes; /* asked budget, 0: derived */
    uint32_t memory_percent;
    uint32_t threads;  /* of all workers together, at least 1 */
    const char *cache; /* folder for packed weights, copied; NULL: each worker packs for itself */
    const struct log *log;
    void (*on_event)(void *context, const struct pool_event *event);
    void *event_context;
    /* A figure of a file rose: keep it for supervisor_learn in the next life. */
    void (*on_learned)(void *context, const struct learned *row);
    void *learned_context;
    /* An inspector has answered: keep it, for `known` of those who register the same files. */
    void (*on_inspected)(void *context, const struct inspected *what);
    void *inspected_context;
};

/* Strings are copied. Times and counts are as given: the caller fills in defaults. */
struct model_settings {
    const char *name;
    const char *path;
    enum worker_program program;
    uint32_t max_workers; /* at least 1 */
    uint32_t min_workers; /* kept loaded; at most max_workers */
    int64_t idle_ms, idle_label_ms;
    uint32_t slots;             /* 0: the plan's */
    uint32_t context;           /* 0: the model's own limit */
    uint32_t precision;         /* of its matrix products, enum plan_precision */
    const char *const *aliases; /* other names for it */
    size_t aliases_count;
    uint32_t capabilities; /* a bit each, to narrow what its files can; 0: all */
    uint8_t priority;      /* of requests that say PRIORITY_NORMAL */
    bool pin;              /* its last worker neither leaves when idle nor for another model */
    bool preload;          /* loaded once, as soon as it was inspected */
    bool truncate;         /* what embeddings get that do not say: see supervisor_truncates */
    bool replace;          /* an entry of that name gives way instead of refusing this one */
    uint64_t stamp; /* of its files as they are now, opaque; 0: they cannot be told from others */
    /* What an inspection of just these files has said, borrowed for the call; NULL: ask one. */
    const struct message_inspected *known;
};

/* keep_alive_ms besides a duration; 0 is the model's idle_ms. */
#define KEEP_ALIVE_FOREVER (-1) /* no idle time counts; its memory may still be needed */
#define KEEP_ALIVE_NONE    (-2) /* every worker leaves as soon as no request is left */

struct request_outcome {
    struct weir_error error; /* WEIR_OK: it succeeded */
    uint64_t input_tokens, output_tokens;
    uint8_t finish; /* as the worker said it */
    int64_t queued_ms, total_ms;
};

struct request_callbacks {
    void (*on_output)(void *context, uint64_t id, struct str payload);
    void (*on_progress)(void *context, uint64_t id, uint32_t step, uint32_t steps);
    void (*on_end)(void *context, uint64_t id, const struct request_outcome *outcome);
    /* May be NULL. False and err when what its worker said makes no sense: the request fails with
     * that, and so has the model. Asked after each output, and of a good end before it is one;
     * `end` is NULL until then. */
    bool (*check)(void *context, const struct request_outcome *end, struct weir_error *err);
};

/* `payload` is given: allocated by base/mem.h, and the supervisor's from a successful submit on. */
struct submission {
    const char *model;
    enum weir_capability capability;
    enum weir_operation operation;
    uint8_t priority;      /* enum request_priority */
    bool own_credit;       /* the caller returns credit itself */
    bool mergeable;        /* equal to another that waits or runs, it may share its answer */
    int64_t deadline_ms;   /* from now, 0: the limit */
    int64_t keep_alive_ms; /* as in weir.h */
    uint64_t affinity;
    const char *client, *label; /* may be NULL; copied */
    uint8_t *payload;
    size_t payload_bytes;
    const struct request_callbacks *callbacks;
    void *context;
};

#endif
