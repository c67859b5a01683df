/* text_embedding.h — the capability text_embedding in a worker.
 *
 * All jobs that the worker holds are embedded together: each batch takes inputs from the jobs in
 * turn until the encoder's budget of tokens is full, so that a short request does not wait behind a
 * long one. A job's answer leaves when its last input is done. Cancels are seen between batches; an
 * error ends the job that caused it and no other. */
#ifndef WORKER_TEXT_EMBEDDING_H
#define WORKER_TEXT_EMBEDDING_H

#include "worker/control.h"

struct encoder;

/* Runs up to `slots` jobs together until it is time to leave. */
void text_embedding_serve(struct control *c, struct encoder *e, uint32_t slots);

#endif
