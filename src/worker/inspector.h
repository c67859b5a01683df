/* inspector.h — a worker started with `--inspect`: paths in, plans out.
 *
 * It says hello, answers each `inspect` frame with one `inspected` frame that carries a plan or an
 * error, and leaves at `bye` or when the channel ends. It reads hostile files, so it may crash: the
 * supervisor then knows on which, since there is one question at a time. */
#ifndef WORKER_INSPECTOR_H
#define WORKER_INSPECTOR_H

struct worker_ops;

int inspector_run(const struct worker_ops *ops, int fd); /* the exit status */

#endif
