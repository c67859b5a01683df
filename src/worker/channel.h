/* channel.h — the worker's end of the socket to the supervisor: frames out, bytes in.
 *
 * Any thread writes; whole frames go out in the order in which the calls got the lock. Nothing here
 * blocks on the socket: what it does not take at once is kept in a bounded buffer that the reading
 * thread flushes. A compute thread that would fill the buffer further waits for room instead; the
 * reading thread never waits, its own few frames always fit. Frames that the peer need not have at
 * once may be held back for a moment, so that they leave with the next ones: each write that the
 * peer waits for wakes it. When the peer is gone, the process ends. */
#ifndef WORKER_CHANNEL_H
#define WORKER_CHANNEL_H

#include "base/buffer.h"
#include "wire/frame.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct channel {
    int fd;
    int wake[2];           /* a pipe that wakes the reading thread */
    pthread_mutex_t lock;  /* guards what follows and the order of writes */
    pthread_cond_t room;   /* `pending` shrank */
    struct buffer pending; /* written by us, not yet taken by the socket */
    bool is_held;          /* `pending` waits for company, not for the socket */
    int64_t held_until_ms;
    struct buffer in; /* the reading thread's own */
};

void channel_init(struct channel *c, int fd);
void channel_finish(struct channel *c); /* leaves the socket open */

/* Whole frames. `may_wait` is for compute threads; see above. */
void channel_write(struct channel *c, const struct buffer *frames, bool may_wait);
/* The same for frames that are in no hurry. They leave with the next that are written: a compute
 * thread writes some soon, what the reading thread holds leaves after CHANNEL_HOLD_MS at the
 * latest. Many are written at once. */
#define CHANNEL_HOLD_MS 10
void channel_hold(struct channel *c, const struct buffer *frames, bool may_wait);

/* For the reading thread: sleeps until there is something to read, to flush or a wake-up, flushes,
 * and appends what came to c->in. Ends the process when the peer is gone. */
void channel_turn(struct channel *c);
void channel_wake(struct channel *c); /* makes a channel_turn return */
bool channel_flushed(struct channel *c);

#endif
