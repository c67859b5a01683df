/* The memory of machines that the tests state, as $WEIR_SYSTEM_ROOT would. */
#include "lib/machine.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64];

/* Writes a file below the root, making the folders on the way. */
static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), WEIR_OK);
}

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/weir-machine-XXXXXX");
    return mkdtemp(root) == NULL ? -1 : 0;
}

static int remove_root(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", root);
    return system(command);
}

static void put_machine(void)
{
    put("proc/meminfo",
        "MemTotal:       25165824 kB\nMemFree:  1 kB\nMemAvailable:   20971520 kB\n");
}

static void test_a_machine_without_groups(void **state)
{
    (void)state;
    put_machine();
    struct machine_memory m = machine_memory(root);
    assert_true(m.total_bytes == 24 * GiB);
    assert_true(m.available_bytes == 20 * GiB);
}

/* The tightest group above the process counts, and its file cache is no use of memory. */
static void test_groups_v2_up_the_tree(void **state)
{
    (void)state;
    put_machine();
    put("proc/self/cgroup", "0::/a/b\n");
    put("sys/fs/cgroup/a/b/memory.max", "max\n");
    put("sys/fs/cgroup/a/memory.max", "4294967296\n");
    put("sys/fs/cgroup/a/memory.current", "4293918720\n");
    put("sys/fs/cgroup/a/memory.stat", "anon 5\ninactive_file 3221225472\nactive_file 1048576\n");
    struct machine_memory m = machine_memory(root);
    assert_true(m.total_bytes == 4 * GiB);
    assert_true(m.available_bytes == 4 * GiB - (4293918720 - 3221225472 - 1048576));
}

/* The tightest limit and the least that is left may be at different levels; a group without its
 * statistics has no cache that could count, one with more cache than use is empty. */
static void test_each_level_of_the_tree_counts(void **state)
{
    (void)state;
    put_machine();
    put("proc/self/cgroup", "12:cpu,cpuacct:/a\n0::/a/b/c\n");
    put("sys/fs/cgroup/a/memory.max", "8589934592\n");
    put("sys/fs/cgroup/a/memory.current", "7516192768\n");
    put("sys/fs/cgroup/a/b/memory.max", "4294967296\n");
    put("sys/fs/cgroup/a/b/memory.current", "1073741824\n");
    put("sys/fs/cgroup/a/b/memory.stat", "inactive_file 5368709120\n");
    put("sys/fs/cgroup/a/b/c/memory.max", "max\n");
    put("sys/fs/cgroup/x/memory.max", "1000000\n"); /* not above this process */
    struct machine_memory m = machine_memory(root);
    assert_true(m.total_bytes == 4 * GiB);
    assert_true(m.available_bytes == 1 * GiB);
}

static void test_groups_v1(void **state)
{
    (void)state;
    put_machine();
    put("proc/self/cgroup", "7:cpu:/x\n5:memory:/x\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "2147483648\n");
    put("sys/fs/cgroup/memory/x/memory.usage_in_bytes", "1073741824\n");
    put("sys/fs/cgroup/memory/x/memory.stat", "total_inactive_file 0\ntotal_active_file 0\n");
    struct machine_memory m = machine_memory(root);
    assert_true(m.total_bytes == 2 * GiB);
    assert_true(m.available_bytes == 1 * GiB);
}

static void test_a_group_over_its_limit_has_nothing_left(void **state)
{
    (void)state;
    put_machine();
    put("sys/fs/cgroup/memory.max", "1000000\n");
    put("sys/fs/cgroup/memory.current", "2000000\n");
    struct machine_memory m = machine_memory(root);
    assert_true(m.total_bytes == 1000000 && m.available_bytes == 0);
}

static void test_garbage_counts_as_absent(void **state)
{
    (void)state;
    put("proc/meminfo", "MemTotal: lots kB\n\n:\nMemAvailable:\n");
    put("proc/self/cgroup", "::::\nnonsense\n0::\n");
    struct machine_memory m = machine_memory(root);
    assert_true(m.total_bytes > 0); /* what the system call says */
    assert_true(m.available_bytes == m.total_bytes);
}

/* The same count that the system call gives. */
static void test_major_faults_are_counted(void **state)
{
    (void)state;
    struct rusage before, after;
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    const uint64_t faults = machine_major_faults((int64_t)getpid());
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    assert_in_range(faults, before.ru_majflt, after.ru_majflt);
}

static void test_this_process_has_private_bytes(void **state)
{
    (void)state;
    assert_true(machine_private_bytes((int64_t)getpid(), 0) > 0);
    assert_true(machine_private_bytes(0, 0) == 0);
    assert_true(machine_major_faults(0) == 0);
    assert_true(machine_cores() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_machine_without_groups, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_groups_v2_up_the_tree, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_each_level_of_the_tree_counts, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_groups_v1, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_a_group_over_its_limit_has_nothing_left, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(test_garbage_counts_as_absent, make_root, remove_root),
        cmocka_unit_test(test_major_faults_are_counted),
        cmocka_unit_test(test_this_process_has_private_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
