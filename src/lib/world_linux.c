/* world.h made true: processes, clock and memory of this machine. One epoll descriptor carries all.
 */
#define _GNU_SOURCE
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/worker_path.h"
#include "lib/machine.h"
#include "lib/pool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 64
/* Rounds of reading what a process left behind: more than a socket or a pipe holds, and an end to
 * it where something that it left behind goes on writing. */
#define LAST_ROUNDS    16

/* What an epoll event is about: the upper half of its data; the lower is a process id. */
enum source { SOURCE_TIMER, SOURCE_WAKE, SOURCE_CHANNEL, SOURCE_WORDS, SOURCE_DEATH };

static bool watch(struct weir *w, int fd, enum source source, uint32_t id, uint32_t events, int how)
{
    struct epoll_event e = { .events = events, .data.u64 = (uint64_t)source << 32 | id };
    return epoll_ctl(w->epoll, how, fd, &e) == 0;
}

/* Said aloud: closing is not enough where a child of the host has copies of our descriptors, and
 * one that is ready for ever would keep weir_fd readable for ever. */
static void forget(struct weir *w, int fd)
{
    epoll_ctl(w->epoll, EPOLL_CTL_DEL, fd, NULL);
}

static void forget_process(struct weir *w, struct process *p)
{
    forget(w, p->socket);
    forget(w, p->stderr_fd);
    forget(w, p->pid_fd);
    map_remove(&w->processes, map_id(&p->key));
    process_free(p);
}

static struct process *find(struct weir *w, uint32_t id)
{
    uint64_t key = id;
    return map_get(&w->processes, map_id(&key));
}

/* Asks for writability only while something waits to be written. A closed channel is not watched:
 * it would be ready for ever. */
static void rewatch(struct weir *w, struct process *p)
{
    uint32_t id = (uint32_t)p->key;
    if (p->channel_closed)
        forget(w, p->socket);
    else
        watch(w, p->socket, SOURCE_CHANNEL, id, EPOLLIN | (p->wants_write ? EPOLLOUT : 0u),
              EPOLL_CTL_MOD);
    if (p->problem[0] != '\0' && !p->problem_reported)
        world_wake(w); /* so that the next step arms for it */
}

/* While the socket is full it is epoll that says when to go on. */
static void flush(struct weir *w, struct process *p)
{
    if (p->wants_write && !p->channel_closed)
        return;
    process_flush(p);
    if (p->wants_write || p->channel_closed)
        rewatch(w, p);
}

static enum weir_code on_spawn(void *context, enum spawn_kind kind, uint32_t id,
                               const struct spawn_spec *spec, struct weir_error *err)
{
    static const char *const files[] = {
#define X(NAME, file) file,
        WORKER_PROGRAMS(X)
#undef X
    };
    static const char *const orders[] = {
        [SPAWN_WORK] = NULL, [SPAWN_INSPECT] = "--inspect", [SPAWN_PREPARE] = "--prepare"
    };
    struct weir *w = context;
    char *program = worker_path(w->worker_folder, files[spec->program], err);
    if (program == NULL)
        return WEIR_LOAD_FAILED;
    struct process_spec ps = { .program = program,
                               .title = spec->title,
                               .argument = orders[kind] != NULL ? orders[kind] : spec->path,
                               .with_page = kind != SPAWN_INSPECT,
                               .with_regions = kind == SPAWN_WORK,
                               .words_max = w->words_max };
    struct process *p = process_start(id, &ps, err);
    mem_free(program);
    if (p == NULL)
        return WEIR_LOAD_FAILED;
    map_put(&w->processes, map_id(&p->key), p);
    bool ok = watch(w, p->socket, SOURCE_CHANNEL, id, EPOLLIN, EPOLL_CTL_ADD) &&
              watch(w, p->stderr_fd, SOURCE_WORDS, id, EPOLLIN, EPOLL_CTL_ADD) &&
              watch(w, p->pid_fd, SOURCE_DEATH, id, EPOLLIN, EPOLL_CTL_ADD);
    if (!ok) {
        char status[64];
        weir_fail_os(err, WEIR_LOAD_FAILED, errno, "cannot watch a new worker");
        process_kill(p, true);
        process_reap(p, true, status);
        forget_process(w, p);
        return WEIR_LOAD_FAILED;
    }
    return WEIR_OK;
}

static void on_send(void *context, uint32_t id, enum frame_type type, uint64_t job, struct str body,
                    struct str payload)
{
    struct weir *w = context;
    struct process *p = find(w, id);
    if (p == NULL || p->channel_closed)
        return;
    process_send(p, type, job, body, payload);
    w->has_unsent = true;
    if (!w->stepping)
        world_flush(w);
}

void world_flush(struct weir *w)
{
    size_t cursor = 0;
    if (!w->has_unsent)
        return;
    w->has_unsent = false;
    for (struct process *p; (p = map_next(&w->processes, &cursor)) != NULL;)
        if (p->out.len > 0 || p->out.failed)
            flush(w, p);
}

static void on_kill(void *context, uint32_t id, enum world_signal signal)
{
    struct process *p = find(context, id);
    if (p != NULL)
        process_kill(p, signal == WORLD_KILL);
}

static void on_share(void *context, uint32_t id, uint32_t threads)
{
    struct process *p = find(context, id);
    if (p != NULL && p->page != NULL)
        control_page_share(p->page, threads);
}

static uint64_t on_ticks(void *context, uint32_t id)
{
    struct process *p = find(context, id);
    return p != NULL && p->page != NULL ? control_page_ticks(p->page) : 0;
}

/* Sanitizers multiply what a process uses: its figure says nothing of the model there. */
static uint64_t private_bytes(const struct process *p)
{
#ifdef WEIR_SANITIZED
    (void)p;
    return 0;
#else
    if (p == NULL || p->pid == 0)
        return 0;
    return machine_private_bytes(p->pid, process_region_bytes(p));
#endif
}

static void on_memory(void *context, struct memory_facts *facts)
{
    struct weir *w = context;
    struct machine_memory m = machine_memory(machine_root());
    facts->total_bytes = m.total_bytes;
    facts->available_bytes = m.available_bytes;
    for (size_t i = 0; i < facts->children_count; i++) {
        struct child_memory *row = &facts->children[i];
        struct process *p = find(w, row->id);
        if (p != NULL)
            process_trim(p);
        row->private_bytes = private_bytes(p);
        row->major_faults = p != NULL && p->pid > 0 ? machine_major_faults(p->pid) : 0;
    }
}

static int64_t on_pid(void *context, uint32_t id)
{
    struct process *p = find(context, id);
    return p != NULL ? p->pid : 0;
}

void world_init(struct weir *w)
{
    w->world = (struct world){ .context = w,
                               .spawn = on_spawn,
                               .send = on_send,
                               .kill = on_kill,
                               .share = on_share,
                               .ticks = on_ticks,
                               .memory = on_memory,
                               .pid = on_pid };
    w->epoll = w->timer = w->wake = -1;
    map_init(&w->processes);
}

enum weir_code world_open(struct weir *w, struct weir_error *err)
{
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->epoll < 0 || w->timer < 0 || w->wake < 0 ||
        !watch(w, w->timer, SOURCE_TIMER, 0, EPOLLIN, EPOLL_CTL_ADD) ||
        !watch(w, w->wake, SOURCE_WAKE, 0, EPOLLIN, EPOLL_CTL_ADD))
        return weir_fail_os(err, WEIR_INTERNAL, errno, "cannot open the pool's event descriptors");
    return WEIR_OK;
}

void world_close(struct weir *w)
{
    int fds[] = { w->epoll, w->timer, w->wake };
    for (size_t i = 0; i < ARRAY_COUNT(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    CHECK(w->processes.count == 0);
    map_finish(&w->processes);
}

void world_wake(struct weir *w)
{
    uint64_t one = 1;
    if (w->awake || w->turn_ahead)
        return;
    w->awake = true;
    ssize_t n = write(w->wake, &one, sizeof one);
    CHECK(n == (ssize_t)sizeof one);
}

void world_arm(struct weir *w, int64_t next_ms)
{
    size_t cursor = 0;
    for (const struct process *p; (p = map_next(&w->processes, &cursor)) != NULL;)
        if (p->problem[0] != '\0' && !p->problem_reported && p->problem_ms < next_ms)
            next_ms = p->problem_ms;
    /* Armed too early will do: most wake-ups are put off again and again before they come. But who
     * has nothing to do sleeps through. */
    if (next_ms == w->timer_ms || (w->timer_ms < next_ms && next_ms != INT64_MAX))
        return;
    w->timer_ms = next_ms;
    struct itimerspec spec = { 0 }; /* all zero disarms */
    if (next_ms != INT64_MAX) {
        spec.it_value.tv_sec = (time_t)(next_ms / 1000);
        spec.it_value.tv_nsec = (long)(next_ms % 1000) * 1000000;
        if (spec.it_value.tv_sec == 0 && spec.it_value.tv_nsec == 0)
            spec.it_value.tv_nsec = 1;
    }
    timerfd_settime(w->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void report_problem(struct weir *w, struct process *p)
{
    if (p->problem[0] == '\0' || p->problem_reported || clock_ms() < p->problem_ms)
        return;
    p->problem_reported = true;
    supervisor_on_lost(w->supervisor, (uint32_t)p->key, p->problem);
}

/* Whole frames to the supervisor. What comes after a frame that is not ours is not read any more.
 */
static void hand_over_frames(struct weir *w, struct process *p)
{
    size_t offset = 0;
    struct frame f;
    struct message_part part;
    struct weir_error err;
    int got;
    while ((got = frame_take(&p->in, &offset, &f, &err)) == 1) {
        if (!process_open(p, &f, &part, &err)) {
            got = -1;
            break;
        }
        supervisor_on_frame(w->supervisor, (uint32_t)p->key, &f);
        region_return(&p->replies, &part);
    }
    buffer_drop(&p->in, offset);
    if (got < 0 && p->problem[0] == '\0') {
        snprintf(p->problem, sizeof p->problem, "%.110s", err.text);
        p->channel_closed = true;
    }
}

static void on_channel(struct weir *w, struct process *p, uint32_t events)
{
    bool wanted = p->wants_write;
    if ((events & EPOLLOUT) != 0)
        process_flush(p);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        process_read(p);
        hand_over_frames(w, p);
    }
    if (p->channel_closed || p->wants_write != wanted)
        rewatch(w, p);
    report_problem(w, p);
}

static void on_death(struct weir *w, struct process *p)
{
    char status[64];
    if (!process_reap(p, false, status))
        return;
    /* What it said before it went is still in the socket. */
    for (int i = 0; i < LAST_ROUNDS && process_read(p) > 0; i++)
        hand_over_frames(w, p);
    for (int i = 0; i < LAST_ROUNDS && process_hear(p); i++)
        continue;
    buffer_u8(&p->words, 0);
    supervisor_on_exit(w->supervisor, (uint32_t)p->key, status, (const char *)p->words.data);
    forget_process(w, p);
}

static void on_event(struct weir *w, const struct epoll_event *e)
{
    enum source source = (enum source)(e->data.u64 >> 32);
    uint64_t count;
    if (source == SOURCE_TIMER || source == SOURCE_WAKE) {
        ssize_t n = read(source == SOURCE_TIMER ? w->timer : w->wake, &count, sizeof count);
        (void)n; /* EAGAIN: it was read in an earlier batch */
        if (source == SOURCE_WAKE)
            w->awake = false;
        else
            w->timer_ms = INT64_MAX;
        return;
    }
    /* An earlier event of this batch may have ended the process. */
    struct process *p = find(w, (uint32_t)e->data.u64);
    if (p == NULL)
        return;
    if (source == SOURCE_CHANNEL) {
        on_channel(w, p, e->events);
    } else if (source == SOURCE_DEATH) {
        on_death(w, p);
    } else {
        process_hear(p);
        if (p->words_closed)
            forget(w, p->stderr_fd);
    }
}

enum weir_code world_wait(struct weir *w, int timeout_ms, struct weir_error *err)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int n = epoll_wait(w->epoll, events, EVENTS_AT_ONCE, timeout_ms);
    if (n < 0 && errno != EINTR)
        return weir_fail_os(err, WEIR_INTERNAL, errno, "cannot wait on the pool's descriptor %d",
                            w->epoll);
    supervisor_clock(w->supervisor, clock_ms());
    for (int i = 0; i < n; i++)
        on_event(w, &events[i]);
    world_flush(w);
    size_t cursor = 0;
    for (struct process *p; (p = map_next(&w->processes, &cursor)) != NULL;)
        report_problem(w, p);
    return WEIR_OK;
}

void world_kill_all(struct weir *w)
{
    size_t cursor = 0;
    for (struct process *p; (p = map_next(&w->processes, &cursor)) != NULL;)
        process_kill(p, true);
}
