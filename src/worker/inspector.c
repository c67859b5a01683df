#include "worker/inspector.h"

#include "base/check.h"
#include "base/mem.h"
#include "wire/build_id.h"
#include "worker/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { RECEIVE_BYTES = 64 * 1024, IN_MAX = 256 * 1024 };

struct inspector {
    const struct worker_ops *ops;
    int fd;
    struct buffer in;
};

/* Blocks until all of it is written; false when the supervisor is gone. */
static bool send_frame(const struct inspector *i, enum frame_type type, uint64_t job,
                       const struct buffer *body)
{
    struct buffer frame;
    buffer_init(&frame, FRAME_HEADER + FRAME_BODY_MAX);
    frame_write(&frame, type, job, body->data, body->len);
    CHECK(!body->failed && !frame.failed);
    size_t sent = 0;
    while (sent < frame.len) {
        const ssize_t n = send(i->fd, frame.data + sent, frame.len - sent, MSG_NOSIGNAL);
        if (n >= 0)
            sent += (size_t)n;
        else if (errno != EINTR)
            break;
    }
    const bool whole = sent == frame.len;
    buffer_finish(&frame);
    return whole;
}

static bool say_hello(const struct inspector *i)
{
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_hello_write(&body, &(struct message_hello){ WIRE_VERSION, str_of(build_id) });
    const bool sent = send_frame(i, FRAME_HELLO, 0, &body);
    buffer_finish(&body);
    return sent;
}

static bool answer(const struct inspector *i, const struct frame *f)
{
    struct message_inspect question;
    struct message_inspected reply = { 0 };
    if (!message_inspect_read(f, &question, &reply.error)) {
        fprintf(stderr, "%s: %s\n", i->ops->name, reply.error.text);
        return false;
    }
    char *path = mem_copy_text(question.path.data, question.path.len);
    if (i->ops->inspect(path, question.context, &reply.plan, &reply.error) == WEIR_OK)
        reply.error = (struct weir_error){ .code = WEIR_OK, .index = -1 };
    mem_free(path);
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_inspected_write(&body, &reply);
    const bool sent = send_frame(i, FRAME_INSPECTED, f->job, &body);
    buffer_finish(&body);
    return sent;
}

/* False when it is time to leave; *status says how. */
static bool answer_frames(struct inspector *i, int *status)
{
    size_t offset = 0;
    struct frame f;
    struct weir_error err;
    int taken;
    while ((taken = frame_take(&i->in, &offset, &f, &err)) > 0) {
        if (f.type == FRAME_BYE)
            return false;
        *status = EXIT_FAILURE;
        if (f.type != FRAME_INSPECT) {
            fprintf(stderr, "%s: frame '%s' is not for an inspector\n", i->ops->name,
                    frame_name(f.type));
            return false;
        }
        if (!answer(i, &f))
            return false;
        *status = EXIT_SUCCESS;
    }
    buffer_drop(&i->in, offset);
    if (taken < 0) {
        fprintf(stderr, "%s: %s\n", i->ops->name, err.text);
        *status = EXIT_FAILURE;
    }
    return taken == 0;
}

int inspector_run(const struct worker_ops *ops, int fd)
{
    int status = EXIT_SUCCESS;
    struct inspector i = { .ops = ops, .fd = fd };
    buffer_init(&i.in, IN_MAX);
    bool more = say_hello(&i);
    while (more && answer_frames(&i, &status)) {
        uint8_t *room = buffer_reserve(&i.in, RECEIVE_BYTES);
        CHECK(room != NULL);
        const ssize_t n = recv(i.fd, room, RECEIVE_BYTES, 0);
        if (n > 0)
            i.in.len += (size_t)n;
        else
            more = n < 0 && errno == EINTR;
    }
    buffer_finish(&i.in);
    return status;
}
