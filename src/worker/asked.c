#include "worker/asked.h"

#include "base/check.h"
#include "wire/build_id.h"
#include "wire/message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { RECEIVE_BYTES = 64 * 1024, IN_MAX = 256 * 1024 };

struct desk {
    const struct asked *asked;
    int fd;
    struct buffer in;
};

/* Blocks until all of it is written; false when the supervisor is gone. */
static bool send_frame(const struct desk *d, enum frame_type type, uint64_t job,
                       const struct buffer *body)
{
    struct buffer frame;
    buffer_init(&frame, FRAME_HEADER + FRAME_BODY_MAX);
    frame_write(&frame, type, job, body->data, body->len);
    CHECK(!body->failed && !frame.failed);
    size_t sent = 0;
    while (sent < frame.len) {
        const ssize_t n = send(d->fd, frame.data + sent, frame.len - sent, MSG_NOSIGNAL);
        if (n >= 0)
            sent += (size_t)n;
        else if (errno != EINTR)
            break;
    }
    const bool whole = sent == frame.len;
    buffer_finish(&frame);
    return whole;
}

static bool say_hello(const struct desk *d)
{
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_hello_write(&body, &(struct message_hello){ WIRE_VERSION, str_of(build_id) });
    const bool sent = send_frame(d, FRAME_HELLO, 0, &body);
    buffer_finish(&body);
    return sent;
}

static bool answer(const struct desk *d, const struct frame *f)
{
    const struct asked *a = d->asked;
    struct buffer body;
    struct weir_error err;
    buffer_init(&body, FRAME_BODY_MAX);
    bool sent = a->reply(a->context, f, &body, &err);
    if (sent)
        sent = send_frame(d, a->answer, f->job, &body);
    else
        fprintf(stderr, "%s: %s\n", a->name, err.text);
    buffer_finish(&body);
    return sent;
}

/* False when it is time to leave; *status says how. */
static bool answer_frames(struct desk *d, int *status)
{
    size_t offset = 0;
    struct frame f;
    struct weir_error err;
    int taken;
    while ((taken = frame_take(&d->in, &offset, &f, &err)) > 0) {
        if (f.type == FRAME_BYE)
            return false;
        *status = EXIT_FAILURE;
        if (f.type != d->asked->question) {
            fprintf(stderr, "%s: frame '%s' is not for who answers '%s'\n", d->asked->name,
                    frame_name(f.type), frame_name(d->asked->question));
            return false;
        }
        if (!answer(d, &f))
            return false;
        *status = EXIT_SUCCESS;
    }
    buffer_drop(&d->in, offset);
    if (taken < 0) {
        fprintf(stderr, "%s: %s\n", d->asked->name, err.text);
        *status = EXIT_FAILURE;
    }
    return taken == 0;
}

int asked_run(const struct asked *a, int fd)
{
    int status = EXIT_SUCCESS;
    struct desk d = { .asked = a, .fd = fd };
    buffer_init(&d.in, IN_MAX);
    bool more = say_hello(&d);
    while (more && answer_frames(&d, &status)) {
        uint8_t *room = buffer_reserve(&d.in, RECEIVE_BYTES);
        CHECK(room != NULL);
        const ssize_t n = recv(d.fd, room, RECEIVE_BYTES, 0);
        if (n > 0)
            d.in.len += (size_t)n;
        else
            more = n < 0 && errno == EINTR;
    }
    buffer_finish(&d.in);
    return status;
}
