/* pressure.h — what the machine has now, what workers really use, and what follows when the one is
 * too little for the other.
 *
 * Each limits.pressure_ms everything is read; in between, a claim looks at the machine alone. High
 * pressure, or a worker whose mapped weights have to be read from disk again and again, stops what
 * is not needed: second workers and more. Critical pressure withholds a part of the budget.
 * Whatever made the leases larger than the budget (pressure, a measurement, another budget),
 * turn_press has workers leave until they are not. */
#ifndef SUPERVISOR_PRESSURE_H
#define SUPERVISOR_PRESSURE_H

#include "supervisor/governor.h"

struct child;
struct supervisor;

void memory_read(struct supervisor *s);                  /* the machine and each child */
void memory_read_machine(struct supervisor *s);          /* for a claim */
void memory_bare(struct supervisor *s, struct child *c); /* at its hello */
enum pressure memory_pressure(const struct supervisor *s);

#endif
