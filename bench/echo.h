/* echo.h — the bare system beside which a hop to a worker is measured: one byte to another process
 * over a socket pair, and back. */
#ifndef BENCH_ECHO_H
#define BENCH_ECHO_H

#include "bench.h"

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

struct echo {
    int fd;
    pid_t pid;
};

static inline struct echo echo_start(void)
{
    int pair[2];
    BENCH_NEEDS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    const pid_t pid = fork();
    if (pid == 0) {
        char byte;
        close(pair[0]);
        while (read(pair[1], &byte, 1) == 1 && write(pair[1], &byte, 1) == 1)
            continue;
        _exit(0);
    }
    BENCH_NEEDS(pid > 0);
    close(pair[1]);
    return (struct echo){ pair[0], pid };
}

static inline int64_t echo_round_trip(const struct echo *e)
{
    char byte = '!';
    const int64_t began = bench_ns();
    BENCH_NEEDS(write(e->fd, &byte, 1) == 1 && read(e->fd, &byte, 1) == 1);
    return bench_ns() - began;
}

static inline void echo_stop(const struct echo *e)
{
    close(e->fd);
    BENCH_NEEDS(waitpid(e->pid, NULL, 0) == e->pid);
}

#endif
