/* test_fake.h — a fake worker and its supervisor's end, for tests: requests by hand. */
#ifndef WORKER_FAKE_TEST_FAKE_H
#define WORKER_FAKE_TEST_FAKE_H

#include "base/arena.h"
#include "wire/text_embedding.h"
#include "wire/text_to_text.h"
#include "worker/fake/fake.h"
#include "worker/test_heard.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>

/* A real worker process, forked from the test instead of started from its file. */
struct fixture {
    struct peer peer;
    pid_t pid;
    struct buffer bytes;
    struct arena arena;
};

static inline void start(struct fixture *t, const char *argument)
{
    peer_open(&t->peer);
    buffer_init(&t->bytes, 1 << 24);
    arena_init(&t->arena, 1 << 24);
    t->pid = fork();
    CHECK(t->pid >= 0);
    if (t->pid == 0) {
        char title[] = "weir:test", argument_copy[512];
        snprintf(argument_copy, sizeof(argument_copy), "%s", argument);
        char *argv[] = { title, argument_copy, NULL };
        /* Lifted first: each of them may lie where another is to be. */
        const int lifted[] = { dup2(t->peer.worker_fd, 20), dup2(t->peer.page_fd, 21),
                               dup2(t->peer.requests_fd, 22), dup2(t->peer.replies_fd, 23) };
        for (int i = 0; i < 4; i++)
            dup2(lifted[i], WORKER_CHANNEL_FD + i);
        for (int fd = WORKER_REPLIES_FD + 1; fd < 32; fd++)
            close(fd);
        CHECK(freopen("/dev/null", "w", stderr) != NULL);
        _exit(worker_main(&fake_ops, 2, argv));
    }
    close(t->peer.worker_fd);
    t->peer.worker_fd = -1;
}

/* Closes the channel unless the worker has left; its wait status. */
static inline int stop(struct fixture *t)
{
    int status;
    struct frame f;
    shutdown(t->peer.fd, SHUT_WR);
    while (peer_poll(&t->peer, PEER_PATIENCE_MS, &f) == 1)
        continue;
    CHECK(waitpid(t->pid, &status, 0) == t->pid);
    peer_close(&t->peer);
    buffer_finish(&t->bytes);
    arena_finish(&t->arena);
    return status;
}

/* Waits for a death of its own; the signal, or 0. */
static inline int died_of(struct fixture *t)
{
    struct frame f;
    while (peer_poll(&t->peer, PEER_PATIENCE_MS, &f) == 1)
        continue;
    const int status = stop(t);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static inline void send_load(struct peer *p, uint32_t slots, uint32_t attempt)
{
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_load_write(&body,
                       &(struct message_load){ .slots = slots, .threads = 2, .attempt = attempt });
    peer_tell(p, FRAME_LOAD, 0, &body);
}

static inline void send_credit(struct peer *p, uint64_t job, uint32_t events, uint32_t bytes)
{
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_credit_write(&body, &(struct message_credit){ events, bytes });
    peer_tell(p, FRAME_CREDIT, job, &body);
}

static inline void ready(struct fixture *t, const char *spec, uint32_t slots)
{
    struct frame f;
    start(t, spec);
    peer_expect(&t->peer, FRAME_HELLO, &f);
    peer_expect(&t->peer, FRAME_PLAN, &f);
    send_load(&t->peer, slots, 1);
    peer_expect(&t->peer, FRAME_LOADED, &f);
}

static inline void embed(struct fixture *t, uint64_t job, const char *text, uint32_t dimensions)
{
    const struct wire_input input = { WIRE_TEXT, str_of(text) };
    struct buffer payload;
    struct frame f;
    buffer_init(&payload, 10000);
    struct text_embedding_request r = { .dimensions = dimensions, .inputs = &input, .count = 1 };
    text_embedding_request_write(&payload, &r);
    peer_run(&t->peer, job, WEIR_TEXT_EMBEDDING, WEIR_EMBED, buffer_view(&payload));
    peer_expect(&t->peer, FRAME_ACCEPTED, &f);
    buffer_finish(&payload);
}

static inline struct text_embedding_reply embedded(struct fixture *t, uint64_t job)
{
    struct text_embedding_reply reply;
    CHECK(!peer_output(&t->peer, job, &t->bytes).streamed);
    CHECK(text_embedding_reply_read(buffer_view(&t->bytes), &t->arena, &reply, NULL));
    CHECK(peer_end(&t->peer, job).error.code == WEIR_OK);
    return reply;
}

static inline void ask_text(struct fixture *t, uint64_t job, bool describes,
                            const struct generate_request *r)
{
    struct buffer payload;
    struct frame f;
    buffer_init(&payload, 10000);
    generate_request_write(&payload, r);
    peer_run(&t->peer, job, describes ? WEIR_VISION : WEIR_TEXT_TO_TEXT,
             describes ? WEIR_DESCRIBE : WEIR_GENERATE, buffer_view(&payload));
    peer_expect(&t->peer, FRAME_ACCEPTED, &f);
    buffer_finish(&payload);
}

static inline void generate(struct fixture *t, uint64_t job, const char *text)
{
    ask_text(t, job, false,
             &(struct generate_request){
                 .prompt = {WIRE_TEXT, str_of(text)}
    });
}

static inline void expect_word(struct fixture *t, uint64_t job, const char *word)
{
    CHECK(peer_output(&t->peer, job, &t->bytes).streamed);
    CHECK(str_eq(buffer_view(&t->bytes), str_of(word)));
}

#endif
