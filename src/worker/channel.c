#include "worker/channel.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PENDING_HIGH = 1024 * 1024,    /* compute threads wait above this */
    PENDING_MAX = 4 * 1024 * 1024, /* nobody who never waits writes so much */
    HELD_MAX = 16 * 1024,          /* more is worth a write of its own */
    RECEIVE_BYTES = 128 * 1024,
    IN_MAX = 1024 * 1024
};

/* The supervisor is gone or wants us gone: at once, whatever other threads do. */
_Noreturn static void leave(void)
{
    _exit(EXIT_SUCCESS);
}

void channel_init(struct channel *c, int fd)
{
    *c = (struct channel){ .fd = fd };
    CHECK(pipe(c->wake) == 0);
    for (int i = 0; i < 2; i++) {
        CHECK(fcntl(c->wake[i], F_SETFL, O_NONBLOCK) == 0);
        CHECK(fcntl(c->wake[i], F_SETFD, FD_CLOEXEC) == 0);
    }
    CHECK(pthread_mutex_init(&c->lock, NULL) == 0);
    CHECK(pthread_cond_init(&c->room, NULL) == 0);
    buffer_init(&c->pending, PENDING_MAX);
    buffer_init(&c->in, IN_MAX);
}

void channel_finish(struct channel *c)
{
    close(c->wake[0]);
    close(c->wake[1]);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->room);
    buffer_finish(&c->pending);
    buffer_finish(&c->in);
}

/* How many of the bytes the socket takes now. */
static size_t send_some(struct channel *c, const uint8_t *data, size_t bytes)
{
    size_t sent = 0;
    while (sent < bytes) {
        const ssize_t n = send(c->fd, data + sent, bytes - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
            sent += (size_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            break;
        } else if (errno != EINTR) {
            leave();
        }
    }
    return sent;
}

/* Under the lock. What was held back goes first. */
static void send_pending(struct channel *c)
{
    buffer_drop(&c->pending, send_some(c, c->pending.data, c->pending.len));
    c->is_held = false;
}

static void wait_for_room(struct channel *c)
{
    while (c->pending.len > PENDING_HIGH)
        pthread_cond_wait(&c->room, &c->lock);
}

void channel_write(struct channel *c, const struct buffer *frames, bool may_wait)
{
    CHECK(!frames->failed);
    pthread_mutex_lock(&c->lock);
    if (may_wait)
        wait_for_room(c);
    size_t sent = 0;
    if (c->pending.len == 0)
        sent = send_some(c, frames->data, frames->len);
    if (sent < frames->len)
        buffer_append(&c->pending, frames->data + sent, frames->len - sent);
    CHECK(!c->pending.failed);
    if (c->is_held)
        send_pending(c);
    const bool left = c->pending.len > 0;
    pthread_mutex_unlock(&c->lock);
    if (left)
        channel_wake(c);
}

void channel_hold(struct channel *c, const struct buffer *frames, bool may_wait)
{
    pthread_mutex_lock(&c->lock);
    const bool holds = (c->is_held || c->pending.len == 0) && !frames->failed &&
                       c->pending.len + frames->len <= HELD_MAX;
    if (holds)
        buffer_append(&c->pending, frames->data, frames->len);
    CHECK(!c->pending.failed);
    if (holds && !c->is_held) {
        c->is_held = true;
        c->held_until_ms = clock_ms() + CHANNEL_HOLD_MS;
    }
    pthread_mutex_unlock(&c->lock);
    if (!holds)
        channel_write(c, frames, may_wait);
}

bool channel_flushed(struct channel *c)
{
    pthread_mutex_lock(&c->lock);
    const bool flushed = c->pending.len == 0;
    pthread_mutex_unlock(&c->lock);
    return flushed;
}

static void flush(struct channel *c)
{
    pthread_mutex_lock(&c->lock);
    send_pending(c);
    if (c->pending.len <= PENDING_HIGH)
        pthread_cond_broadcast(&c->room);
    pthread_mutex_unlock(&c->lock);
}

void channel_wake(struct channel *c)
{
    /* A full pipe wakes as well as one byte more would. */
    const ssize_t n = write(c->wake[1], "", 1);
    CHECK(n == 1 || errno == EAGAIN || errno == EINTR);
}

static void receive(struct channel *c)
{
    uint8_t *room = buffer_reserve(&c->in, RECEIVE_BYTES);
    CHECK(room != NULL);
    const ssize_t n = recv(c->fd, room, RECEIVE_BYTES, MSG_DONTWAIT);
    if (n > 0)
        c->in.len += (size_t)n;
    else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        leave();
}

/* What poll is to wait for, and how long. */
static int expect(struct channel *c, short *events)
{
    int wait_ms = -1;
    pthread_mutex_lock(&c->lock);
    if (c->is_held) {
        const int64_t left_ms = c->held_until_ms - clock_ms();
        wait_ms = left_ms > 0 ? (int)left_ms : 0;
    } else if (c->pending.len > 0) {
        *events |= POLLOUT;
    }
    pthread_mutex_unlock(&c->lock);
    return wait_ms;
}

void channel_turn(struct channel *c)
{
    struct pollfd fds[2] = {
        {.fd = c->fd,       .events = POLLIN},
        { .fd = c->wake[0], .events = POLLIN},
    };
    const int wait_ms = expect(c, &fds[0].events);
    if (wait_ms == 0)
        flush(c);
    if (poll(fds, ARRAY_COUNT(fds), wait_ms) < 0) {
        CHECK(errno == EINTR);
        return;
    }
    if (fds[1].revents) {
        char bytes[64];
        while (read(c->wake[0], bytes, sizeof(bytes)) > 0)
            continue;
    }
    if (fds[0].revents & POLLOUT)
        flush(c);
    if (fds[0].revents & ~POLLOUT)
        receive(c);
}
