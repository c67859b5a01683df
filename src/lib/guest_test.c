/* The library as a guest: hosts that care for SIGCHLD themselves, fork, or have files open. */
#include "base/check.h"
#include "base/clock.h"
#include "lib/test_pool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void open_guest(void)
{
    open_pool(WEIR_BIN, (struct weir_options){ 0 });
}

/* Answers, survives a crash of its workers, and closes: nothing of it hangs on an exit status. */
static void use_and_crash(bool reaps)
{
    struct outcome o[2] = { 0 };
    struct weir_error err;
    open_guest();
    add_model("m", "fake:text_embedding?script=yes");
    assert_true(embed("m", "hello", &o[0], &err) != 0);
    run(&o[0], 1, 20);
    assert_int_equal(o[0].code, WEIR_OK);
    assert_true(embed("m", "!crash", &o[1], &err) != 0);
    for (int i = 0; i < 2000 && o[1].ends == 0; i++) {
        while (reaps && waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        assert_int_equal(weir_step(pool, 10, &err), WEIR_OK);
    }
    assert_int_equal(o[1].code, WEIR_QUARANTINED);
    weir_close(pool);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

static void test_a_host_that_ignores_sigchld(void **state)
{
    (void)state;
    struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
    sigaction(SIGCHLD, &ignore, &before);
    use_and_crash(false);
    sigaction(SIGCHLD, &before, NULL);
    assert_non_null(strstr(events, "status unknown"));
}

static void test_a_host_that_reaps_every_child(void **state)
{
    (void)state;
    use_and_crash(true);
}

/* A child of the host has copies of every descriptor: what the pool closed is still open there, and
 * must not be heard of any more. */
static void test_a_host_that_forks(void **state)
{
    (void)state;
    struct outcome o = { 0 };
    struct weir_error err;
    open_guest();
    add_model("m", "fake:text_embedding?load=300ms&load_fail=boom");
    assert_true(embed("m", "x", &o, &err) != 0);
    run_until_event("\"to\":\"Loading\"", 20);
    pid_t child = fork();
    if (child == 0) {
        alarm(30);
        for (;;)
            pause();
    }
    assert_true(child > 0);
    run_until_event("\"to\":\"Dead\"", 20);
    int busy = 0;
    for (int64_t until_ms = clock_ms() + 300; clock_ms() < until_ms; busy++) {
        poll(&(struct pollfd){ weir_fd(pool), POLLIN, 0 }, 1, 50);
        weir_step(pool, 0, &err);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    weir_close(pool);
    assert_in_range(busy, 1, 50);
}

/* What a forked child calls is refused and changes nothing: also not when it closes the pool, as an
 * exit handler of the host would. */
static bool child_is_refused(void)
{
    struct outcome o = { 0 };
    struct weir_error err;
    bool refused = embed("m", "x", &o, &err) == 0 && strstr(err.text, "of process") != NULL;
    refused = weir_step(pool, 0, &err) == WEIR_INVALID && refused;
    refused =
        weir_control(pool, "{\"op\":\"status\"}", 15, NULL, NULL, &err) == WEIR_INVALID && refused;
    refused = !weir_cancel(pool, 1) && !weir_credit(pool, 1, 1, 1) && refused;
    weir_close(pool);
    return refused;
}

static void test_a_forked_child_that_uses_the_pool(void **state)
{
    (void)state;
    struct outcome o[2] = { 0 };
    struct weir_error err;
    int status = -1;
    open_guest();
    add_model("m", "fake:text_embedding?step=100ms");
    assert_true(embed("m", "hello", &o[0], &err) != 0);
    run_until_event("\"to\":\"Processing\"", 20);
    const pid_t child = fork();
    if (child == 0)
        _exit(child_is_refused() ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(embed("m", "world", &o[1], &err) != 0);
    run(o, 2, 20);
    assert_int_equal(o[0].code, WEIR_OK);
    assert_int_equal(o[1].code, WEIR_OK);
    weir_close(pool);
}

/* The targets of a process's descriptors: `[n]` is that of descriptor n, or empty. */
#define FDS_MOST 256
struct links {
    char target[FDS_MOST][128];
};

static void read_links(int64_t pid, struct links *out)
{
    char path[64];
    memset(out, 0, sizeof *out);
    snprintf(path, sizeof path, "/proc/%lld/fd", (long long)pid);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *e; (e = readdir(folder)) != NULL;) {
        long fd = strtol(e->d_name, NULL, 10);
        if (e->d_name[0] == '.' || (pid == getpid() && fd == dirfd(folder)))
            continue;
        assert_in_range(fd, 0, FDS_MOST - 1);
        /* A process that is just starting still closes some. */
        ssize_t n = readlinkat(dirfd(folder), e->d_name, out->target[fd], 127);
        assert_true(n > 0 || errno == ENOENT);
    }
    closedir(folder);
}

static void assert_nothing_of(const struct links *host, const struct links *worker)
{
    assert_string_equal(worker->target[0], "/dev/null");
    assert_string_equal(worker->target[1], "/dev/null");
    assert_int_equal(strncmp(worker->target[2], "pipe:", 5), 0);
    assert_int_equal(strncmp(worker->target[3], "socket:", 7), 0);
    assert_non_null(strstr(worker->target[4], "memfd:weir-control"));
    for (size_t i = 3; i < FDS_MOST; i++) /* 2 is the other end of a pipe, of the same name */
        for (size_t k = 0; k < FDS_MOST && worker->target[i][0] != '\0'; k++)
            if (strcmp(worker->target[i], host->target[k]) == 0)
                fail_msg("descriptor %zu of the worker is %zu of the host: %s", i, k,
                         host->target[k]);
}

static void test_a_worker_has_no_descriptor_of_the_host(void **state)
{
    (void)state;
    static struct links host, worker;
    struct outcome o[2] = { 0 };
    struct weir_error err;
    const char *answer;
    int ends[2], low = open("/proc/self/exe", O_RDONLY);
    assert_true(low >= 0 && pipe(ends) == 0 && dup2(low, 200) == 200); /* none close-on-exec */
    open_guest();
    add_model("m", "fake:text_embedding?step=2s");
    assert_true(embed("m", "x", &o[0], &err) != 0 && embed("m", "y", &o[1], &err) != 0);
    run_until_event("\"to\":\"Processing\"", 20);
    read_links(getpid(), &host);
    assert_int_equal(weir_control(pool, "{\"op\":\"status\"}", 15, &answer, NULL, &err), WEIR_OK);
    int workers = 0;
    for (const char *at = answer; (at = strstr(at, "\"pid\":")) != NULL; workers++) {
        at += strlen("\"pid\":");
        read_links(strtoll(at, NULL, 10), &worker);
        assert_nothing_of(&host, &worker);
    }
    assert_true(workers > 0);
    weir_close(pool);
    read_links(getpid(), &worker);
    assert_string_equal(worker.target[200], host.target[200]);
    close(200), close(low), close(ends[0]), close(ends[1]);
}

/* What a pool opened is closed with it, also when it never ran. */
static void test_close_leaves_no_descriptor(void **state)
{
    (void)state;
    static struct links before, after;
    struct outcome o = { 0 };
    struct weir_error err;
    read_links(getpid(), &before);
    open_guest();
    weir_close(pool);
    open_guest();
    add_model("m", "fake:text_embedding");
    weir_step(pool, 0, &err); /* an inspector runs */
    weir_close(pool);
    open_guest();
    add_model("m", "fake:text_embedding");
    embed("m", "x", &o, &err);
    run(&o, 1, 20);
    weir_close(pool);
    read_links(getpid(), &after);
    assert_memory_equal(&before, &after, sizeof before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_host_that_ignores_sigchld),
        cmocka_unit_test(test_a_host_that_reaps_every_child),
        cmocka_unit_test(test_a_host_that_forks),
        cmocka_unit_test(test_a_forked_child_that_uses_the_pool),
        cmocka_unit_test(test_a_worker_has_no_descriptor_of_the_host),
        cmocka_unit_test(test_close_leaves_no_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
