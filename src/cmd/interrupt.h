/* interrupt.h — how SIGINT, SIGTERM and SIGHUP end a verb that writes answers.
 *
 * At once, with status 128 + the signal's number: the line of progress is wiped, an output file is
 * kept as its .part, and stderr says so. What stands between interrupt_hold and interrupt_release
 * is done to its end first; a second signal does not wait for it. State of the program: one verb
 * at a time. A signal that was ignored before is ignored still. */
#ifndef CMD_INTERRUPT_H
#define CMD_INTERRUPT_H

#include <stdbool.h>

struct output_file;

/* From now on. The file (NULL: there is none) is borrowed until interrupt_disarm, which gives the
 * signals their ordinary effect. */
void interrupt_arm(const struct output_file *file);
void interrupt_disarm(void);

void interrupt_hold(void);
void interrupt_release(void);

/* What stderr says of the file that is kept, a whole line; empty: there is nothing worth keeping,
 * the file goes. Called while held. */
void interrupt_say(const char *line);
/* Whether there is a line of progress to wipe. */
void interrupt_wipes(bool line);

#endif
