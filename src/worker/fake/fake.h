/* fake.h — the test double of a worker: it speaks the wire and has no model. What it states and how
 * it behaves stands in its model's path (spec.h) and, where that allows it, in inputs (order.h). */
#ifndef WORKER_FAKE_FAKE_H
#define WORKER_FAKE_FAKE_H

#include "worker/worker.h"

extern const struct worker_ops fake_ops;

#endif
