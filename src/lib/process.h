/* process.h — one worker process as the operating system sees it: spawn, channel, page, death.
 *
 * The channel is a stream socket pair of whole frames; both directions are buffered here and
 * neither blocks. Death is seen through a pidfd; reaping is process_reap's alone. stderr is a pipe
 * whose last bytes are kept. Every descriptor is close-on-exec from birth. */
#ifndef LIB_PROCESS_H
#define LIB_PROCESS_H

#include "base/buffer.h"
#include "base/error.h"
#include "wire/control_page.h"
#include "wire/frame.h"
#include "wire/region.h"

#include <stdbool.h>
#include <stdint.h>

struct process {
    uint64_t key; /* its id, for a map */
    int64_t pid;  /* 0 once reaped */
    int pid_fd, socket, stderr_fd;
    struct control_page *page;       /* NULL for an inspector */
    struct region requests, replies; /* only a worker has them */
    uint32_t jobs;                   /* runs that have not ended, by the worker's word */
    int64_t busy_ms;                 /* when a job last came or ended */
    struct buffer in, out;
    size_t out_sent; /* of out, already written */
    bool wants_write, channel_closed, words_closed;
    char problem[120];  /* non-empty: the channel is lost, and why; reported once */
    int64_t problem_ms; /* when to report it: an end of file is mostly the first sign of an exit */
    bool problem_reported;
    struct buffer words; /* the end of its stderr, at most words_max */
    size_t words_max;
};

struct process_spec {
    const char *program;  /* path of the executable */
    const char *title;    /* argv[0] */
    const char *argument; /* argv[1] */
    bool with_page;
    bool with_regions; /* and a page, where their blocks come back */
    size_t words_max;  /* bytes of its stderr to keep */
};

/* Starts it in its own process group, with default signals, an empty environment but for what a
 * worker may know, fd 3 the channel, fd 4 the page, fds 5 and 6 the regions, nothing else open.
 * NULL and err on failure. */
struct process *process_start(uint32_t id, const struct process_spec *spec, struct weir_error *err);
/* Closes what is left and frees it; it must have been reaped. */
void process_free(struct process *p);

/* It and its group, also where it left that; harmless once it is gone, whoever reaped it. */
void process_kill(const struct process *p, bool hard);
/* True when it is gone, and what was left of its group with it: `status` says how in words. Never
 * blocks, unless `wait`. */
bool process_reap(struct process *p, bool wait, char status[64]);

/* Appends to the channel, large payloads to the region of requests; process_flush writes what goes.
 * A channel that fails or holds too much becomes a problem. */
void process_send(struct process *p, enum frame_type type, uint64_t job, struct str body,
                  struct str payload);
void process_flush(struct process *p);
/* A frame of the worker's. A part that names a block becomes one with the bytes, which lie there:
 * the worker may write them at any time, so they are to be copied once and `part` returned. False
 * and err: not our protocol. */
bool process_open(struct process *p, struct frame *f, struct message_part *part,
                  struct weir_error *err);
/* Gives the memory of the regions back when no job has been here for a while. */
void process_trim(struct process *p);
/* Of the worker's resident shared memory, what the regions are: the pool's, not the model's. */
size_t process_region_bytes(const struct process *p);
size_t process_read(struct process *p); /* what is there, into p->in; bounded for each call */
/* What is there on its stderr, bounded for each call; true when there may be more. At its end
 * words_closed is set, and the descriptor is the caller's to forget. */
bool process_hear(struct process *p);

#endif
