/* faults.h — what can go wrong in a simulation, and what can be done in it: each is counted, and a
 * run in which one was too rare has proved nothing about it. */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

/* What goes wrong. Each is counted where it shows, not where it is drawn. */
#define SIM_FAULTS(X)                                                                              \
    X(SPAWN_FAILS, "spawn fails")                                                                  \
    X(INSPECTOR_FAILS, "spawn of an inspector fails")                                              \
    X(PREPARER_FAILS, "spawn of a preparer fails")                                                 \
    X(SPAWN_CRASHES, "crash while spawning")                                                       \
    X(SPAWN_HANGS, "hang while spawning")                                                          \
    X(OTHER_BUILD, "hello of another build")                                                       \
    X(PLAN_LARGER, "plan larger than inspected")                                                   \
    X(PLAN_FAILS, "failed before the plan")                                                        \
    X(LOAD_FAILS, "stated load failure")                                                           \
    X(LOAD_CRASHES, "crash while loading")                                                         \
    X(LOAD_HANGS, "hang while loading")                                                            \
    X(LOAD_SLOW, "slow load")                                                                      \
    X(GARBAGE, "frame that cannot be read")                                                        \
    X(ILLEGAL, "frame that is not legal")                                                          \
    X(OVERSENT, "output without credit")                                                           \
    X(WORK_CRASHES, "crash while working")                                                         \
    X(WORK_HANGS, "hang while working")                                                            \
    X(WORK_SLOW, "slow step")                                                                      \
    X(NOT_ACCEPTED, "job not acknowledged")                                                        \
    X(POISON, "input that ends its worker")                                                        \
    X(CANCEL_LATE, "cancel honoured late")                                                         \
    X(CANCEL_IGNORED, "cancel not honoured")                                                       \
    X(QUIET_CRASHES, "crash while quiet")                                                          \
    X(PING_IGNORED, "ping unanswered")                                                             \
    X(BYE_IGNORED, "bye ignored")                                                                  \
    X(TERM_IGNORED, "SIGTERM ignored")                                                             \
    X(EXIT_LATE, "late exit after a kill")                                                         \
    X(CHANNEL_FIRST, "channel closed before the exit")                                             \
    X(FRAME_AFTER_EXIT, "frame after the exit")                                                    \
    X(STATUS_UNKNOWN, "exit status unknown")                                                       \
    X(INSPECT_CRASHES, "crash while inspecting")                                                   \
    X(INSPECT_HANGS, "hang while inspecting")                                                      \
    X(INSPECT_PROBLEM, "inspection finds a problem")                                               \
    X(INSPECT_GARBAGE, "inspection that cannot be read")                                           \
    X(PREPARE_CRASHES, "crash while preparing")                                                    \
    X(PREPARE_HANGS, "hang while preparing")                                                       \
    X(PREPARE_PROBLEM, "preparation that fails")                                                   \
    X(PREPARE_GARBAGE, "preparation that cannot be read")                                          \
    X(PREPARE_SLOW, "slow preparation")                                                            \
    X(PREPARED_GONE, "what was prepared is gone")                                                  \
    X(MEASURED_HIGH, "process larger than its lease")                                              \
    X(THRASHES, "process that reads its pages from disk")                                          \
    X(MEMORY_TAKEN, "other programs take memory")                                                  \
    X(MEMORY_CRITICAL, "other programs take nearly all memory")                                    \
    X(TOTAL_CHANGES, "the machine's memory changes")                                               \
    X(CLOCK_JUMPS, "clock jumps forward")

enum sim_fault {
#define X(NAME, says) FAULT_##NAME,
    SIM_FAULTS(X)
#undef X
        FAULT_COUNT
};

/* What callers and operators do that has to be seen often as well, counted where it took effect. */
#define SIM_DEEDS(X)                                                                               \
    X(FLOODED, "a client's flood")                                                                 \
    X(FAIR, "job of another client during a flood")                                                \
    X(MERGED, "answer shared with an equal request")                                               \
    X(STALLED, "client that takes no more output")                                                 \
    X(LOADED, "request to load")                                                                   \
    X(WRONG, "request for what the model cannot do")                                               \
    X(ALIASED, "request under an alias")                                                           \
    X(AFFINE, "request of a conversation that had a worker")                                       \
    X(PINNED, "pin")                                                                               \
    X(UNPINNED, "unpin")                                                                           \
    X(UNLOADED, "unload")                                                                          \
    X(UNREGISTERED, "unregister")                                                                  \
    X(REPLACED, "replacement by another entry")                                                    \
    X(REPEATED, "replacement that changes nothing")                                                \
    X(TAKEN, "registration of a name that is taken")                                               \
    X(KNOWN, "registration of what was inspected before")                                          \
    X(CONFIGURED, "another budget")                                                                \
    X(HALVED, "load with fewer slots or less context")                                             \
    X(PREPARED, "weights prepared")                                                                \
    X(SHARED, "load with prepared weights")                                                        \
    X(UNPREPARED, "load with weights that could not be prepared")                                  \
    X(LEARNED, "figure learned")                                                                   \
    X(RETRIED, "job given to another worker")                                                      \
    X(STATUS, "status read")                                                                       \
    X(MODELS, "models listed")                                                                     \
    X(METRICS, "metrics read")                                                                     \
    X(PLANNED, "plan asked for")                                                                   \
    X(ASKED, "request asked for")

enum sim_deed {
#define X(NAME, says) DEED_##NAME,
    SIM_DEEDS(X)
#undef X
        DEED_COUNT
};

const char *sim_fault_name(enum sim_fault fault);
const char *sim_deed_name(enum sim_deed deed);

#endif
