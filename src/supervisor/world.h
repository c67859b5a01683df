/* world.h — all that the supervisor asks of its outside.
 *
 * lib/ implements it with the operating system, tests/sim with a seeded simulation. Children are
 * named by id, never by pointer; frames are whole, never bytes. What happens comes back through
 * supervisor_on_frame, _on_lost and _on_exit, never from inside one of these calls. */
#ifndef SUPERVISOR_WORLD_H
#define SUPERVISOR_WORLD_H

#include "base/error.h"
#include "base/str.h"
#include "wire/frame.h"

#include <stddef.h>
#include <stdint.h>

enum spawn_kind { SPAWN_WORK, SPAWN_INSPECT, SPAWN_PREPARE };

#define WORKER_PROGRAMS(X) X(CPU, "weir-worker") X(FAKE, "weir-worker-fake")

enum worker_program {
#define X(NAME, file) PROGRAM_##NAME,
    WORKER_PROGRAMS(X)
#undef X
        WORKER_PROGRAM_COUNT
};

struct spawn_spec {
    enum worker_program program;
    const char *title; /* the process title */
    const char *path;  /* of the model; NULL for an inspector or a preparer */
};

enum world_signal { WORLD_TERM, WORLD_KILL };

struct child_memory {
    uint32_t id;            /* in */
    uint64_t private_bytes; /* out: anonymous and shared-anonymous resident; 0 when unknown */
    uint64_t major_faults;  /* out: page faults that had to read from disk, since its start */
};

struct memory_facts {
    uint64_t total_bytes;     /* T: the least over machine and cgroups */
    uint64_t available_bytes; /* A: likewise */
    struct child_memory *children;
    size_t children_count;
};

struct world {
    void *context;
    /* Starts a process and returns at once. On failure nothing was started and on_exit never comes.
     */
    enum weir_code (*spawn)(void *context, enum spawn_kind kind, uint32_t id,
                            const struct spawn_spec *spec, struct weir_error *err);
    /* Queues a frame and, behind it, the payload as parts. Never blocks, never fails: what cannot
     * be sent comes back as on_lost. Both are borrowed for the call. */
    void (*send)(void *context, uint32_t id, enum frame_type type, uint64_t job, struct str body,
                 struct str payload);
    void (*kill)(void *context, uint32_t id, enum world_signal signal);
    /* How many compute threads the child may use from now on. */
    void (*share)(void *context, uint32_t id, uint32_t threads);
    /* The child's progress counter: any change means that it moves. */
    uint64_t (*ticks)(void *context, uint32_t id);
    void (*memory)(void *context, struct memory_facts *facts);
    int64_t (*pid)(void *context, uint32_t id); /* to be shown; 0 when it is gone */
};

#endif
