/* misbehave.h — the ways in which a fake worker breaks its word. */
#ifndef WORKER_FAKE_MISBEHAVE_H
#define WORKER_FAKE_MISBEHAVE_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* What it says, or does, instead of a result. */
#define GARBAGES(X)                                                                                \
    X(NONSENSE, nonsense) /* bytes that are no frame */                                            \
    X(OUTSIDE, outside)   /* a part in a block behind the last */                                  \
    X(LENGTH, length)     /* a part longer than its block */                                       \
    X(FOREIGN, foreign)   /* a block that it has put nothing into */                               \
    X(FLOOD, flood)       /* parts without end, of an output of one */                             \
    X(RETURN, return )    /* gives back blocks that it was not lent, then answers */               \
    X(SHRINK, shrink)     /* tries to take the regions' memory away, then answers */

enum garbage {
#define X(NAME, name) GARBAGE_##NAME,
    GARBAGES(X)
#undef X
        GARBAGE_COUNT
};

bool garbage_parse(struct str name, enum garbage *out);

_Noreturn void misbehave_crash(void); /* dies of SIGABRT, quickly */
_Noreturn void misbehave_hang(void);  /* computes for ever without a tick */
/* Instead of the result of that job, or of what comes before there are jobs. False: it may go on as
 * if nothing were. */
bool misbehave_garbage(enum garbage what, uint64_t job);

#endif
