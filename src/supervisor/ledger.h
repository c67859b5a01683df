/* ledger.h — the pool's one number for memory: the one function that moves leases, and the judge's
 * view of the pool. */
#ifndef SUPERVISOR_LEDGER_H
#define SUPERVISOR_LEDGER_H

#include "supervisor/governor.h"
#include "supervisor/supervisor.h"

struct child;
struct model;

enum lease_move { LEASE_GRANT, LEASE_MEASURED, LEASE_REAPED };
void lease_move(struct supervisor *s, struct child *c, enum lease_move why, uint64_t bytes);
void memory_read(struct supervisor *s);
void memory_bare(struct supervisor *s, struct child *c); /* at its hello */
struct judgement ledger_judge(struct supervisor *s, struct model *m, const struct claim *claim,
                              uint32_t victims[], size_t victims_max);
struct claim ledger_claim(const struct supervisor *s, const struct model *m);

#endif
