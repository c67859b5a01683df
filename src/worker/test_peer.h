/* test_peer.h — the supervisor's end of a worker, for tests: frames by hand. */
#ifndef WORKER_TEST_PEER_H
#define WORKER_TEST_PEER_H

#include "base/buffer.h"
#include "base/check.h"
#include "wire/control_page.h"
#include "wire/message.h"
#include "wire/region.h"
#include "worker/control.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct peer {
    int fd, worker_fd, page_fd, requests_fd, replies_fd;
    struct control_page *page;
    struct region requests, replies;
    struct buffer in;
    size_t offset;
};

/* A view of its own of what the descriptor holds, as the worker has one. */
static inline void *peer_map(int fd, size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

static inline int peer_share(size_t bytes)
{
    FILE *file = tmpfile();
    CHECK(file != NULL);
    const int fd = dup(fileno(file));
    CHECK(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
    fclose(file);
    return fd;
}

static inline void peer_open(struct peer *p)
{
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    *p = (struct peer){ .fd = fds[0],
                        .worker_fd = fds[1],
                        .page_fd = peer_share(CONTROL_PAGE_BYTES),
                        .requests_fd = peer_share(REGION_BYTES),
                        .replies_fd = peer_share(REGION_BYTES) };
    p->page = peer_map(p->page_fd, CONTROL_PAGE_BYTES);
    region_init(&p->requests, peer_map(p->requests_fd, REGION_BYTES),
                &p->page->returned[CONTROL_REQUESTS]);
    region_init(&p->replies, peer_map(p->replies_fd, REGION_BYTES),
                &p->page->returned[CONTROL_REPLIES]);
    buffer_init(&p->in, 256 * 1024 * 1024);
}

static inline void peer_close(struct peer *p)
{
    close(p->fd);
    if (p->worker_fd >= 0)
        close(p->worker_fd);
    close(p->page_fd);
    close(p->requests_fd);
    close(p->replies_fd);
    munmap(p->page, CONTROL_PAGE_BYTES);
    munmap(p->requests.memory, REGION_BYTES);
    munmap(p->replies.memory, REGION_BYTES);
    buffer_finish(&p->in);
}

/* The worker's end, in this process or in one forked from it. */
static inline struct control *peer_control(struct peer *p)
{
    return control_create(p->worker_fd, p->page, p->requests.memory, p->replies.memory);
}

static inline void peer_send(struct peer *p, enum frame_type type, uint64_t job,
                             const struct buffer *body, struct str payload)
{
    struct buffer out;
    buffer_init(&out, 256 * 1024 * 1024);
    frame_write(&out, type, job, body ? body->data : NULL, body ? body->len : 0);
    for (size_t at = 0; at < payload.len;)
        at += region_write_part(&p->requests, &out, job, payload.data + at, payload.len - at);
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

#endif
