#define _GNU_SOURCE
#include "cmd/doctor.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/size.h"
#include "cmd/ask.h"
#include "cmd/doctor_text.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#define FILE_MAX (MiB)

static struct str cpu_of(struct str cpuinfo)
{
    struct str name;
    return doctor_field(cpuinfo, "model name", &name) ? name : STR("a CPU without a name");
}

void doctor_kernel(struct doctor *d)
{
    struct utsname name;
    struct buffer text;
    buffer_init(&text, FILE_MAX);
    (void)doctor_read("proc/cpuinfo", &text);
    if (uname(&name) == 0)
        doctor_say(d, DOCTOR_OK, "%s %s on %s, %.*s", name.sysname, name.release, name.machine,
                   STR_ARG(cpu_of(buffer_view(&text))));
    buffer_finish(&text);
}

/* --- cores ------------------------------------------------------------------------------------ */

static bool read_below(const char *mount, struct str group, const char *file, struct buffer *out)
{
    char path[4096];
    str_print(path, sizeof(path), "sys/fs/cgroup%s%.*s/%s", mount, STR_ARG(group), file);
    return doctor_read(path, out);
}

static bool quota_v2(struct str group, double *out_cpus)
{
    struct buffer text;
    buffer_init(&text, 4 * KiB);
    const bool found =
        read_below("", group, "cpu.max", &text) && doctor_quota(buffer_view(&text), out_cpus);
    buffer_finish(&text);
    return found;
}

/* Two files there: made one as in version 2, where a quota of -1 is none either. */
static bool quota_v1(struct str group, double *out_cpus)
{
    struct buffer text, period;
    buffer_init(&text, 4 * KiB);
    buffer_init(&period, 4 * KiB);
    bool found = read_below("/cpu", group, "cpu.cfs_quota_us", &text) &&
                 read_below("/cpu", group, "cpu.cfs_period_us", &period);
    if (found) {
        struct buffer both;
        buffer_init(&both, 4 * KiB);
        buffer_printf(&both, "%.*s %.*s", STR_ARG(str_trim(buffer_view(&text))),
                      STR_ARG(str_trim(buffer_view(&period))));
        found = doctor_quota(buffer_view(&both), out_cpus);
        buffer_finish(&both);
    }
    buffer_finish(&period);
    buffer_finish(&text);
    return found;
}

/* The group itself and every one above it; the tightest counts. */
static void apply_tree(struct str group, bool (*quota)(struct str group, double *out_cpus),
                       double *cpus)
{
    double here;
    for (;;) {
        if (quota(group, &here) && (*cpus == 0 || here < *cpus))
            *cpus = here;
        if (group.len == 0)
            return;
        while (group.len > 0 && group.data[group.len - 1] != '/')
            group.len--;
        if (group.len > 0)
            group.len--;
    }
}

/* 0: as many as there are. */
static double quota_cpus(void)
{
    struct buffer text;
    struct str line, number, controllers, group, rest;
    double cpus = 0;
    buffer_init(&text, FILE_MAX);
    (void)doctor_read("proc/self/cgroup", &text);
    rest = buffer_view(&text);
    while (rest.len > 0) {
        str_cut(rest, '\n', &line, &rest);
        if (!str_cut(line, ':', &number, &group) || !str_cut(group, ':', &controllers, &group))
            continue;
        if (controllers.len == 0)
            apply_tree(group, quota_v2, &cpus);
        else if (str_starts(controllers, STR("cpu,")) || str_eq(controllers, STR("cpu")))
            apply_tree(group, quota_v1, &cpus);
    }
    buffer_finish(&text);
    return cpus;
}

void doctor_cores(struct doctor *d)
{
    cpu_set_t set;
    const double quota = quota_cpus();
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    const long cores = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : online;
    if (quota > 0 && quota < (double)cores) {
        const long whole = quota < 1 ? 1 : (long)quota;
        doctor_say(d, DOCTOR_NOTE, "%ld, but the control group allows the time of %.2g", cores,
                   quota);
        doctor_advise(d, "--threads %ld, or threads wait for each other while they are throttled",
                      whole);
    } else if (cores < online) {
        doctor_say(d, DOCTOR_OK, "%ld of %ld may be used", cores, online);
    } else {
        doctor_say(d, DOCTOR_OK, "%ld", cores);
    }
}

/* --- memory ----------------------------------------------------------------------------------- */

static uint64_t meminfo_bytes(const char *key)
{
    struct buffer text;
    uint64_t bytes = 0;
    buffer_init(&text, FILE_MAX);
    if (doctor_read("proc/meminfo", &text))
        (void)doctor_bytes(buffer_view(&text), key, &bytes);
    buffer_finish(&text);
    return bytes;
}

void doctor_memory(struct doctor *d)
{
    struct size_text machine, total, available, budget;
    const uint64_t machine_bytes = meminfo_bytes("MemTotal");
    if (d->machine == NULL) {
        doctor_say(d, DOCTOR_WRONG, "the pool cannot be opened: %s", d->machine_error.text);
        return;
    }
    ask_size(d->machine, "total", &total);
    ask_size(d->machine, "available", &available);
    if (machine_bytes > (uint64_t)ask_number(d->machine, "total"))
        doctor_say(d, DOCTOR_OK, "%s of %s, as the control group allows; %s are available now",
                   total.text, size_format(machine_bytes, &machine), available.text);
    else
        doctor_say(d, DOCTOR_OK, "%s, of which %s are available now", total.text, available.text);
    const uint64_t bytes = (uint64_t)ask_number(d->machine, "budget");
    doctor_say(d, bytes > 0 ? DOCTOR_OK : DOCTOR_WRONG, "the budget for models is %s: %s",
               size_format(bytes, &budget), ask_text(d->machine, "budget_source", "unknown"));
    if (bytes == 0)
        doctor_advise(d, "no model fits: give the machine or its control group more memory");
    else if (bytes > (uint64_t)ask_number(d->machine, "available")) {
        doctor_say(d, DOCTOR_NOTE, "other programs use memory that the budget counts on");
        doctor_advise(d, "models wait for it; end those programs, or set --memory to less");
    }
}

void doctor_swap(struct doctor *d)
{
    struct buffer text;
    struct size_text size;
    const uint64_t swap = meminfo_bytes("SwapTotal");
    buffer_init(&text, FILE_MAX);
    if (swap > 0) {
        doctor_say(d, DOCTOR_NOTE, "%s of swap", size_format(swap, &size));
        doctor_advise(d, "a quiet model may be slow to wake: a lower vm.swappiness keeps it in "
                         "memory");
    } else {
        doctor_say(d, DOCTOR_OK, "none");
    }
    struct str word = STR("");
    if (doctor_read("proc/sys/vm/overcommit_memory", &text))
        word = str_trim(buffer_view(&text));
    if (str_eq(word, STR("2"))) {
        doctor_say(d, DOCTOR_NOTE, "vm.overcommit_memory is 2: what is mapped counts as used");
        doctor_advise(d,
                      "loads may fail long before memory is full: sysctl vm.overcommit_memory=0");
    }
    buffer_finish(&text);
}

void doctor_huge_pages(struct doctor *d)
{
    struct buffer text;
    struct str word;
    buffer_init(&text, 4 * KiB);
    const bool found = doctor_read("sys/kernel/mm/transparent_hugepage/enabled", &text) &&
                       doctor_chosen(buffer_view(&text), &word);
    if (found && !str_eq(word, STR("never"))) {
        doctor_say(d, DOCTOR_OK, "transparent, %.*s", STR_ARG(word));
    } else {
        doctor_say(d, DOCTOR_NOTE, "none");
        doctor_advise(d, "workers use more time for memory: write madvise into "
                         "/sys/kernel/mm/transparent_hugepage/enabled");
    }
    buffer_finish(&text);
}

/* --- descriptors and processes ---------------------------------------------------------------- */

static uint64_t connections_of(const struct doctor *d)
{
    const struct server_limits *const limits = &d->config.settings.server_limits;
#define X(name, value, says)                                                                       \
    if (strcmp(#name, "connections") == 0)                                                         \
        return (uint64_t)(limits->name > 0 ? limits->name : (value));
    SERVER_LIMITS(X)
#undef X
    CHECK(!"there is a limit of connections");
    return 0;
}

/* The server raises the soft limit itself, and takes half for connections. */
void doctor_files(struct doctor *d)
{
    struct rlimit files;
    const uint64_t connections = connections_of(d);
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    if (files.rlim_max >= 2 * connections) {
        doctor_say(d, DOCTOR_OK, "%llu descriptors at most, for %llu connections",
                   (unsigned long long)files.rlim_max, (unsigned long long)connections);
        return;
    }
    doctor_say(d, DOCTOR_NOTE, "%llu descriptors at most: %llu connections instead of %llu",
               (unsigned long long)files.rlim_max, (unsigned long long)(files.rlim_max / 2),
               (unsigned long long)connections);
    doctor_advise(d, "ulimit -n %llu (LimitNOFILE of a systemd unit)",
                  (unsigned long long)(2 * connections));
}

static bool seals_work(void)
{
    const int fd = memfd_create("weir-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return false;
    const bool sealed = ftruncate(fd, 4096) == 0 &&
                        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0 &&
                        ftruncate(fd, 0) != 0;
    close(fd);
    return sealed;
}

/* Without either no worker can be started. */
void doctor_processes(struct doctor *d)
{
    const int fd = pidfd_open(getpid(), 0);
    const int why = errno;
    if (fd >= 0) {
        close(fd);
        doctor_say(d, DOCTOR_OK, "descriptors for processes (pidfd_open)");
    } else {
        doctor_say(d, DOCTOR_WRONG, "no descriptors for processes (pidfd_open): %s", strerror(why));
        doctor_advise(d, "Linux 5.4 or later; a container must not filter the call");
    }
    if (seals_work()) {
        doctor_say(d, DOCTOR_OK, "sealed shared memory (memfd_create)");
    } else {
        doctor_say(d, DOCTOR_WRONG, "no sealed shared memory (memfd_create)");
        doctor_advise(d, "a container must not filter the call");
    }
}
