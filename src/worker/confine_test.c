/* Each attempt is made in a process of its own, confined as a worker would be. */
#include "worker/confine.h"

#include "base/check.h"
#include "base/mem.h"
#include "worker/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#ifdef WEIR_SANITIZED
#define ENFORCED false
#else
#define ENFORCED true
#endif

static char own_folder[64];
static int program_fd; /* open before anything is confined */

/* --- what is tried: errno, or 0 when it was done --- */

static int done(int result)
{
    return result < 0 ? errno : 0;
}

static int make_socket(void)
{
    return done(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int make_pipe(void)
{
    int ends[2];
    return done(pipe(ends));
}

static int start_process(void)
{
    const pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return done((int)pid);
}

/* There is no such program: only who is refused does not get to know that. */
static int replace_itself(void)
{
    char name[] = "/no/such/program";
    char *const arguments[] = { name, NULL };
    execv(name, arguments);
    return errno == ENOENT ? 0 : errno;
}

static int signal_parent(void)
{
    return done(kill(getppid(), 0));
}

/* A call by the number that it has for x32, which most kernels do not know. */
static int call_by_another_number(void)
{
#ifdef __x86_64__
    long result = 0x40000000 | SYS_chdir;
    __asm__ volatile("syscall" : "+a"(result) : "D"("/") : "rcx", "r11", "memory");
    return result == 0 || result == -ENOSYS ? 0 : (int)-result;
#else
    return done(chdir("/"));
#endif
}

/* A signal to another process by way of a descriptor. */
static int own_by_parent(void)
{
    return done(fcntl(STDERR_FILENO, F_SETOWN, getppid()));
}

static int set_limit(void)
{
    return done(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 20, 20 }));
}

static int read_file(void)
{
    return done(open("/etc/passwd", O_RDONLY));
}

static int write_device(void)
{
    return done(open("/dev/null", O_RDWR));
}

static int create_file(void)
{
    char path[96];
    snprintf(path, sizeof(path), "%s/made", own_folder);
    return done(open(path, O_RDONLY | O_CREAT, 0600));
}

static int remove_file(void)
{
    char path[96];
    snprintf(path, sizeof(path), "%s/old", own_folder);
    return done(unlink(path));
}

static int rename_file(void)
{
    char from[96], to[96];
    snprintf(from, sizeof(from), "%s/old", own_folder);
    snprintf(to, sizeof(to), "%s/new", own_folder);
    return done(rename(from, to));
}

static int make_link(void)
{
    char path[96];
    snprintf(path, sizeof(path), "%s/link", own_folder);
    return done(symlink("/etc/passwd", path));
}

static int change_mode(void)
{
    return done(chmod(own_folder, 0700));
}

static int make_code(void)
{
    void *page = mem_try_aligned(4096, 4096);
    return page != NULL ? done(mprotect(page, 4096, PROT_READ | PROT_EXEC)) : ENOMEM;
}

static int map_code(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, program_fd, 0);
    return page == MAP_FAILED ? errno : 0;
}

static void *do_nothing(void *context)
{
    return context;
}

static int start_thread(void)
{
    pthread_t thread;
    const int why = pthread_create(&thread, NULL, do_nothing, NULL);
    return why == 0 ? pthread_join(thread, NULL) : why;
}

/* What a worker does all day. */
static int work(void)
{
    const struct timespec moment = { 0, 1000000 };
    struct timespec soon;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t never = PTHREAD_COND_INITIALIZER;
    const size_t bytes = (size_t)64 << 20; /* mapped, and cleared by giving pages back */
    char *block = mem_try_aligned(bytes, 4096);
    if (block == NULL)
        return 1;
    memset(block, 1, 1 << 20);
    block = mem_resize(block, 2 * bytes, 1);
    mem_free(block);
    if (block == NULL)
        return 1;
    clock_gettime(CLOCK_REALTIME, &soon);
    pthread_mutex_lock(&lock);
    if (pthread_cond_timedwait(&never, &lock, &soon) != ETIMEDOUT)
        return 2;
    pthread_mutex_unlock(&lock);
    return nanosleep(&moment, NULL) == 0 && write(STDERR_FILENO, "", 0) == 0 ? 0 : 3;
}

enum answer { YES, NO };

static const struct attempt {
    const char *name;
    int (*try)(void);
    enum answer load, cpu;
} attempts[] = {
#define TRY(function, load, cpu)                                                                   \
    {                                                                                              \
#function, function, load, cpu                                                             \
    }
    TRY(work, YES, YES),
    TRY(start_thread, YES, NO),
    TRY(make_code, YES, NO),
    TRY(map_code, YES, NO),
    TRY(make_pipe, YES, NO),
    TRY(read_file, YES, NO),
    TRY(write_device, NO, NO),
    TRY(create_file, NO, NO),
    TRY(remove_file, NO, NO),
    TRY(rename_file, NO, NO),
    TRY(make_link, NO, NO),
    TRY(change_mode, NO, NO),
    TRY(make_socket, NO, NO),
    TRY(start_process, NO, NO),
    TRY(replace_itself, NO, NO),
    TRY(signal_parent, NO, NO),
    TRY(own_by_parent, NO, NO),
    TRY(set_limit, NO, NO),
    TRY(call_by_another_number, NO, NO),
#undef TRY
};

/* The wait status of a process that does this once it is confined. */
static int status_of(enum confine_profile profile, const char *folder, int (*try)(void))
{
    int status;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        confine_settle();
        (void)confine_enter(profile, folder, "confine_test");
        _exit(try());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static bool is_refused(int status)
{
    const int why = WEXITSTATUS(status);
    return WIFEXITED(status) && (why == EPERM || why == EACCES);
}

static void make_files(void)
{
    char path[96];
    snprintf(own_folder, sizeof(own_folder), "/tmp/weir-confine-XXXXXX");
    assert_non_null(mkdtemp(own_folder));
    snprintf(path, sizeof(path), "%s/old", own_folder);
    const int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void remove_files(void)
{
    static const char *const names[] = { "old", "new", "made", "link" };
    char path[96];
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", own_folder, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(own_folder), 0);
}

/* Without a confinement everything is possible: a refusal below is the profile's. */
static void expect(const struct attempt *a, enum confine_profile profile, enum answer answer)
{
    make_files();
    const int status = status_of(profile, NULL, a->try);
    const bool wanted = answer == NO && ENFORCED;
    if (is_refused(status) != wanted || (!wanted && status != 0))
        fail_msg("%s under '%s': exit %d, signal %d", a->name, confine_name(profile),
                 WEXITSTATUS(status), WTERMSIG(status));
    remove_files();
}

static void each_attempt_gets_its_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(attempts); i++) {
        expect(&attempts[i], CONFINE_NONE, YES);
        expect(&attempts[i], CONFINE_LOAD, attempts[i].load);
        expect(&attempts[i], CONFINE_INSPECT, attempts[i].load);
        expect(&attempts[i], CONFINE_CPU, attempts[i].cpu);
    }
}

/* --- preparing --- */

static int landlock_version(void)
{
    confine_settle();
    return confine_enter(CONFINE_PREPARE, NULL, "confine_test").landlock;
}

static void a_preparer_writes_below_its_folder_only(void **state)
{
    (void)state;
    static int (*const writes[])(void) = { create_file, rename_file, remove_file };
    const int version = WEXITSTATUS(status_of(CONFINE_NONE, NULL, landlock_version));
    assert_true(ENFORCED || version == 0);
    for (size_t i = 0; i < ARRAY_COUNT(writes); i++) {
        make_files();
        assert_int_equal(is_refused(status_of(CONFINE_PREPARE, "/usr", writes[i])), version > 0);
        remove_files();
        make_files();
        assert_int_equal(status_of(CONFINE_PREPARE, own_folder, writes[i]), 0);
        remove_files();
    }
    assert_int_equal(is_refused(status_of(CONFINE_PREPARE, NULL, make_socket)), ENFORCED);
    assert_int_equal(is_refused(status_of(CONFINE_PREPARE, NULL, start_process)), ENFORCED);
}

/* --- the process --- */

static int settled(void)
{
    char text[16] = "";
    struct rlimit core;
    const int fd = open("/proc/self/oom_score_adj", O_RDONLY);
    const ssize_t n = read(fd, text, sizeof(text) - 1);
    getrlimit(RLIMIT_CORE, &core);
    return n > 0 && atoll(text) == 1000 && (core.rlim_max == 1 || !ENFORCED) ? 0 : 1;
}

static void it_goes_first_and_leaves_no_core(void **state)
{
    (void)state;
    assert_int_equal(status_of(CONFINE_NONE, NULL, settled), 0);
}

static int crash(void)
{
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void it_can_still_crash(void **state)
{
    (void)state;
    const int status = status_of(CONFINE_CPU, NULL, crash);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void *try_behind_gate(void *context)
{
    struct probe *const p = context;
    pthread_mutex_lock(&gate);
    probe_run(p);
    pthread_mutex_unlock(&gate);
    return NULL;
}

/* A thread that was there before is bound as well as the one that calls. */
static int confine_twice_with_a_thread(void)
{
    pthread_t thread;
    struct probe probe;
    confine_settle();
    (void)confine_enter(CONFINE_LOAD, NULL, "confine_test");
    pthread_mutex_lock(&gate);
    CHECK(pthread_create(&thread, NULL, try_behind_gate, &probe) == 0);
    const struct confinement c = confine_enter(CONFINE_CPU, NULL, "confine_test");
    pthread_mutex_unlock(&gate);
    CHECK(pthread_join(thread, NULL) == 0);
    bool all = c.filters == ENFORCED && c.logs == !ENFORCED;
    for (unsigned i = 0; i < PROBE_COUNT && ENFORCED; i++)
        all = all && probe_refused(&probe, i);
    return all && (read_file() != 0 || !ENFORCED) ? 0 : 1;
}

static void threads_are_bound_too(void **state)
{
    (void)state;
    assert_int_equal(status_of(CONFINE_NONE, NULL, confine_twice_with_a_thread), 0);
}

static void a_probe_says_what_happened(void **state)
{
    (void)state;
    char text[200], few[24];
    const struct probe p = {
        {EPERM, 0, EACCES, ENOENT}
    };
    probe_say(&p, text, sizeof(text));
    assert_string_equal(text, "connect: Operation not permitted, exec: done, "
                              "open: Permission denied, write: No such file or directory");
    assert_true(probe_refused(&p, PROBE_CONNECT) && probe_refused(&p, PROBE_OPEN));
    assert_false(probe_refused(&p, PROBE_EXEC) || probe_refused(&p, PROBE_WRITE));
    probe_say(&p, few, sizeof(few));
    assert_string_equal(few, "connect: Operation n…");
}

/* What the four attempts would otherwise do, so that their failing means something. */
static void a_probe_succeeds_where_it_may(void **state)
{
    (void)state;
    struct probe p;
    probe_run(&p);
    for (unsigned i = 0; i < PROBE_COUNT; i++)
        assert_false(probe_refused(&p, i));
    assert_int_equal(p.why[PROBE_EXEC], 0);
    assert_int_equal(p.why[PROBE_WRITE], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_attempt_gets_its_answer),
        cmocka_unit_test(a_preparer_writes_below_its_folder_only),
        cmocka_unit_test(it_goes_first_and_leaves_no_core),
        cmocka_unit_test(it_can_still_crash),
        cmocka_unit_test(threads_are_bound_too),
        cmocka_unit_test(a_probe_says_what_happened),
        cmocka_unit_test(a_probe_succeeds_where_it_may),
    };
    program_fd = open("/proc/self/exe", O_RDONLY);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
