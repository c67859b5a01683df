/* writes — the bare cost of an event: bench-writes SOCKETS BYTES EVENTS PAUSE_MS
 *
 * Writes EVENTS times BYTES bytes to each of SOCKETS loopback connections, one write an event,
 * while another process reads them all, with a pause after each round. Prints the processor time of
 * the writer, in microseconds a write.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOCKETS_MAX 2048

static int ends[SOCKETS_MAX];
static struct pollfd polls[SOCKETS_MAX];

static void read_all(unsigned port, unsigned count)
{
    static char data[1 << 16];
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (unsigned i = 0; i < count; i++) {
        polls[i] = (struct pollfd){ .fd = socket(AF_INET, SOCK_STREAM, 0), .events = POLLIN };
        BENCH_NEEDS(connect(polls[i].fd, (struct sockaddr *)&address, sizeof address) == 0);
    }
    for (unsigned open = count; open > 0;) {
        BENCH_NEEDS(poll(polls, count, 60000) > 0);
        for (unsigned i = 0; i < count; i++) {
            if (polls[i].fd < 0 || polls[i].revents == 0)
                continue;
            if (recv(polls[i].fd, data, sizeof data, 0) > 0)
                continue;
            close(polls[i].fd);
            polls[i].fd = -1;
            open--;
        }
    }
}

static double cpu_us(void)
{
    struct rusage u;
    BENCH_NEEDS(getrusage(RUSAGE_SELF, &u) == 0);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

int main(int argc, char **argv)
{
    BENCH_NEEDS(argc == 5);
    static char data[1 << 16];
    const unsigned count = bench_number(argv[1]), events = bench_number(argv[3]);
    const struct timespec pause = { .tv_nsec = bench_number(argv[4]) * 1000000L };
    const size_t bytes = bench_number(argv[2]);
    BENCH_NEEDS(count > 0 && count <= SOCKETS_MAX && bytes > 0 && bytes <= sizeof data);
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    BENCH_NEEDS(bind(listener, (struct sockaddr *)&address, length) == 0 &&
                listen(listener, SOCKETS_MAX) == 0 &&
                getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    const pid_t reader = fork();
    if (reader == 0) {
        read_all(ntohs(address.sin_port), count);
        _exit(0);
    }
    for (unsigned i = 0; i < count; i++)
        BENCH_NEEDS((ends[i] = accept(listener, NULL, NULL)) >= 0);
    const double before = cpu_us();
    for (unsigned e = 0; e < events; e++) {
        for (unsigned i = 0; i < count; i++)
            BENCH_NEEDS(send(ends[i], data, bytes, MSG_NOSIGNAL) == (ssize_t)bytes);
        nanosleep(&pause, NULL);
    }
    printf("%.3f\n", (cpu_us() - before) / ((double)events * count));
    for (unsigned i = 0; i < count; i++)
        close(ends[i]);
    BENCH_NEEDS(waitpid(reader, NULL, 0) == reader);
    return 0;
}
