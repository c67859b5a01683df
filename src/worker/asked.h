/* asked.h — the conversation of a worker that only answers: questions of one kind in, an answer to
 * each out, until `bye` or the end of the channel.
 *
 * It says hello first. Its question may be about hostile files, so it may crash: the supervisor
 * then knows on which, since it asks one at a time. A frame of another kind, or a question that
 * cannot be read, is a bug of the supervisor: it is said on stderr and ends the process. */
#ifndef WORKER_ASKED_H
#define WORKER_ASKED_H

#include "base/buffer.h"
#include "base/error.h"
#include "wire/frame.h"

#include <stdbool.h>

struct asked {
    const char *name; /* of the program, for what it says on stderr */
    enum frame_type question, answer;
    /* Writes the body of the answer; false with err when the question cannot be read. */
    bool (*reply)(void *context, const struct frame *question, struct buffer *body,
                  struct weir_error *err);
    void *context;
};

int asked_run(const struct asked *a, int fd); /* the exit status */

#endif
