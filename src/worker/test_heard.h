/* test_heard.h — what a worker answers its peer of test_peer.h: each wait is bounded. */
#ifndef WORKER_TEST_HEARD_H
#define WORKER_TEST_HEARD_H

#include "worker/test_peer.h"

#include <poll.h>

#define PEER_PATIENCE_MS 20000

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

/* As peer_poll; what comes must be of that type. Acknowledgements come when it suits the worker, so
 * they are passed over by whoever does not ask for one. */
static inline void peer_expect(struct peer *p, enum frame_type type, struct frame *out)
{
    int got = peer_poll(p, PEER_PATIENCE_MS, out);
    while (got == 1 && type != FRAME_ACCEPTED && out->type == FRAME_ACCEPTED)
        got = peer_poll(p, PEER_PATIENCE_MS, out);
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
    struct message_part part;
    buffer_clear(bytes);
    peer_expect(p, FRAME_OUTPUT, &f);
    CHECK(f.job == job && message_output_read(&f, &output, NULL));
    while (bytes->len < output.payload_bytes) {
        peer_expect(p, FRAME_PART, &f);
        CHECK(f.job == job && region_part_read(&p->replies, &f, &part, NULL));
        buffer_append(bytes, part.data, part.bytes);
        region_return(&p->replies, &part);
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
