/* machine_limits.h — what this machine can do at most, measured now by `weir-worker --limits`.
 *
 * The arithmetic of models is the worker's: this program only starts it (worker_run.h) and reads
 * its last line. Takes about a second, in which the caller should have nothing else running. */
#ifndef CMD_MACHINE_LIMITS_H
#define CMD_MACHINE_LIMITS_H

#include "base/error.h"

#include <stdint.h>

struct machine_limits {
    char cpu[16]; /* the kernels in use: "avx2" */
    uint64_t threads;
    double f32_gflops, bf16_gflops, read_gbs;
};

/* With so many threads; 0: the cores. */
enum weir_code machine_limits_measure(uint32_t threads, struct machine_limits *out,
                                      struct weir_error *err);

#endif
