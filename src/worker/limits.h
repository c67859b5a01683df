/* limits.h — a worker started with `--limits`: what this machine can do at most, as JSON on stdout.
 *
 * One line `{"cpu":"avx2","threads":2,"f32_gflops":…,"bf16_gflops":…,"read_gbs":…}` for the number
 * of threads that was asked for; without one, a line for one thread and a line for all cores. It
 * needs no channel and no supervisor: it is run by hand, by `weir bench` and by the benches. */
#ifndef WORKER_LIMITS_H
#define WORKER_LIMITS_H

/* The arguments behind --limits. Returns the exit status: 2 for wrong ones, said on stderr. */
int limits_run(const char *name, int argc, char **argv);

#endif
