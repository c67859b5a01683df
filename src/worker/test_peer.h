/* test_peer.h — the supervisor's end of a worker, for tests: frames by hand, each wait bounded. */
#ifndef WORKER_TEST_PEER_H
#define WORKER_TEST_PEER_H

#include "base/buffer.h"
#include "base/check.h"
#include "wire/control_page.h"
#include "wire/message.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEER_PATIENCE_MS 20000

struct peer {
    int fd, worker_fd, page_fd;
    struct control_page *page;
    struct buffer in;
    size_t offset;
};

static inline void peer_open(struct peer *p)
{
    int fds[2];
    FILE *file = tmpfile();
    CHECK(file != NULL && socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    *p = (struct peer){ .fd = fds[0], .worker_fd = fds[1], .page_fd = dup(fileno(file)) };
    CHECK(p->page_fd >= 0 && ftruncate(p->page_fd, CONTROL_PAGE_BYTES) == 0);
    fclose(file);
    p->page = mmap(NULL, CONTROL_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, p->page_fd, 0);
    CHECK(p->page != MAP_FAILED);
    buffer_init(&p->in, 256 * 1024 * 1024);
}

static inline void peer_close(struct peer *p)
{
    close(p->fd);
    if (p->worker_fd >= 0)
        close(p->worker_fd);
    close(p->page_fd);
    munmap(p->page, CONTROL_PAGE_BYTES);
    buffer_finish(&p->in);
}

static inline void peer_send(struct peer *p, enum frame_type type, uint64_t job,
                             const struct buffer *body, struct str payload)
{
    struct buffer out;
    buffer_init(&out, 256 * 1024 * 1024);
    frame_write(&out, type, job, body ? body->data : NULL, body ? body->len : 0);
    frame_write_parts(&out, job, payload.data, payload.len);
    CHECK(send(p->fd, out.data, out.len, MSG_NOSIGNAL) == (ssize_t)out.len);
    buffer_finish(&out);
}

/* As peer_send, without a payload; the body is finished. */
static inline void peer_tell(struct peer *p, enum frame_type type, uint64_t job,
                             struct buffer *body)
{
    peer_send(p, type, job, body, (struct str){ 0 });
    buffer_finish(body);
}

static inline void peer_run_with(struct peer *p, uint64_t job, const struct message_run *run,
                                 struct str payload)
{
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_run_write(&body, run);
    peer_send(p, FRAME_RUN, job, &body, payload);
    buffer_finish(&body);
}

static inline void peer_run(struct peer *p, uint64_t job, enum weir_capability capability,
                            enum weir_operation operation, struct str payload)
{
    peer_run_with(p, job,
                  &(struct message_run){ (uint8_t)capability, (uint8_t)operation,
                                         WIRE_CREDIT_EVENTS, WIRE_CREDIT_BYTES,
                                         (uint32_t)payload.len },
                  payload);
}

/* The next frame within `patience_ms`; 0: none came, -1: the worker closed or speaks no protocol.
 * The body is borrowed until the next call. */
static inline int peer_poll(struct peer *p, int patience_ms, struct frame *out)
{
    for (;;) {
        const int taken = frame_take(&p->in, &p->offset, out, NULL);
        if (taken != 0)
            return taken;
        buffer_drop(&p->in, p->offset);
        p->offset = 0;
        struct pollfd fd = { .fd = p->fd, .events = POLLIN };
        if (poll(&fd, 1, patience_ms) == 0)
            return 0;
        uint8_t *room = buffer_reserve(&p->in, 65536);
        CHECK(room != NULL);
        const ssize_t n = recv(p->fd, room, 65536, 0);
        if (n <= 0)
            return -1;
        p->in.len += (size_t)n;
    }
}

/* As peer_poll; what comes must be of that type. */
static inline void peer_expect(struct peer *p, enum frame_type type, struct frame *out)
{
    const int got = peer_poll(p, PEER_PATIENCE_MS, out);
    if (got != 1 || out->type != type)
        fprintf(stderr, "expected '%s', got %d '%s'\n", frame_name(type), got,
                got == 1 ? frame_name(out->type) : "");
    CHECK(got == 1 && out->type == type);
}

/* One whole output of the job, into `bytes`, which is cleared first. */
static inline struct message_output peer_output(struct peer *p, uint64_t job, struct buffer *bytes)
{
    struct frame f;
    struct message_output output;
    buffer_clear(bytes);
    peer_expect(p, FRAME_OUTPUT, &f);
    CHECK(f.job == job && message_output_read(&f, &output, NULL));
    while (bytes->len < output.payload_bytes) {
        peer_expect(p, FRAME_PART, &f);
        CHECK(f.job == job);
        buffer_append(bytes, f.body, f.length);
    }
    CHECK(bytes->len == output.payload_bytes);
    return output;
}

static inline struct message_end peer_end(struct peer *p, uint64_t job)
{
    struct frame f;
    struct message_end end;
    peer_expect(p, FRAME_END, &f);
    CHECK(f.job == job && message_end_read(&f, &end, NULL));
    return end;
}

#endif
