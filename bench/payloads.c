/* payloads — what a payload costs from one process to another, inline and through a region.
 *
 * The frames are the wire's own: the writer makes them, the reader takes them, copies the bytes
 * together and answers with one small frame. Both ways take turns, so that both see the same
 * machine. Fails where a large payload costs more through the region than inline, or a small one
 * 1.1 times as much. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "bench.h"

#include "base/buffer.h"
#include "wire/region.h"

#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES_MAX (REGION_BLOCKS * REGION_BLOCK_BYTES)
#define READ_ONCE ((size_t)128 * 1024)

enum { WAYS = 2 };

/* One way to send: a socket pair, and the region beside it. */
struct way {
    int ours, theirs;
    struct region region; /* each process has its own copy of this */
    struct buffer frames;
};

static void open_way(struct way *w, bool with_region)
{
    int fds[2];
    BENCH_NEEDS(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    *w = (struct way){ .ours = fds[0], .theirs = fds[1] };
    buffer_init(&w->frames, 2 * BYTES_MAX);
    if (!with_region)
        return;
    const size_t bytes = REGION_BYTES + sizeof(_Atomic uint64_t);
    uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    BENCH_NEEDS(memory != MAP_FAILED);
    region_init(&w->region, memory, (_Atomic uint64_t *)(void *)(memory + REGION_BYTES));
}

static void send_all(int fd, const struct buffer *b)
{
    for (size_t at = 0; at < b->len;) {
        const ssize_t n = send(fd, b->data + at, b->len - at, MSG_NOSIGNAL);
        BENCH_NEEDS(n > 0);
        at += (size_t)n;
    }
}

/* What came one way and is not done with yet. */
struct reading {
    struct buffer in, payload;
};

/* Copies every payload together; a `ping` in between asks for an answer. False at the end. */
static bool read_some(struct way *w, struct reading *r, const struct buffer *answer)
{
    const ssize_t n = recv(w->theirs, buffer_reserve(&r->in, READ_ONCE), READ_ONCE, 0);
    size_t offset = 0;
    struct frame f;
    if (n <= 0)
        return false;
    r->in.len += (size_t)n;
    while (frame_take(&r->in, &offset, &f, NULL) == 1) {
        struct message_part part;
        if (f.type == FRAME_PART) {
            BENCH_NEEDS(region_part_read(&w->region, &f, &part, NULL));
            buffer_append(&r->payload, part.data, part.bytes);
            region_return(&w->region, &part);
        } else {
            BENCH_NEEDS(r->payload.len == f.job);
            buffer_clear(&r->payload);
            send_all(w->theirs, answer);
        }
    }
    buffer_drop(&r->in, offset);
    return true;
}

/* One process for both ways: two would be placed on this processor and on another, and that is
 * worth more than what is measured. */
_Noreturn static void read_payloads(struct way ways[WAYS])
{
    struct reading readings[WAYS];
    struct pollfd waits[WAYS];
    struct buffer answer;
    buffer_init(&answer, FRAME_HEADER);
    frame_write(&answer, FRAME_PONG, 0, NULL, 0);
    for (int i = 0; i < WAYS; i++) {
        buffer_init(&readings[i].in, 4 * BYTES_MAX);
        buffer_init(&readings[i].payload, BYTES_MAX);
        waits[i] = (struct pollfd){ .fd = ways[i].theirs, .events = POLLIN };
    }
    for (;;) {
        BENCH_NEEDS(poll(waits, WAYS, -1) > 0);
        for (int i = 0; i < WAYS; i++) {
            if (waits[i].revents != 0 && !read_some(&ways[i], &readings[i], &answer))
                _exit(0);
        }
    }
}

static int64_t one_payload(struct way *w, const uint8_t *data, size_t bytes)
{
    uint8_t answer[FRAME_HEADER];
    const int64_t began = bench_ns();
    buffer_clear(&w->frames);
    for (size_t at = 0; at < bytes;)
        at += region_write_part(&w->region, &w->frames, 1, data + at, bytes - at);
    frame_write(&w->frames, FRAME_PING, bytes, NULL, 0);
    send_all(w->ours, &w->frames);
    BENCH_NEEDS(recv(w->ours, answer, sizeof answer, MSG_WAITALL) == (ssize_t)sizeof answer);
    return bench_ns() - began;
}

static bool compare(struct way *ways, const uint8_t *data, size_t bytes, unsigned rounds)
{
    static struct samples took[WAYS];
    took[0].count = took[1].count = 0;
    for (unsigned i = 0; i < rounds + rounds / 10; i++) {
        for (int way = 0; way < WAYS; way++) {
            const int64_t ns = one_payload(&ways[way], data, bytes);
            if (i >= rounds / 10)
                samples_add(&took[way], ns);
        }
    }
    const double in_line = samples_quantile(&took[0], 0.5);
    const double region = samples_quantile(&took[1], 0.5);
    char what[64];
    printf("%7zu bytes: inline %8.1f us, region %8.1f us\n", bytes, in_line / 1e3, region / 1e3);
    snprintf(what, sizeof what, "payload of %zu bytes", bytes);
    return bench_ratio(what, region, in_line, bytes >= REGION_BLOCK_BYTES ? 1.0 : 1.1);
}

int main(void)
{
    static const size_t sizes[] = { 256,     4096,     REGION_PART_LEAST, REGION_BLOCK_BYTES,
                                    1 << 20, BYTES_MAX };
    static uint8_t data[BYTES_MAX];
    struct way ways[WAYS];
    bool good = true;
    memset(data, 7, sizeof data);
    for (int i = 0; i < WAYS; i++)
        open_way(&ways[i], i == 1);
    const pid_t reader = fork();
    BENCH_NEEDS(reader >= 0);
    for (int i = 0; i < WAYS; i++)
        close(reader == 0 ? ways[i].ours : ways[i].theirs);
    if (reader == 0)
        read_payloads(ways);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        good = compare(ways, data, sizes[i], sizes[i] > 100000 ? 500 : 3000) && good;
    for (int i = 0; i < WAYS; i++)
        close(ways[i].ours);
    BENCH_NEEDS(waitpid(reader, NULL, 0) == reader);
    return good ? 0 : 1;
}
