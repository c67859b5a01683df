/* limits.h — every bound of the pool, with its name, default and meaning, in one list.
 *
 * weir_options.limits takes them by name. What a program says about limits comes from here, so that
 * no default is written down twice. */
#ifndef WEIR_LIMITS_H
#define WEIR_LIMITS_H

/*    name              default   least  meaning */
/* clang-format off */
#define WEIR_LIMITS(X)                                                                            \
    X(queue_jobs,       1024,      1, "jobs waiting for one model")                               \
    X(queue_bytes,      268435456, 1, "bytes of jobs waiting for one model")                      \
    X(queues_share,     5,         1, "percent of the budget for all waiting jobs together")      \
    X(deadline_ms,      600000,    1, "ms that a request may take when it does not say")          \
    X(hello_ms,         5000,      1, "ms until a started worker has said its plan")              \
    X(load_stall_ms,    60000,     1, "ms that a load may go without progress")                   \
    X(job_stall_ms,     30000,     1, "ms that running jobs may go without progress")             \
    X(accept_ms,        2000,     20, "ms until a worker acknowledges a job")                     \
    X(ping_ms,          10000,     1, "ms between pings of a quiet worker")                       \
    X(pong_ms,          2000,      1, "ms until a ping is answered")                              \
    X(evict_ms,         60000,     0, "ms that a leaving worker may finish its jobs")             \
    X(bye_ms,           2000,      0, "ms from the order to leave to SIGTERM")                    \
    X(term_ms,          5000,      0, "ms from SIGTERM to SIGKILL")                               \
    X(drain_ms,         5000,      0, "ms for running requests at shutdown")                      \
    X(min_stay_ms,      10000,     0, "ms that a loaded model stays at most while requests wait") \
    X(restart_max_ms,   60000,     1, "ms between restarts after crashes, at most")               \
    X(breaker_failures, 5,         1, "failures in a row that open the breaker of a model")       \
    X(breaker_open_ms,  60000,     1, "ms that it stays open")                                    \
    X(breaker_probes,   3,         1, "successes that close it again")                            \
    X(ageing_ms,        10000,     1, "ms of waiting that raise a job by one priority")           \
    X(quarantine_ms,    600000,    0, "ms that an input which ended two workers is refused")      \
    X(pressure_ms,      5000,      1, "ms between readings of memory")                            \
    X(stderr_bytes,     8192,      0, "bytes kept of what a worker writes to stderr")
/* clang-format on */

#endif
