#define _GNU_SOURCE
#include "worker/confine.h"

#include "base/check.h"
#include "worker/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* The groups of calls that profiles are made of. */
enum {
    COMPUTE = 1 << 0, /* memory, time, waiting, what is open already, the own end */
    DATA = 1 << 1,    /* memory for data only */
    CODE = 1 << 2,    /* memory for data or code: patterns are compiled */
    START = 1 << 3,   /* threads, what they talk by, and further confinement */
    READ = 1 << 4,    /* files that are there */
    ONLY_READ = 1 << 5,
    WRITE = 1 << 6
};

/* clang-format off */
static const struct row {
    const char *name;
    unsigned calls;
    bool reads_files;
} profiles[] = {
    [CONFINE_NONE] =    { "none",    0,                                           true },
    [CONFINE_LOAD] =    { "load",    COMPUTE | CODE | START | READ | ONLY_READ,   true },
    [CONFINE_CPU] =     { "cpu",     COMPUTE | DATA,                              false },
    [CONFINE_INSPECT] = { "inspect", COMPUTE | CODE | START | READ | ONLY_READ,   true },
    [CONFINE_PREPARE] = { "prepare", COMPUTE | CODE | START | READ | WRITE,       true },
};
/* clang-format on */
_Static_assert(ARRAY_COUNT(profiles) == CONFINE_PROFILE_COUNT, "one row a profile");

#define ALL             UINT64_MAX
#define INT             UINT64_C(0xffffffff)
#define SELF            UINT64_MAX /* stands for the process id */
#define OPENS_TO_CHANGE ((uint64_t)(O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY)))

/* A call that stays possible; with a mask only where `argument & mask` is the value. What reaches
 * other processes by a harmless name is kept out so: F_SETOWN sends signals, clone makes
 * processes, sendto connects. */
/* clang-format off */
static const struct rule {
    const char *call;
    unsigned calls;
    unsigned argument;
    uint64_t mask, value;
} rules[] = {
    { "brk",               COMPUTE,   0, 0, 0 },
    { "clock_getres",      COMPUTE,   0, 0, 0 },
    { "clock_gettime",     COMPUTE,   0, 0, 0 },
    { "clock_nanosleep",   COMPUTE,   0, 0, 0 },
    { "close",             COMPUTE,   0, 0, 0 },
    { "exit",              COMPUTE,   0, 0, 0 },
    { "exit_group",        COMPUTE,   0, 0, 0 },
    { "futex",             COMPUTE,   0, 0, 0 },
    { "getcpu",            COMPUTE,   0, 0, 0 },
    { "getpid",            COMPUTE,   0, 0, 0 },
    { "getppid",           COMPUTE,   0, 0, 0 },
    { "getrandom",         COMPUTE,   0, 0, 0 },
    { "gettid",            COMPUTE,   0, 0, 0 },
    { "gettimeofday",      COMPUTE,   0, 0, 0 },
    { "madvise",           COMPUTE,   0, 0, 0 },
    { "mremap",            COMPUTE,   0, 0, 0 },
    { "munmap",            COMPUTE,   0, 0, 0 },
    { "nanosleep",         COMPUTE,   0, 0, 0 },
    { "poll",              COMPUTE,   0, 0, 0 },
    { "ppoll",             COMPUTE,   0, 0, 0 },
    { "read",              COMPUTE,   0, 0, 0 },
    { "recvfrom",          COMPUTE,   0, 0, 0 },
    { "restart_syscall",   COMPUTE,   0, 0, 0 },
    { "rseq",              COMPUTE,   0, 0, 0 },
    { "rt_sigaction",      COMPUTE,   0, 0, 0 },
    { "rt_sigprocmask",    COMPUTE,   0, 0, 0 },
    { "rt_sigreturn",      COMPUTE,   0, 0, 0 },
    { "sched_getaffinity", COMPUTE,   0, 0, 0 },
    { "sched_yield",       COMPUTE,   0, 0, 0 },
    { "sendto",            COMPUTE,   4, ALL, 0 },
    { "set_robust_list",   COMPUTE,   0, 0, 0 },
    { "sigaltstack",       COMPUTE,   0, 0, 0 },
    { "tgkill",            COMPUTE,   0, INT, SELF },
    { "write",             COMPUTE,   0, 0, 0 },
    { "writev",            COMPUTE,   0, 0, 0 },

    { "mmap",              DATA,      2, PROT_EXEC, 0 },
    { "mprotect",          DATA,      2, PROT_EXEC, 0 },
    { "mmap",              CODE,      0, 0, 0 },
    { "mprotect",          CODE,      0, 0, 0 },

    { "clone",             START,     0, CLONE_THREAD, CLONE_THREAD },
    { "fcntl",             START,     1, INT, F_GETFD },
    { "fcntl",             START,     1, INT, F_SETFD },
    { "fcntl",             START,     1, INT, F_GETFL },
    { "fcntl",             START,     1, INT, F_SETFL },
    { "fcntl",             START,     1, INT, F_GET_SEALS },
    { "landlock_create_ruleset", START, 0, 0, 0 },
    { "landlock_restrict_self",  START, 0, 0, 0 },
    { "pipe",              START,     0, 0, 0 },
    { "pipe2",             START,     0, 0, 0 },
    { "prlimit64",         START,     2, ALL, 0 },
    { "seccomp",           START,     0, 0, 0 },
    { "sysinfo",           START,     0, 0, 0 },

    { "access",            READ,      0, 0, 0 },
    { "faccessat",         READ,      0, 0, 0 },
    { "faccessat2",        READ,      0, 0, 0 },
    { "fadvise64",         READ,      0, 0, 0 },
    { "flock",             READ,      0, 0, 0 },
    { "fstat",             READ,      0, 0, 0 },
    { "fstatfs",           READ,      0, 0, 0 },
    { "getcwd",            READ,      0, 0, 0 },
    { "getdents64",        READ,      0, 0, 0 },
    { "lseek",             READ,      0, 0, 0 },
    { "newfstatat",        READ,      0, 0, 0 },
    { "pread64",           READ,      0, 0, 0 },
    { "readlink",          READ,      0, 0, 0 },
    { "readlinkat",        READ,      0, 0, 0 },
    { "statx",             READ,      0, 0, 0 },

    { "openat",            ONLY_READ, 2, OPENS_TO_CHANGE, 0 },
    { "utimensat",         ONLY_READ, 1, ALL, 0 }, /* of what is open: a prepared file was used */

    { "fallocate",         WRITE,     0, 0, 0 },
    { "fsync",             WRITE,     0, 0, 0 },
    { "ftruncate",         WRITE,     0, 0, 0 },
    { "mkdir",             WRITE,     0, 0, 0 },
    { "mkdirat",           WRITE,     0, 0, 0 },
    { "msync",             WRITE,     0, 0, 0 },
    { "openat",            WRITE,     0, 0, 0 },
    { "rename",            WRITE,     0, 0, 0 },
    { "renameat",          WRITE,     0, 0, 0 },
    { "renameat2",         WRITE,     0, 0, 0 },
    { "unlink",            WRITE,     0, 0, 0 },
    { "unlinkat",          WRITE,     0, 0, 0 },
    { "utimensat",         WRITE,     0, 0, 0 },
};
/* clang-format on */

const char *confine_name(enum confine_profile profile)
{
    return profiles[profile].name;
}

static void be_first_to_go(void)
{
    const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return; /* no /proc: the kernel then judges by size alone */
    (void)!write(fd, "1000", 4);
    close(fd);
}

void confine_settle(void)
{
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    be_first_to_go();
#ifndef WEIR_SANITIZED
    /* 0 stops core files; 1 stops those that go through a pipe too. */
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 1, 1 });
#endif
}

static int add_rule(scmp_filter_ctx filter, const struct rule *r)
{
    const int number = seccomp_syscall_resolve_name(r->call);
    if (number == __NR_SCMP_ERROR)
        return 0; /* not on this kind of machine */
    if (r->mask == 0)
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
    const uint64_t value = r->value == SELF ? (uint64_t)getpid() : r->value;
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 1,
                            SCMP_CMP(r->argument, SCMP_CMP_MASKED_EQ, r->mask, value));
}

/* What becomes of every other call. Not the end of the process: libc tries calls that it can do
 * without, and a worker that goes on unharmed still serves what others asked. */
#ifdef WEIR_SANITIZED
#define REFUSE SCMP_ACT_LOG
#else
#define REFUSE SCMP_ACT_ERRNO(EPERM)
#endif

/* 0, or why there is no filter. */
static int add_rules(scmp_filter_ctx filter, unsigned calls)
{
    /* Calls by the numbers of another architecture (x32, 32 bits) would end the thread that makes
     * them, and leave the process without it. */
    int why = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, REFUSE);
    /* confine_settle has said it, and a profile does not let it be said again. */
    if (why == 0)
        why = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
    if (why == 0)
        why = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    /* Kernels before 5.16 make a filtered process compute slower against a leak within itself. */
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
    /* Its flags lie in memory, where no filter looks; for this answer libc takes clone instead. */
    if (why == 0 && (calls & START) != 0)
        why = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    for (size_t i = 0; i < ARRAY_COUNT(rules) && why == 0; i++) {
        if ((rules[i].calls & calls) != 0)
            why = add_rule(filter, &rules[i]);
    }
    return why;
}

static int filter_calls(unsigned calls)
{
    scmp_filter_ctx filter = seccomp_init(REFUSE);
    if (filter == NULL)
        return -ENOMEM;
    int why = add_rules(filter, calls);
    if (why == 0)
        why = seccomp_load(filter);
    seccomp_release(filter);
    return why;
}

struct confinement confine_enter(enum confine_profile profile, const char *folder, const char *name)
{
    struct confinement c = { 0 };
    const struct row *const row = &profiles[profile];
    if (profile == CONFINE_NONE)
        return c;
    CHECK(folder == NULL || (row->calls & WRITE) != 0);
#ifdef WEIR_SANITIZED
    c.logs = true;
#else
    c.landlock = landlock_enter(&(struct landlock_rules){ row->reads_files, folder });
#endif
    const int why = filter_calls(row->calls);
    c.filters = why == 0 && !c.logs;
    if (why != 0)
        fprintf(stderr, "%s: system calls are not filtered: %s\n", name, strerror(-why));
    return c;
}
