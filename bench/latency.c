/* latency — how soon the pool reacts, against the bare system in the same run:
 * bench-latency FOLDER FIRST-BYTE
 *
 *   cancel    a running request is cancelled until its worker is free again,
 *             against a round trip over a socket pair to another process
 *   respawn   a worker's death until its replacement is READY,
 *             against posix_spawn until the first byte of a program
 *
 * Medians of 1,000, by turns; p99 printed. Fails above 4 and 5 times. */
#include "echo.h"
#include "host.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>

#define ROUNDS       1000
#define CANCEL_MOST  4.0
#define RESPAWN_MOST 5.0

extern char **environ;

static struct samples round_trips, cancels, first_bytes, respawns;

/* --- the bare system -------------------------------------------------------------------------- */

static int64_t spawn_to_first_byte(const char *program)
{
    int pair[2];
    pid_t pid;
    char byte;
    char *const arguments[] = { (char *)program, NULL };
    posix_spawn_file_actions_t actions;
    const int64_t began = bench_ns();
    BENCH_NEEDS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    fcntl(pair[0], F_SETFD, FD_CLOEXEC);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pair[1], 3);
    BENCH_NEEDS(posix_spawn(&pid, program, &actions, NULL, arguments, environ) == 0);
    close(pair[1]);
    BENCH_NEEDS(read(pair[0], &byte, 1) == 1);
    const int64_t took = bench_ns() - began;
    close(pair[0]);
    posix_spawn_file_actions_destroy(&actions);
    BENCH_NEEDS(waitpid(pid, NULL, 0) == pid);
    return took;
}

/* --- the pool --------------------------------------------------------------------------------- */

static void host_open(struct host *h, const char *folder, bool restarts)
{
    struct weir_error err;
    /* Deaths are what is measured: none opens the breaker, none delays the next start. */
    const struct weir_limit limits[] = {
        {"breaker_failures", 1000000},
        { "restart_max_ms",  1      }
    };
    const struct weir_options options = { .size = sizeof options,
                                          .worker = folder,
                                          .max_workers = 1,
                                          .min_workers = restarts ? 1 : 0,
                                          .limits = limits,
                                          .limits_count = 2,
                                          .on_event = host_on_event,
                                          .event_context = h };
    h->pool = weir_open(&options, &err);
    BENCH_NEEDS(h->pool != NULL);
    host_control(h, "{\"op\":\"register\",\"name\":\"m\",\"path\":"
                    "\"fake:text_embedding?script=yes&weights=0&context=0&scratch=0\"}");
}

static int worker_pid(struct host *h)
{
    const char *at = host_control(h, "{\"op\":\"status\"}");
    const char *found = NULL;
    while ((at = strstr(at, "\"pid\":")) != NULL) {
        at += strlen("\"pid\":");
        if (strstr(at, "\"state\":\"Ready\"") == strchr(at, ',') + 1)
            found = at;
    }
    BENCH_NEEDS(found != NULL);
    return (int)strtol(found, NULL, 10);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/* The worker is in the midst of a sleep that it would end in a minute. */
static int64_t cancel_once(struct host *h)
{
    char text[64];
    static unsigned number;
    snprintf(text, sizeof text, "!sleep %us", 60 + number++);
    const uint64_t id = host_embed(h, "m", text);
    for (int64_t until = bench_ns() + 2000000; bench_ns() < until;)
        host_step(h, 1);
    h->idle = false;
    const int64_t began = bench_ns();
    BENCH_NEEDS(weir_cancel(h->pool, id));
    host_wait(h, &h->idle);
    return bench_ns() - began;
}

static int64_t respawn_once(struct host *h)
{
    pause_ms(3);
    host_step(h, 0);
    const int pid = worker_pid(h);
    h->ready = false;
    const int64_t began = bench_ns();
    BENCH_NEEDS(kill(pid, SIGKILL) == 0);
    host_wait(h, &h->ready);
    return bench_ns() - began;
}

static void print(const char *what, struct samples *s)
{
    printf("%-34s median %7.1f us, p99 %8.1f us\n", what, samples_quantile(s, 0.5) / 1000,
           samples_quantile(s, 0.99) / 1000);
}

int main(int argc, char **argv)
{
    BENCH_NEEDS(argc == 3);
    const struct echo echo = echo_start();
    struct host cancelling = { 0 }, dying = { 0 };
    host_open(&cancelling, argv[1], false);
    host_embed(&cancelling, "m", "warm");
    host_wait(&cancelling, &cancelling.idle);
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned k = 0; k < 3;
             k++) { /* the first wakes a cold processor, as the pool's does */
            pause_ms(1);
            samples_add(&round_trips, echo_round_trip(&echo));
        }
        samples_add(&cancels, cancel_once(&cancelling));
    }
    weir_close(cancelling.pool);
    echo_stop(&echo);
    host_open(&dying, argv[1], true);
    host_wait(&dying, &dying.ready);
    for (unsigned i = 0; i < ROUNDS; i++) {
        samples_add(&first_bytes, spawn_to_first_byte(argv[2]));
        samples_add(&respawns, respawn_once(&dying));
    }
    weir_close(dying.pool);
    print("a round trip over a socket pair", &round_trips);
    print("cancel to worker free", &cancels);
    print("spawn to first byte", &first_bytes);
    print("death to replacement READY", &respawns);
    bool good = bench_ratio("cancel / round trip", samples_quantile(&cancels, 0.5),
                            samples_quantile(&round_trips, 0.5), CANCEL_MOST);
    good = bench_ratio("respawn / spawn", samples_quantile(&respawns, 0.5),
                       samples_quantile(&first_bytes, 0.5), RESPAWN_MOST) &&
           good;
    return good ? 0 : 1;
}
