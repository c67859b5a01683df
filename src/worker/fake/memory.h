/* memory.h — the bytes that a fake worker really uses, for tests of the ledger.
 *
 * Weights are a mapped file, as they are in a real worker, so that only what is private shows as
 * private; context and whatever leaks are anonymous memory that was written to. */
#ifndef WORKER_FAKE_MEMORY_H
#define WORKER_FAKE_MEMORY_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct memory {
    void *weights;
    size_t weights_bytes;
    void *anonymous;
};

/* WEIR_LOAD_FAILED when the system has not so much; memory_release takes what was got. */
enum weir_code memory_map_weights(struct memory *m, uint64_t bytes, struct weir_error *err);
enum weir_code memory_use(struct memory *m, uint64_t bytes, struct weir_error *err);
void memory_release(struct memory *m);

#endif
