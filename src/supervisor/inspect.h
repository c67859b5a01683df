/* inspect.h — what a model is, asked of one confined process a program, one model at a time. */
#ifndef SUPERVISOR_INSPECT_H
#define SUPERVISOR_INSPECT_H

#include "supervisor/helper.h"
#include "supervisor/supervisor.h"

struct message_inspected;
struct model;

/* One inspector process a program, alive only while there is something to inspect. */
struct inspector {
    struct helper helper;  /* asked: the number of the model it works on */
    struct model *current; /* that model; NULL once it was unregistered */
    uint32_t answers;
    uint32_t refusals; /* in a row, by a system that has no room for a process now */
    int64_t retry_at_ms;
};

void inspect_init(struct supervisor *s);
/* Behind all others; ahead of those that nobody waits for; once more, with all that was found
 * forgotten. Each is harmless where it does not apply. */
void inspect_later(struct supervisor *s, struct model *m);
void inspect_hurry(struct supervisor *s, struct model *m);
void inspect_again(struct supervisor *s, struct model *m);
/* For a model that is to be inspected: it was before, and nobody need look at its files. */
void inspect_known(struct supervisor *s, struct model *m, const struct message_inspected *known);
void inspect_turn(struct supervisor *s);
void inspect_on_frame(struct supervisor *s, uint32_t id, const struct frame *f);
void inspect_on_gone(struct supervisor *s, uint32_t id, bool exited, const char *what);
void inspect_forget(struct supervisor *s, struct model *m);
int64_t inspect_wake(const struct supervisor *s);

#endif
