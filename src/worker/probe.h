/* probe.h — tries what a confined worker must not be able to do, and keeps what came of it.
 *
 * The attempts are what whoever took a worker over would begin with, and harm nothing where they
 * succeed: a connection to this machine's discard port, a shell that does nothing, a file of the
 * system opened and closed again, the null device opened to be written. Each would succeed, or fail
 * for another reason, in a process that is not confined. */
#ifndef WORKER_PROBE_H
#define WORKER_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#define PROBE_ATTEMPTS(X)                                                                          \
    X(CONNECT, connect)                                                                            \
    X(EXEC, exec)                                                                                  \
    X(OPEN, open)                                                                                  \
    X(WRITE, write)

enum probe_attempt {
#define X(NAME, name) PROBE_##NAME,
    PROBE_ATTEMPTS(X)
#undef X
        PROBE_COUNT
};

struct probe {
    int why[PROBE_COUNT]; /* errno; 0: it was done */
};

void probe_run(struct probe *out);

const char *probe_name(enum probe_attempt attempt);
/* Stopped by the confinement, and not by what happens to be so on this machine. */
bool probe_refused(const struct probe *p, enum probe_attempt attempt);
/* "connect: Operation not permitted, exec: done, …". */
void probe_say(const struct probe *p, char *out, size_t room);

#endif
