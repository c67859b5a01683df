#define _GNU_SOURCE
#include "lib/machine.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX 65536

/* The number behind `key` in a file of "key value" or "key: value kB" lines. */
static bool find_number(struct str text, const char *key, uint64_t *out)
{
    struct str line, rest = text, name = str_of(key);
    while (rest.len > 0) {
        str_cut(rest, '\n', &line, &rest);
        if (!str_starts(line, name))
            continue;
        struct str value = { line.data + name.len, line.len - name.len };
        bool kilo = str_ends(value, STR(" kB"));
        if (kilo)
            value.len -= 3;
        if (value.len == 0 || !str_to_u64(str_trim(value), out))
            continue;
        *out *= kilo ? 1024 : 1;
        return true;
    }
    return false;
}

static bool read_text(const char *path, struct buffer *out)
{
    buffer_clear(out);
    return file_read(path, out, NULL) == WEIR_OK;
}

static bool read_in(const char *folder, const char *name, struct buffer *out)
{
    char *path = file_join(folder, name);
    bool ok = read_text(path, out);
    mem_free(path);
    return ok;
}

/* A file that holds one number; "max" and what is no number count as none. */
static bool read_number(const char *folder, const char *name, uint64_t *out)
{
    struct buffer b;
    buffer_init(&b, FILE_MAX);
    bool ok = read_in(folder, name, &b) && str_to_u64(str_trim(buffer_view(&b)), out);
    buffer_finish(&b);
    return ok;
}

struct group_files {
    const char *mount, *limit, *usage, *inactive_file, *active_file;
};

static const struct group_files group_v2 = { "sys/fs/cgroup", "memory.max", "memory.current",
                                             "inactive_file ", "active_file " };
static const struct group_files group_v1 = { "sys/fs/cgroup/memory", "memory.limit_in_bytes",
                                             "memory.usage_in_bytes", "total_inactive_file ",
                                             "total_active_file " };

static void apply_group(const char *folder, const struct group_files *f, struct machine_memory *m)
{
    uint64_t limit = 0, usage = 0, inactive = 0, active = 0;
    if (!read_number(folder, f->limit, &limit))
        return;
    if (!read_number(folder, f->usage, &usage))
        usage = 0;
    struct buffer stat;
    buffer_init(&stat, FILE_MAX);
    if (read_in(folder, "memory.stat", &stat)) {
        find_number(buffer_view(&stat), f->inactive_file, &inactive);
        find_number(buffer_view(&stat), f->active_file, &active);
    }
    buffer_finish(&stat);
    uint64_t cache = inactive + active < usage ? inactive + active : usage;
    uint64_t used = usage - cache;
    uint64_t available = limit > used ? limit - used : 0;
    if (limit < m->total_bytes)
        m->total_bytes = limit;
    if (available < m->available_bytes)
        m->available_bytes = available;
}

/* The group itself and every one above it. */
static void apply_tree(const char *root, const struct group_files *f, struct str group,
                       struct machine_memory *m)
{
    char folder[PATH_MAX];
    for (;;) {
        snprintf(folder, sizeof folder, "%s/%s%.*s", root, f->mount, STR_ARG(group));
        apply_group(folder, f, m);
        if (group.len <= 1)
            return;
        while (group.len > 0 && group.data[group.len - 1] != '/')
            group.len--;
        if (group.len > 0)
            group.len--;
    }
}

static void apply_groups(const char *root, struct machine_memory *m)
{
    struct buffer b;
    buffer_init(&b, FILE_MAX);
    if (!read_in(root[0] != '\0' ? root : "/", "proc/self/cgroup", &b))
        buffer_text(&b, "0::/\n1:memory:/\n");
    struct str line, rest = buffer_view(&b);
    while (rest.len > 0) {
        struct str number, controllers, group;
        str_cut(rest, '\n', &line, &rest);
        if (!str_cut(line, ':', &number, &group) || !str_cut(group, ':', &controllers, &group))
            continue;
        if (controllers.len == 0)
            apply_tree(root, &group_v2, group, m);
        else if (str_eq(controllers, STR("memory")))
            apply_tree(root, &group_v1, group, m);
    }
    buffer_finish(&b);
}

static bool exists_below(const char *root, const char *what)
{
    char *path = file_join(root[0] != '\0' ? root : "/", what);
    bool there = access(path, R_OK) == 0;
    mem_free(path);
    return there;
}

struct machine_memory machine_memory(const char *root)
{
    struct machine_memory m = { 0 };
    struct buffer b;
    buffer_init(&b, FILE_MAX);
    bool stated = root[0] != '\0' && exists_below(root, "proc/meminfo");
    if (!read_in(stated ? root : "/", "proc/meminfo", &b) ||
        !find_number(buffer_view(&b), "MemTotal:", &m.total_bytes)) {
        long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGE_SIZE);
        m.total_bytes = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
    }
    if (!find_number(buffer_view(&b), "MemAvailable:", &m.available_bytes))
        m.available_bytes = m.total_bytes;
    buffer_finish(&b);
    /* A machine that was stated has the groups that were stated with it, not those of this one. */
    apply_groups(stated || exists_below(root, "sys/fs/cgroup") ? root : "", &m);
    return m;
}

uint64_t machine_private_bytes(int64_t pid, uint64_t shared_with_us)
{
    char path[64];
    uint64_t anonymous = 0, shared = 0;
    struct buffer b;
    buffer_init(&b, FILE_MAX);
    snprintf(path, sizeof path, "/proc/%" PRId64 "/status", pid);
    if (read_text(path, &b)) {
        find_number(buffer_view(&b), "RssAnon:", &anonymous);
        find_number(buffer_view(&b), "RssShmem:", &shared);
    }
    buffer_finish(&b);
    return anonymous + (shared > shared_with_us ? shared - shared_with_us : 0);
}

/* The 12th field of /proc/PID/stat. The second one, the name in parentheses, may hold anything. */
uint64_t machine_major_faults(int64_t pid)
{
    char path[64];
    uint64_t faults = 0;
    struct buffer b;
    buffer_init(&b, FILE_MAX);
    snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    if (read_text(path, &b)) {
        struct str field, rest = buffer_view(&b);
        size_t end = rest.len;
        while (end > 0 && rest.data[end - 1] != ')')
            end--;
        rest = str_trim((struct str){ rest.data + end, rest.len - end });
        for (int at = 3; at <= 12; at++)
            str_cut(rest, ' ', &field, &rest);
        if (!str_to_u64(field, &faults))
            faults = 0;
    }
    buffer_finish(&b);
    return faults;
}

const char *machine_root(void)
{
    const char *root = getenv("WEIR_SYSTEM_ROOT");
    return root != NULL ? root : "";
}

/* What comes first in a file, however long the rest of it is: the kernel makes /proc/cpuinfo while
 * it is read, which takes long on large machines. */
static void read_beginning(const char *path, struct buffer *out)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t *room;
    ssize_t got = fd < 0 ? 0 : 1;
    while (got > 0 && out->len < out->max && (room = buffer_reserve(out, out->max - out->len))) {
        got = read(fd, room, out->max - out->len);
        out->len += got > 0 ? (size_t)got : 0;
    }
    if (fd >= 0)
        close(fd);
}

/* All cores of a machine list the same features, x86 as `flags`, ARM as `Features`. */
uint64_t machine_processor(void)
{
    const char *const wanted = getenv("WEIR_CPU");
    struct buffer b;
    struct str line, rest, features = { 0 };
    buffer_init(&b, 16384);
    read_beginning("/proc/cpuinfo", &b);
    for (rest = buffer_view(&b); rest.len > 0 && features.len == 0;) {
        str_cut(rest, '\n', &line, &rest);
        if (str_starts(line, STR("flags")) || str_starts(line, STR("Features")))
            features = line;
    }
    const uint64_t facts[] = { str_hash(features), str_hash(str_of(wanted)) };
    buffer_finish(&b);
    return str_hash((struct str){ (const char *)facts, sizeof facts });
}

uint32_t machine_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (uint32_t)CPU_COUNT(&set);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? (uint32_t)cores : 1;
}
