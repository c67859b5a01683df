/* landlock.h — the kernel's landlock, by system call: libc has no functions for it.
 *
 * A thread and those that it starts later lose all access to files but what is named here, the
 * making of connections, and sight of processes outside. What an older kernel does not know it
 * leaves out. */
#ifndef WORKER_LANDLOCK_H
#define WORKER_LANDLOCK_H

#include <stdbool.h>

struct landlock_rules {
    bool reads;         /* files and folders, all of them */
    const char *folder; /* below it files may be written, made and removed; NULL: nowhere */
};

/* The version of the interface, now in force for this thread; 0 when the kernel has none. Needs
 * no_new_privs. */
int landlock_enter(const struct landlock_rules *rules);

#endif
