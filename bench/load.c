/* load — an HTTP client that costs little: bench-load PORT CONNECTIONS SECONDS PATH BODY-FILE
 *
 * Keeps one POST under way on each of its connections to 127.0.0.1 and prints
 * `REQUESTS_A_SECOND MEDIAN_US P99_US ERRORS`. With SECONDS 0 each connection makes one request and
 * reads its stream to the end; then it prints `EVENTS BYTES SECONDS ERRORS`, an event being a line
 * that begins with "data:". With SECONDS `Nx` all bodies are asked N times, each once a turn. Eight
 * '#' in a body become a number that is new in every request. Each line of the file is a body; they
 * are asked in turn. */
#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 2048
#define BODIES_MAX      4096
#define BODY_BYTES_MAX  (1 << 19)
#define HEAD_MAX        4096

struct connection {
    int64_t began;
    char head[HEAD_MAX];
    size_t head_bytes;
    long rest;    /* of the body; -1: the head is still coming */
    char tail[6]; /* the beginning of the line that is coming */
    size_t tail_bytes;
    bool ended;
};

static struct connection connections[CONNECTIONS_MAX];
static struct pollfd polls[CONNECTIONS_MAX];
static struct samples latencies;
static struct request {
    char *data;
    size_t bytes;
    char *number_at; /* in the request, or NULL */
} requests[BODIES_MAX];
static size_t requests_count;
static uint64_t sent, sent_most = UINT64_MAX, answers, errors, events, bytes_read;

/* `more` is put before the host's line: the end of a stream is the end of its connection. */
static void add_request(const char *path, const char *more, const char *body, size_t body_bytes)
{
    static char store[16 * BODY_BYTES_MAX];
    static size_t used;
    BENCH_NEEDS(requests_count < BODIES_MAX);
    struct request *r = &requests[requests_count++];
    const size_t room = sizeof store - used;
    r->data = store + used;
    const int head = snprintf(r->data, room,
                              "POST %s HTTP/1.1\r\n%sHost: localhost\r\nContent-Type: "
                              "application/json\r\nContent-Length: %zu\r\n\r\n",
                              path, more, body_bytes);
    BENCH_NEEDS(head > 0 && (size_t)head + body_bytes < room);
    memcpy(r->data + head, body, body_bytes);
    r->bytes = (size_t)head + body_bytes;
    r->data[r->bytes] = '\0';
    r->number_at = strstr(r->data, "########");
    used += r->bytes + 1;
}

static void read_requests(const char *path, const char *more, const char *file)
{
    static char line[BODY_BYTES_MAX];
    FILE *f = fopen(file, "rb");
    BENCH_NEEDS(f != NULL);
    while (fgets(line, sizeof line, f) != NULL) {
        const size_t bytes = strcspn(line, "\n");
        BENCH_NEEDS(bytes + 1 < sizeof line);
        add_request(path, more, line, bytes);
    }
    fclose(f);
    BENCH_NEEDS(requests_count > 0);
}

static int open_connection(unsigned port)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    BENCH_NEEDS(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static void send_request(struct connection *c, int fd)
{
    const struct request *r = &requests[sent % requests_count];
    if (r->number_at != NULL) {
        char digits[16];
        snprintf(digits, sizeof digits, "%08u", (unsigned)(sent % 100000000));
        memcpy(r->number_at, digits, 8);
    }
    sent++;
    c->began = bench_ns();
    c->head_bytes = 0;
    c->rest = -1;
    BENCH_NEEDS(send(fd, r->data, r->bytes, MSG_NOSIGNAL) == (ssize_t)r->bytes);
}

/* True when an answer is complete. */
static bool take_answer(struct connection *c, const char *data, size_t bytes)
{
    if (c->rest < 0) {
        BENCH_NEEDS(c->head_bytes + bytes < HEAD_MAX || c->head_bytes < HEAD_MAX);
        size_t room = HEAD_MAX - 1 - c->head_bytes, taken = bytes < room ? bytes : room;
        memcpy(c->head + c->head_bytes, data, taken);
        c->head_bytes += taken;
        c->head[c->head_bytes] = '\0';
        const char *end = strstr(c->head, "\r\n\r\n");
        if (end == NULL)
            return false;
        const char *length = strstr(c->head, "Content-Length: ");
        BENCH_NEEDS(length != NULL && length < end);
        errors += strncmp(c->head, "HTTP/1.1 200", 12) != 0;
        c->rest = strtol(length + 16, NULL, 10) - (long)(c->head + c->head_bytes - (end + 4)) -
                  (long)(bytes - taken);
    } else {
        c->rest -= (long)bytes;
    }
    return c->rest == 0;
}

static void take_stream(struct connection *c, const char *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (data[i] == '\n') {
            events += c->tail_bytes >= 5 && memcmp(c->tail, "data:", 5) == 0;
            c->tail_bytes = 0;
        } else if (c->tail_bytes < sizeof c->tail) {
            c->tail[c->tail_bytes++] = data[i];
        }
    }
}

static void on_readable(size_t at, bool streams)
{
    static char data[1 << 16];
    struct connection *c = &connections[at];
    const ssize_t got = recv(polls[at].fd, data, sizeof data, 0);
    if (got <= 0) {
        errors += !streams;
        c->ended = true;
        close(polls[at].fd);
        polls[at].fd = -1;
        return;
    }
    bytes_read += (uint64_t)got;
    if (streams) {
        take_stream(c, data, (size_t)got);
    } else if (take_answer(c, data, (size_t)got)) {
        answers++;
        if (latencies.count < SAMPLES_MAX)
            samples_add(&latencies, bench_ns() - c->began);
        if (sent < sent_most)
            send_request(c, polls[at].fd);
        else
            c->ended = true;
    }
}

int main(int argc, char **argv)
{
    BENCH_NEEDS(argc == 6);
    const unsigned port = bench_number(argv[1]), count = bench_number(argv[2]);
    char *unit;
    const double seconds = strtod(argv[3], &unit);
    const bool turns = strcmp(unit, "x") == 0, streams = !turns && seconds <= 0;
    BENCH_NEEDS(count > 0 && count <= CONNECTIONS_MAX && (turns || *unit == '\0'));
    read_requests(argv[4], streams ? "Connection: close\r\n" : "", argv[5]);
    if (turns) {
        sent_most = (uint64_t)seconds * requests_count;
        BENCH_NEEDS(sent_most >= count);
    }
    const int64_t began = bench_ns();
    for (unsigned i = 0; i < count; i++) {
        polls[i] = (struct pollfd){ .fd = open_connection(port), .events = POLLIN };
        send_request(&connections[i], polls[i].fd);
    }
    unsigned ended = 0;
    while (ended < count && (streams || turns || (double)(bench_ns() - began) < seconds * 1e9)) {
        BENCH_NEEDS(poll(polls, count, 120000) > 0);
        ended = 0;
        for (unsigned i = 0; i < count; i++) {
            if (polls[i].fd >= 0 && polls[i].revents != 0)
                on_readable(i, streams);
            ended += connections[i].ended;
        }
    }
    const double took = (double)(bench_ns() - began) / 1e9;
    if (streams)
        printf("%llu %llu %.3f %llu\n", (unsigned long long)events, (unsigned long long)bytes_read,
               took, (unsigned long long)errors);
    else
        printf("%.2f %.0f %.0f %llu\n", (double)answers / took,
               samples_quantile(&latencies, 0.5) / 1000, samples_quantile(&latencies, 0.99) / 1000,
               (unsigned long long)errors);
    return 0;
}
