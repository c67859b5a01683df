/* doctor.h — what the checks of `weir doctor` share: the facts they all need, and their findings.
 *
 * A check looks at one thing and says what it found, each time with a verdict: ok; note, where
 * something could be better; wrong, where weir cannot do what it is there for. A note or a wrong
 * says what to do about it. Nothing is changed by looking. */
#ifndef CMD_DOCTOR_H
#define CMD_DOCTOR_H

#include "base/buffer.h"
#include "base/error.h"
#include "cmd/serve_config.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define DOCTOR_VERDICTS(X)                                                                         \
    X(OK, ok)                                                                                      \
    X(NOTE, note)                                                                                  \
    X(WRONG, wrong)

enum doctor_verdict {
#define X(NAME, name) DOCTOR_##NAME,
    DOCTOR_VERDICTS(X)
#undef X
        DOCTOR_VERDICT_COUNT
};

#define DOCTOR_FINDINGS_MAX 64

struct finding {
    const char *check;
    enum doctor_verdict verdict;
    char says[360], advice[300]; /* advice: "" where there is none */
};

struct doctor {
    struct serve_config config; /* as `weir serve` without arguments would read it */
    struct weir_error config_error;
    json_t *machine; /* the pool's view of memory; NULL: machine_error says why */
    struct weir_error machine_error;
    const char *check; /* which one runs */
    struct finding findings[DOCTOR_FINDINGS_MAX];
    size_t count;
};

/* A finding of the check that runs. */
void doctor_say(struct doctor *d, enum doctor_verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What to do about the last one. */
void doctor_advise(struct doctor *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A small file of /proc or /sys by its path without the first '/', below $WEIR_SYSTEM_ROOT when it
 * is there. False: there is none. */
bool doctor_read(const char *path, struct buffer *out);

/* doctor_machine_linux.c: what the kernel and the hardware offer. */
void doctor_kernel(struct doctor *d);
void doctor_cores(struct doctor *d);
void doctor_memory(struct doctor *d);
void doctor_swap(struct doctor *d);
void doctor_huge_pages(struct doctor *d);
void doctor_files(struct doctor *d);
void doctor_processes(struct doctor *d);

/* doctor_worker.c: what the worker programs say of themselves. */
void doctor_worker(struct doctor *d);
void doctor_speed(struct doctor *d);

/* doctor_setup.c: what weir was told, and what is there. */
void doctor_config(struct doctor *d);
void doctor_models(struct doctor *d);
void doctor_cache(struct doctor *d);
void doctor_server(struct doctor *d);

#endif
