/* inspector.h — a worker started with `--inspect`: paths in, plans or errors out (asked.h). */
#ifndef WORKER_INSPECTOR_H
#define WORKER_INSPECTOR_H

struct worker_ops;

int inspector_run(const struct worker_ops *ops, int fd); /* the exit status */

#endif
