/* preparer.h — a worker started with `--prepare`: makes the packed weights of a model in a cache,
 * or finds them there, and says when they lie there (asked.h). It ticks while it works. */
#ifndef WORKER_PREPARER_H
#define WORKER_PREPARER_H

struct control_page;
struct worker_ops;

int preparer_run(const struct worker_ops *ops, int fd, struct control_page *page); /* the status */

#endif
