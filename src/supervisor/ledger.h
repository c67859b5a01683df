/* ledger.h — the pool's one number for memory: the one function that moves leases, what a model
 * claims, and the judge's view of the pool.
 *
 * Two leases (contracts.md 2): weights, once a model, held as long as any of its children was not
 * reaped; context, one a process. Both move in lease_move and nowhere else. Packed weights that
 * were prepared are leased with the weights; else each worker packs for itself, and they are a part
 * of its context. */
#ifndef SUPERVISOR_LEDGER_H
#define SUPERVISOR_LEDGER_H

#include "supervisor/governor.h"
#include "supervisor/supervisor.h"

struct model;

/* What one process holds: memory of its own, and a share of its model's weights. */
struct lease {
    struct model *model; /* NULL: it maps nobody's weights */
    bool packed;         /* it shares the prepared ones as well */
    uint64_t context_bytes;
};

enum lease_move { LEASE_GRANT, LEASE_MEASURED, LEASE_REAPED };
void lease_move(struct supervisor *s, struct lease *l, enum lease_move why, uint64_t bytes);

/* What the workers of a model map together, with the prepared weights or without. */
uint64_t ledger_shared_bytes(const struct model *m, bool packed);
/* What one more worker of the model needs: as its living workers were granted, else as its settings
 * and its plan say. Its context is the larger of what the plan says and what was learned. */
struct claim ledger_claim(const struct supervisor *s, const struct model *m);
/* The same with so many slots and tokens of context. */
struct claim ledger_claim_of(const struct supervisor *s, const struct model *m, uint32_t slots,
                             uint32_t context);

/* The pool in the judge's terms: a copy, which stands until a lease or a state changes. */
struct pool_view {
    struct ledger ledger;
    struct resident *residents;
    size_t count;
    size_t *victims; /* room for `count` */
};

void ledger_view(const struct supervisor *s, struct pool_view *out);
void ledger_view_finish(struct pool_view *v);

#endif
