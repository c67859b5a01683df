/* team.h — the threads that compute.
 *
 * A team is its caller plus helpers that it started. team_run gives out numbered tasks until none
 * is left: to each thread a run of them in order, so that it finds in its cache what it asked for
 * ahead, and of what a slow one leaves the rest. It returns when all are done. How many threads may
 * take part is read at every region from one word that somebody else writes (the supervisor,
 * through the control page), so a worker gives cores back within one region. Helpers wait by
 * spinning for a few microseconds only while the team owns its full share; otherwise they sleep,
 * and a surplus helper is not even woken.
 *
 * A task must not depend on which thread runs it: the thread number is for scratch memory only.
 * One region at a time, always from the same thread; tasks do not call team_run. */
#ifndef TENSOR_TEAM_H
#define TENSOR_TEAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define TEAM_THREADS_MAX 1024

struct team;
typedef void team_fn(void *context, uint32_t task, uint32_t thread);

/* `share` (NULL: always all) holds how many threads may run, 0 for all. It must outlive the team.
 * Where the system refuses a thread the team is smaller, see team_threads. Never NULL. */
struct team *team_create(uint32_t max_threads, const _Atomic uint32_t *share);
void team_destroy(struct team *t); /* NULL is fine */

uint32_t team_threads(const struct team *t); /* at most so many, numbered from 0 (the caller) */
uint32_t team_share(const struct team *t);   /* what the next region would use */
void team_run(struct team *t, team_fn *fn, void *context, uint32_t tasks);

#endif
