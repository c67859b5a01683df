/* loop.c — libweir inside a program that has a loop, children and a SIGCHLD handler of its own.
 *
 *     cc loop.c $(pkg-config --cflags --libs weir) -o loop
 *     ./loop MODEL TEXT-MODEL "prompt"
 *     ./loop fake:text_embedding 'fake:text_to_text?step=1ms' "one two three"
 *
 * The host waits in one poll() for four things: the pool, its signals, what its own child writes,
 * and room on its standard output. Meanwhile it embeds two texts, streams the answer to a prompt to
 * standard output, and begins a request that it cancels when its child has ended. A report goes to
 * standard error.
 *
 *   ┌ poll ─────────────────────────────────────────────────────────────────────┐
 *   │ weir_fd readable     weir_step(w, 0): callbacks run in here               │
 *   │ signal pipe readable waitpid() for the child that is ours, by its pid     │
 *   │ child's pipe         read()                                               │
 *   │ stdout writable      write() from the outbox, then weir_credit()          │
 *   └───────────────────────────────────────────────────────────────────────────┘ */
#include <weir/weir.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Without credit a worker is at most 64 KiB ahead of who reads, or one piece. So this outbox cannot
 * overflow, however slowly standard output drains. */
#define OUTBOX_BYTES  ((size_t)256 * 1024)
#define WRITE_AT_ONCE 512 /* POSIX's least PIPE_BUF: after POLLOUT such a write does not block */

enum { POOL, SIGNALS, CHILD, OUT, POLLED };

struct request {
    const char *name;
    struct host *host;
    uint64_t id;
    bool ended;
    enum weir_code code;
};

struct host {
    struct weir *pool;
    struct request first, second, streamed, doomed;
    char outbox[OUTBOX_BYTES];
    size_t outbox_len, outbox_sent;
    uint32_t events_waiting; /* pieces in the outbox whose credit was not given back yet */
    pid_t child;             /* 0: it has ended */
    int child_out;           /* what it writes, or -1 */
    bool failed;
};

static int signal_pipe[2];

static void on_sigchld(int number)
{
    int before = errno;
    (void)number;
    /* A pipe that is full already says what is to be said. */
    if (write(signal_pipe[1], "", 1) < 0)
        errno = before;
    errno = before;
}

static void fail(struct host *h, const char *what, const char *why)
{
    fprintf(stderr, "loop: %s: %s\n", what, why);
    h->failed = true;
}

/* Callbacks: called from weir_step only. They may submit, cancel and give credit; they must not
 * step or close. */

static void on_output(void *context, uint64_t id, const struct weir_output *out)
{
    struct request *r = context;
    struct host *h = r->host;
    (void)id;
    if (out->operation == WEIR_EMBED)
        fprintf(stderr, "%s: %zu vector of %zu numbers, %" PRIu32 " tokens\n", r->name, out->rows,
                out->dim, out->rows > 0 ? out->tokens[0] : 0);
    if (out->operation != WEIR_GENERATE)
        return;
    if (out->bytes > OUTBOX_BYTES - h->outbox_len) {
        fail(h, r->name, "more came than credit allows");
        return;
    }
    memcpy(h->outbox + h->outbox_len, out->text, out->bytes);
    h->outbox_len += out->bytes;
    h->events_waiting++;
}

static void on_end(void *context, uint64_t id, const struct weir_end *end)
{
    struct request *r = context;
    (void)id;
    r->ended = true;
    r->code = end->error.code;
    fprintf(stderr, "%s: ended, %s\n", r->name, weir_code_name(end->error.code));
}

static const struct weir_callbacks callbacks = { .size = sizeof callbacks,
                                                 .on_output = on_output,
                                                 .on_end = on_end };

static bool add_model(struct host *h, const char *name, const char *path)
{
    char order[4200];
    const char *answer;
    struct weir_error err = { .text = "the path is too long" };
    int n = snprintf(order, sizeof order, "{\"op\":\"register\",\"name\":\"%s\",\"path\":\"%s\"}",
                     name, path);
    if (n < 0 || (size_t)n >= sizeof order ||
        weir_control(h->pool, order, (size_t)n, &answer, NULL, &err) != WEIR_OK)
        fail(h, path, err.text);
    return !h->failed;
}

static void submit(struct request *r, struct host *h, const char *name, struct weir_request request)
{
    struct weir_error err;
    *r = (struct request){ .name = name, .host = h };
    request.size = sizeof request;
    request.id = name;
    request.callbacks = &callbacks;
    request.context = r;
    r->id = weir_submit(h->pool, &request, &err);
    r->ended = r->id == 0; /* a refusal has no callbacks */
    if (r->id == 0)
        fail(h, name, err.text);
}

static void submit_text(struct request *r, struct host *h, const char *name, const char *text)
{
    struct weir_input input = { .size = sizeof input, .data = text, .bytes = strlen(text) };
    struct weir_embed embed = { .size = sizeof embed, .inputs = &input, .count = 1 };
    submit(r, h, name,
           (struct weir_request){ .capability = WEIR_TEXT_EMBEDDING,
                                  .operation = WEIR_EMBED,
                                  .model = "embedder",
                                  .input = &embed });
}

static void submit_prompt(struct request *r, struct host *h, const char *name, const char *model,
                          const char *prompt)
{
    struct weir_generate generate = {
        .size = sizeof generate,
        .prompt = {.size = sizeof generate.prompt, .data = prompt, .bytes = strlen(prompt)},
    };
    submit(r, h, name,
           (struct weir_request){ .capability = WEIR_TEXT_TO_TEXT,
                                  .operation = WEIR_GENERATE,
                                  .model = model,
                                  .flags = WEIR_FLAG_OWN_CREDIT,
                                  .input = &generate });
}

/* Workers are started with every descriptor of the host closed; the host's own children are its
 * own affair. */
static bool make_pipe(int ends[2])
{
    return pipe(ends) == 0 && fcntl(ends[0], F_SETFD, FD_CLOEXEC) == 0 &&
           fcntl(ends[1], F_SETFD, FD_CLOEXEC) == 0;
}

/* A child of the host's own, whose exit the pool must not swallow, nor the other way round. */
static bool start_child(struct host *h)
{
    extern char **environ;
    char *argv[] = { "sh", "-c", "sleep 0.2; echo the work of the host", NULL };
    posix_spawn_file_actions_t actions;
    int ends[2];
    if (!make_pipe(ends)) {
        fail(h, "pipe", strerror(errno));
        return false;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    int failure = posix_spawnp(&h->child, "sh", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    h->child_out = ends[0];
    if (failure != 0)
        fail(h, "sh", strerror(failure));
    return failure == 0;
}

static void on_child_output(struct host *h)
{
    char text[256];
    ssize_t n = read(h->child_out, text, sizeof text);
    if (n > 0) {
        fprintf(stderr, "child: %.*s", (int)n, text);
    } else if (n == 0 || errno != EINTR) {
        close(h->child_out);
        h->child_out = -1;
    }
}

/* By pid, not any child: the exits of workers belong to the pool. (Who reaps everything breaks
 * nothing, but then no message can say how a worker died.) */
static void on_signals(struct host *h)
{
    char bytes[64];
    int status;
    while (read(signal_pipe[0], bytes, sizeof bytes) > 0)
        continue;
    if (h->child == 0 || waitpid(h->child, &status, WNOHANG) != h->child)
        return;
    h->child = 0;
    fprintf(stderr, "child: exit status %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    if (!h->doomed.ended)
        weir_cancel(h->pool, h->doomed.id);
}

/* Credit goes back when the bytes are gone, and not before: that is what holds the worker. */
static void on_room(struct host *h)
{
    size_t left = h->outbox_len - h->outbox_sent;
    ssize_t n = write(STDOUT_FILENO, h->outbox + h->outbox_sent,
                      left < WRITE_AT_ONCE ? left : WRITE_AT_ONCE);
    if (n < 0) {
        if (errno != EINTR && errno != EAGAIN)
            fail(h, "standard output", strerror(errno));
        return;
    }
    h->outbox_sent += (size_t)n;
    if (h->outbox_sent < h->outbox_len)
        return;
    weir_credit(h->pool, h->streamed.id, h->events_waiting, h->outbox_len);
    h->outbox_len = h->outbox_sent = h->events_waiting = 0;
}

static bool is_done(const struct host *h)
{
    return h->first.ended && h->second.ended && h->streamed.ended && h->doomed.ended &&
           h->outbox_len == 0 && h->child == 0 && h->child_out < 0;
}

static void run(struct host *h)
{
    struct weir_error err;
    while (!h->failed && !is_done(h)) {
        struct pollfd fds[POLLED] = {
            [POOL] = {.fd = weir_fd(h->pool),                        .events = POLLIN },
            [SIGNALS] = { .fd = signal_pipe[0],                         .events = POLLIN },
            [CHILD] = { .fd = h->child_out,                           .events = POLLIN },
            [OUT] = { .fd = h->outbox_len > 0 ? STDOUT_FILENO : -1, .events = POLLOUT},
        };
        /* No timeout: the pool's own deadlines make weir_fd readable too. */
        if (poll(fds, POLLED, -1) < 0) {
            if (errno != EINTR)
                fail(h, "poll", strerror(errno));
            continue;
        }
        if (fds[POOL].revents != 0 && weir_step(h->pool, 0, &err) != WEIR_OK)
            fail(h, "weir_step", err.text);
        if (fds[SIGNALS].revents != 0)
            on_signals(h);
        if (fds[CHILD].revents != 0)
            on_child_output(h);
        if (fds[OUT].revents != 0)
            on_room(h);
    }
}

static bool catch_children(void)
{
    struct sigaction action = { .sa_handler = on_sigchld, .sa_flags = SA_RESTART | SA_NOCLDSTOP };
    sigemptyset(&action.sa_mask);
    return make_pipe(signal_pipe) && fcntl(signal_pipe[0], F_SETFL, O_NONBLOCK) == 0 &&
           fcntl(signal_pipe[1], F_SETFL, O_NONBLOCK) == 0 &&
           sigaction(SIGCHLD, &action, NULL) == 0;
}

static void warn(void *context, enum weir_log_level level, const char *line)
{
    (void)context;
    if (level >= WEIR_LOG_WARN)
        fprintf(stderr, "pool: %s\n", line);
}

int main(int argc, char **argv)
{
    static struct host host; /* too large for a stack */
    struct weir_options options = { .size = sizeof options, .log = warn };
    struct weir_error err;
    struct host *h = &host;
    if (argc != 4) {
        fprintf(stderr, "usage: loop MODEL TEXT-MODEL PROMPT\n");
        return 2;
    }
    h->child_out = -1;
    signal(SIGPIPE, SIG_IGN); /* of standard output; the library needs nothing of the kind */
    h->pool = weir_open(&options, &err);
    if (h->pool == NULL || !catch_children()) {
        fail(h, "start", h->pool == NULL ? err.text : strerror(errno));
        weir_close(h->pool);
        return 1;
    }
    if (add_model(h, "embedder", argv[1]) && add_model(h, "writer", argv[2]) &&
        add_model(h, "endless", "fake:text_to_text?step=3600s") && start_child(h)) {
        submit_text(&h->first, h, "first", "hello");
        submit_text(&h->second, h, "second", "a weir holds a pool of water at its level");
        submit_prompt(&h->streamed, h, "stream", "writer", argv[3]);
        submit_prompt(&h->doomed, h, "doomed", "endless", "this will be cancelled");
        run(h);
    }
    bool ok = !h->failed && h->first.code == WEIR_OK && h->second.code == WEIR_OK &&
              h->streamed.code == WEIR_OK && h->doomed.code == WEIR_CANCELLED;
    weir_close(h->pool); /* kills and reaps every worker, and no child of ours */
    return ok ? 0 : 1;
}
