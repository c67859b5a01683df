#include "tensor/team.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

/* One word says everything about the region, so that a late helper can never join the wrong one:
 *
 *     63            32  31     30      16 15        0
 *     +---------------+------+-----------+-----------+
 *     | region number | open |  threads  |  inside   |
 *     +---------------+------+-----------+-----------+
 *
 * The caller writes the plain fields fn, context and tasks while `inside` is 0 and `open` is clear,
 * then opens. A helper enters by a compare-and-swap that also proves the region to be the one it
 * looked at. The caller closes when the tasks have run out and waits for those inside only: a
 * helper that the system never scheduled delays nobody. */
#define GATE_OPEN      (UINT64_C(1) << 31)
#define GATE_INSIDE(g) ((uint32_t)(g)&0xffffu)
#define GATE_ALLOWS(g) ((uint32_t)((g) >> 16) & 0x7fffu)
#define GATE_REGION(g) ((uint32_t)((g) >> 32))

/* Two regions of a forward pass lie a few microseconds apart; to wake a sleeper takes fifty. */
#define SPIN_NS INT64_C(30000)

struct helper {
    struct team *team;
    pthread_t thread;
    pthread_cond_t wake;
    bool asleep; /* under the team's lock */
    uint32_t number;
};

/* The tasks from `first` up to `end` that nobody has taken: first in the low half, end in the high
 * one. Its owner takes from the front, so that what it touches lies in a row; who has nothing left
 * takes from the back. */
struct range {
    _Alignas(64) _Atomic uint64_t rest;
};

struct team {
    team_fn *fn;
    void *context;
    struct range *ranges; /* one a thread */
    uint32_t running;     /* threads of this region */
    uint32_t region;
    uint32_t threads;
    const _Atomic uint32_t *share;
    _Atomic uint64_t gate;
    _Atomic uint32_t sleepers;
    _Atomic bool full_share;
    _Atomic bool stop;
    _Atomic bool caller_asleep;
    pthread_mutex_t lock;
    pthread_cond_t all_out;
    struct helper *helpers;
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static bool take(struct range *r, bool from_back, uint32_t *task)
{
    uint64_t rest = atomic_load_explicit(&r->rest, memory_order_relaxed), less;
    do {
        const uint32_t first = (uint32_t)rest, end = (uint32_t)(rest >> 32);
        if (first >= end)
            return false;
        *task = from_back ? end - 1 : first;
        less = from_back ? rest - (UINT64_C(1) << 32) : rest + 1;
    } while (!atomic_compare_exchange_weak_explicit(&r->rest, &rest, less, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

static void work(struct team *t, uint32_t thread)
{
    uint32_t task;
    for (uint32_t i = 0; i < t->running; i++) {
        struct range *r = &t->ranges[(thread + i) % t->running];
        while (take(r, i > 0, &task))
            t->fn(t->context, task, thread);
    }
}

/* Enters the open region if it has a place for this helper. */
static bool enter(struct helper *h)
{
    struct team *t = h->team;
    uint64_t gate = atomic_load(&t->gate);
    while ((gate & GATE_OPEN) && h->number < GATE_ALLOWS(gate)) {
        if (atomic_compare_exchange_weak(&t->gate, &gate, gate + 1))
            return true;
    }
    return false;
}

static void leave(struct team *t)
{
    uint64_t before = atomic_fetch_sub(&t->gate, 1);
    if ((before & GATE_OPEN) || GATE_INSIDE(before) != 1 || !atomic_load(&t->caller_asleep))
        return;
    pthread_mutex_lock(&t->lock);
    pthread_cond_signal(&t->all_out);
    pthread_mutex_unlock(&t->lock);
}

/* True when the helper entered while it spun. */
static bool spin_to_enter(struct helper *h, uint32_t seen)
{
    struct team *t = h->team;
    int64_t end_ns = clock_ns() + SPIN_NS;
    do {
        for (int i = 0; i < 64; i++) {
            uint64_t gate = atomic_load_explicit(&t->gate, memory_order_relaxed);
            if (GATE_REGION(gate) != seen && enter(h))
                return true;
            relax();
        }
    } while (atomic_load_explicit(&t->full_share, memory_order_relaxed) && clock_ns() < end_ns);
    return false;
}

/* Sleeps until there is a region to enter (true) or the team ends (false). The helper counts itself
 * as a sleeper before it looks at the gate; the caller opens the gate before it counts sleepers. So
 * one of the two always sees the other. */
static bool sleep_to_enter(struct helper *h, uint32_t seen)
{
    struct team *t = h->team;
    bool entered = false;
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add(&t->sleepers, 1);
    h->asleep = true;
    while (!atomic_load(&t->stop)) {
        entered = GATE_REGION(atomic_load(&t->gate)) != seen && enter(h);
        if (entered)
            break;
        pthread_cond_wait(&h->wake, &t->lock);
    }
    h->asleep = false;
    atomic_fetch_sub(&t->sleepers, 1);
    pthread_mutex_unlock(&t->lock);
    return entered;
}

static void *helper_main(void *argument)
{
    struct helper *h = argument;
    struct team *t = h->team;
    uint32_t seen = 0;
    for (;;) {
        bool entered = false;
        if (atomic_load_explicit(&t->full_share, memory_order_relaxed))
            entered = spin_to_enter(h, seen);
        if (!entered && !sleep_to_enter(h, seen))
            return NULL;
        seen = GATE_REGION(atomic_load(&t->gate)); /* cannot move while this helper is inside */
        work(t, h->number);
        leave(t);
    }
}

static void wake_helpers(struct team *t, uint32_t threads)
{
    if (atomic_load(&t->sleepers) == 0)
        return;
    pthread_mutex_lock(&t->lock);
    for (uint32_t i = 1; i < threads; i++) {
        if (t->helpers[i].asleep)
            pthread_cond_signal(&t->helpers[i].wake);
    }
    pthread_mutex_unlock(&t->lock);
}

static void wait_all_out(struct team *t)
{
    int64_t end_ns = clock_ns() + SPIN_NS;
    while (GATE_INSIDE(atomic_load(&t->gate)) != 0) {
        relax();
        if (atomic_load_explicit(&t->full_share, memory_order_relaxed) && clock_ns() < end_ns)
            continue;
        pthread_mutex_lock(&t->lock);
        atomic_store(&t->caller_asleep, true);
        while (GATE_INSIDE(atomic_load(&t->gate)) != 0)
            pthread_cond_wait(&t->all_out, &t->lock);
        atomic_store(&t->caller_asleep, false);
        pthread_mutex_unlock(&t->lock);
    }
}

uint32_t team_threads(const struct team *t)
{
    return t->threads;
}

uint32_t team_share(const struct team *t)
{
    uint32_t share = t->share ? atomic_load_explicit(t->share, memory_order_relaxed) : 0;
    return share == 0 || share > t->threads ? t->threads : share;
}

void team_run(struct team *t, team_fn *fn, void *context, uint32_t tasks)
{
    uint32_t threads = team_share(t);
    atomic_store_explicit(&t->full_share, threads == t->threads && threads > 1,
                          memory_order_relaxed);
    if (threads > tasks)
        threads = tasks;
    if (threads < 2) {
        for (uint32_t task = 0; task < tasks; task++)
            fn(context, task, 0);
        return;
    }
    t->fn = fn;
    t->context = context;
    t->running = threads;
    for (uint64_t i = 0; i < threads; i++) {
        const uint64_t first = tasks * i / threads, end = tasks * (i + 1) / threads;
        atomic_store_explicit(&t->ranges[i].rest, end << 32 | first, memory_order_relaxed);
    }
    t->region++;
    atomic_store(&t->gate, (uint64_t)t->region << 32 | GATE_OPEN | (uint64_t)threads << 16);
    wake_helpers(t, threads);
    work(t, 0);
    atomic_fetch_and(&t->gate, ~GATE_OPEN);
    wait_all_out(t);
}

/* Signals belong to the thread that the program gives them to, never to a helper. */
static bool start_helper(struct helper *h)
{
    sigset_t all, before;
    sigfillset(&all);
    CHECK(pthread_cond_init(&h->wake, NULL) == 0);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&h->thread, NULL, helper_main, h) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!started)
        pthread_cond_destroy(&h->wake);
    return started;
}

struct team *team_create(uint32_t max_threads, const _Atomic uint32_t *share)
{
    if (max_threads == 0)
        max_threads = 1;
    if (max_threads > TEAM_THREADS_MAX)
        max_threads = TEAM_THREADS_MAX;
    struct team *t = mem_new(1, sizeof(*t));
    t->share = share;
    t->helpers = mem_new(max_threads, sizeof(*t->helpers));
    t->ranges = mem_try_aligned(max_threads * sizeof(*t->ranges), sizeof(*t->ranges));
    CHECK(t->ranges != NULL);
    CHECK(pthread_mutex_init(&t->lock, NULL) == 0);
    CHECK(pthread_cond_init(&t->all_out, NULL) == 0);
    uint32_t started = 1;
    for (; started < max_threads; started++) {
        struct helper *h = &t->helpers[started];
        h->team = t;
        h->number = started;
        if (!start_helper(h))
            break;
    }
    t->threads = started;
    return t;
}

void team_destroy(struct team *t)
{
    if (t == NULL)
        return;
    pthread_mutex_lock(&t->lock);
    atomic_store(&t->stop, true);
    for (uint32_t i = 1; i < t->threads; i++)
        pthread_cond_signal(&t->helpers[i].wake);
    pthread_mutex_unlock(&t->lock);
    for (uint32_t i = 1; i < t->threads; i++) {
        pthread_join(t->helpers[i].thread, NULL);
        pthread_cond_destroy(&t->helpers[i].wake);
    }
    pthread_cond_destroy(&t->all_out);
    pthread_mutex_destroy(&t->lock);
    mem_free(t->ranges);
    mem_free(t->helpers);
    mem_free(t);
}
