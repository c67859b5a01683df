/* worker_run.h — runs a worker program by hand, without a pool, for what it prints.
 *
 * What depends on models and kernels is the worker's to know: this program only starts it and reads
 * its stdout. base/worker_path.h says where it is. */
#ifndef CMD_WORKER_RUN_H
#define CMD_WORKER_RUN_H

#include "base/buffer.h"
#include "base/error.h"

/* Runs it to its end with one argument, or two, and appends what it prints to `out`. An error when
 * it cannot be started or does not end well. */
enum weir_code worker_run(const char *path, const char *argument, const char *second,
                          struct buffer *out, struct weir_error *err);

#endif
