/* confine.h — what a worker cannot do any more, whoever has taken it over.
 *
 * A profile names groups of system calls that stay possible and what may be done with files; every
 * other call fails with EPERM, in every thread that exists or will. Profiles only take away: a
 * worker that was confined to load is confined further once it has loaded. Two mechanisms, each
 * used where the kernel has it: seccomp decides on calls, landlock on files, connections and
 * signals. Builds with sanitizers, which need what is forbidden here, log such calls (where the
 * kernel logs) and let them happen.
 *
 *            threads  code  reading files  writing files        when
 *   load     yes      yes   any            no                   before a model file is opened
 *   cpu      no       no    no             no                   once it is loaded
 *   inspect  yes      yes   any            no                   from the start
 *   prepare  yes      yes   any            below one folder     before a model file is opened
 *
 * No profile opens a socket, starts a program or reaches another process. */
#ifndef WORKER_CONFINE_H
#define WORKER_CONFINE_H

#include <stdbool.h>

#define CONFINE_PROFILES(X)                                                                        \
    X(NONE, none)                                                                                  \
    X(LOAD, load)                                                                                  \
    X(CPU, cpu)                                                                                    \
    X(INSPECT, inspect)                                                                            \
    X(PREPARE, prepare)

enum confine_profile {
#define X(NAME, name) CONFINE_##NAME,
    CONFINE_PROFILES(X)
#undef X
        CONFINE_PROFILE_COUNT
};

const char *confine_name(enum confine_profile profile);

/* What is in force after a confine_enter. */
struct confinement {
    bool filters; /* calls are refused by seccomp, in all threads */
    bool logs;    /* they are only logged: a sanitizer build */
    int landlock; /* version of its interface, where it holds for this thread; 0: none */
};

/* At the start of every worker: no privileges by exec, first to go when memory runs out, and no
 * core file, which would hold what others asked and take its time to be written. */
void confine_settle(void);

/* From here on. `folder` is where CONFINE_PREPARE may write, NULL for nowhere; it must exist. What
 * is not to be had on this machine is left out, and said on stderr as `name` when that is all. */
struct confinement confine_enter(enum confine_profile profile, const char *folder,
                                 const char *name);

#endif
