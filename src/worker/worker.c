#include "worker/worker.h"

#include "wire/region.h"
#include "worker/inspector.h"
#include "worker/parent.h"
#include "worker/preparer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A terminal's Ctrl-C reaches the whole group of processes; only the supervisor decides when a
 * worker leaves. A broken channel is seen where it is read. */
static void settle_signals(void)
{
    static const int ignored[] = { SIGINT, SIGHUP, SIGPIPE };
    struct sigaction action = { .sa_handler = SIG_IGN };
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        sigaction(ignored[i], &action, NULL);
    action.sa_handler = SIG_DFL;
    sigaction(SIGTERM, &action, NULL);
}

static void wait_for_the_end(struct control *c)
{
    while (control_wait(c, CONTROL_FOREVER))
        continue;
}

static enum weir_code state_plan(const struct worker_ops *ops, struct worker *w,
                                 struct weir_error *err)
{
    struct plan plan = { 0 };
    const enum weir_code code =
        ops->plan ? ops->plan(w, &plan, err) : ops->inspect(w->path, 0, &plan, err);
    if (code == WEIR_OK)
        control_plan(w->control, &plan);
    return code;
}

/* The opening of the conversation; false when it did not come to a loaded model. */
static bool open_model(const struct worker_ops *ops, struct worker *w)
{
    struct weir_error err;
    struct message_load load;
    if (ops->start && !ops->start(w))
        return false;
    control_hello(w->control);
    if (state_plan(ops, w, &err) != WEIR_OK) {
        control_failed(w->control, &err);
        return false;
    }
    if (!control_load(w->control, &load))
        return false;
    if (ops->load(w, &load, &err) != WEIR_OK) {
        control_failed(w->control, &err);
        return false;
    }
    (void)confine_enter(CONFINE_CPU, NULL, ops->name);
    control_loaded(w->control);
    return true;
}

static void *map_shared(const struct worker_ops *ops, const char *what, int fd, size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory != MAP_FAILED)
        return memory;
    fprintf(stderr, "%s: cannot map the %s on descriptor %d: %s\n", ops->name, what, fd,
            strerror(errno));
    return NULL;
}

static int run_worker(const struct worker_ops *ops, const char *path, struct control_page *page)
{
    void *requests = map_shared(ops, "region of requests", WORKER_REQUESTS_FD, REGION_BYTES);
    void *replies = map_shared(ops, "region of replies", WORKER_REPLIES_FD, REGION_BYTES);
    if (!requests || !replies)
        return EXIT_FAILURE;
    (void)confine_enter(ops->loading, NULL, ops->name);
    struct worker w = { .path = path,
                        .control = control_create(WORKER_CHANNEL_FD, page, requests, replies) };
    if (open_model(ops, &w))
        ops->serve(&w);
    else
        wait_for_the_end(w.control);
    ops->finish(&w);
    control_destroy(w.control);
    munmap(requests, REGION_BYTES);
    munmap(replies, REGION_BYTES);
    return EXIT_SUCCESS;
}

int worker_main(const struct worker_ops *ops, int argc, char **argv)
{
    if (argc != 2 || fcntl(WORKER_CHANNEL_FD, F_GETFD) < 0) {
        fprintf(stderr, "%s is started by weir, with a channel on descriptor %d; see weir --help\n",
                ops->name, WORKER_CHANNEL_FD);
        return 2;
    }
    settle_signals();
    parent_bind();
    confine_settle();
    if (strcmp(argv[1], "--inspect") == 0)
        return inspector_run(ops, WORKER_CHANNEL_FD);
    struct control_page *page =
        map_shared(ops, "control page", WORKER_PAGE_FD, sizeof(struct control_page));
    if (page == NULL)
        return EXIT_FAILURE;
    const int status = strcmp(argv[1], "--prepare") == 0
                           ? preparer_run(ops, WORKER_CHANNEL_FD, page)
                           : run_worker(ops, argv[1], page);
    munmap(page, sizeof(*page));
    return status;
}
