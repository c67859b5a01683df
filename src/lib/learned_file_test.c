#include "lib/learned_file.h"

#include "base/check.h"
#include "base/file.h"
#include "wire/build_id.h"
#include "wire/plan.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ALONE "\"slots\":1,\"threads\":1,\"precision\":\"f32\",\"prepared\":false"

static char folder[64], path[96], said[4096];
static size_t warnings;

static void keep_line(void *context, enum log_level level, const char *line)
{
    (void)context;
    warnings += level == LOG_WARN;
    snprintf(said, sizeof said, "%s", line);
}

static const struct log test_log = { .sink = keep_line, .least = LOG_DEBUG };

static int make_folder(void **state)
{
    (void)state;
    warnings = 0;
    said[0] = '\0';
    snprintf(folder, sizeof folder, "/tmp/weir-learned-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/learned.json", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* so that nothing else may be left in it */
}

static struct learned row_of(uint32_t number)
{
    struct learned r = { .context = number,
                         .slots = 4,
                         .threads = 2,
                         .precision = PLAN_BF16,
                         .prepared = true,
                         .context_bytes = UINT64_C(1) << 40 | number,
                         .load_ms = 1234 };
    memset(r.digest, 0xa7, sizeof r.digest);
    r.digest[31] = (uint8_t)number;
    return r;
}

static void write_text(const char *text)
{
    assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), WEIR_OK);
}

static void rows_live_on(void **state)
{
    (void)state;
    struct learned_file f;
    const struct learned one = row_of(1), two = row_of(2);
    learned_file_open(&f, folder, &test_log, 0);
    assert_int_equal(f.count, 0);
    learned_file_note(&f, &one);
    learned_file_note(&f, &two);
    learned_file_close(&f);
    learned_file_open(&f, folder, &test_log, 0);
    assert_int_equal(f.count, 2);
    assert_memory_equal(f.rows[0].digest, one.digest, 32);
    assert_int_equal(f.rows[1].context, 2);
    assert_true(f.rows[1].context_bytes == two.context_bytes);
    assert_true(f.rows[1].precision == PLAN_BF16 && f.rows[1].prepared);
    assert_true(f.rows[1].slots == 4 && f.rows[1].threads == 2 && f.rows[1].load_ms == 1234);
    assert_int_equal(learned_file_step(&f, 1000000), INT64_MAX); /* what was read is not new */
    learned_file_close(&f);
    assert_string_equal(said, "");
}

static void the_same_row_is_one_and_the_newest(void **state)
{
    (void)state;
    struct learned_file f;
    struct learned one = row_of(1), two = row_of(2);
    learned_file_open(&f, folder, &test_log, 0);
    learned_file_note(&f, &one);
    learned_file_note(&f, &two);
    one.context_bytes = 99;
    learned_file_note(&f, &one);
    assert_int_equal(f.count, 2);
    assert_int_equal(f.rows[0].context, 2);
    assert_true(f.rows[1].context == 1 && f.rows[1].context_bytes == 99);
    one.threads = 8; /* another way of loading it */
    learned_file_note(&f, &one);
    assert_int_equal(f.count, 3);
    learned_file_close(&f);
}

static void the_oldest_is_dropped(void **state)
{
    (void)state;
    struct learned_file f;
    learned_file_open(&f, folder, &test_log, 0);
    for (uint32_t i = 0; i < LEARNED_ROWS_MAX + 10; i++) {
        const struct learned row = row_of(i);
        learned_file_note(&f, &row);
    }
    learned_file_close(&f);
    learned_file_open(&f, folder, &test_log, 0);
    assert_int_equal(f.count, LEARNED_ROWS_MAX);
    assert_int_equal(f.rows[0].context, 10);
    assert_int_equal(f.rows[LEARNED_ROWS_MAX - 1].context, LEARNED_ROWS_MAX + 9);
    learned_file_close(&f);
}

static void it_is_written_every_few_seconds(void **state)
{
    (void)state;
    struct learned_file f;
    const struct learned one = row_of(1), two = row_of(2);
    learned_file_open(&f, folder, &test_log, 1000);
    assert_int_equal(learned_file_step(&f, 100000), INT64_MAX);
    assert_false(file_exists(path));
    learned_file_note(&f, &one);
    assert_int_equal(learned_file_step(&f, 2000), 1000 + LEARNED_EVERY_MS);
    assert_false(file_exists(path));
    assert_int_equal(learned_file_step(&f, 1000 + LEARNED_EVERY_MS), INT64_MAX);
    assert_true(file_exists(path));
    learned_file_note(&f, &two);
    assert_int_equal(learned_file_step(&f, 7000), 1000 + 2 * LEARNED_EVERY_MS);
    learned_file_close(&f);
}

static void what_cannot_be_used_is_left_out(void **state)
{
    (void)state;
    char good_row[256], text[1024];
    static const char *const wrong[] = { "",
                                         "no json",
                                         "[]",
                                         "{\"build\":5,\"rows\":[]}",
                                         "{\"build\":\"another\",\"rows\":[]}",
                                         "{\"rows\":[]}",
                                         "{\"build\":\"another\"}" };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct learned_file f;
        said[0] = '\0';
        write_text(wrong[i]);
        learned_file_open(&f, folder, &test_log, 0);
        assert_int_equal(f.count, 0);
        assert_non_null(strstr(said, "learned.json"));
        learned_file_close(&f);
    }
    /* A row that makes no sense does not take the others with it. */
    snprintf(good_row, sizeof good_row,
             "{\"digest\":\"%064d\",\"context\":3," ALONE ",\"context_bytes\":5,\"load_ms\":6}", 7);
    snprintf(text, sizeof text,
             "{\"build\":\"%s\",\"rows\":[{\"digest\":\"zz\"},%s,{},7,"
             "{\"digest\":\"%064d\",\"context\":-1," ALONE ",\"context_bytes\":5,\"load_ms\":6},"
             "{\"digest\":\"%064d\",\"context\":1,\"slots\":1,\"threads\":1,\"precision\":\"f8\","
             "\"prepared\":false,\"context_bytes\":5,\"load_ms\":6},"
             "{\"digest\":\"%064d\",\"context\":1," ALONE ",\"context_bytes\":5,"
             "\"load_ms\":9223372036854775807}]}",
             build_id, good_row, 8, 6, 9);
    write_text(text);
    struct learned_file f;
    learned_file_open(&f, folder, &test_log, 0);
    assert_int_equal(f.count, 1);
    assert_int_equal(f.rows[0].context, 3);
    assert_non_null(strstr(said, "some of its rows"));
    learned_file_close(&f);
}

static void without_a_folder_nothing_is_kept(void **state)
{
    (void)state;
    struct learned_file f;
    const struct learned one = row_of(1);
    learned_file_open(&f, NULL, &test_log, 0);
    learned_file_note(&f, &one);
    assert_int_equal(learned_file_step(&f, 100000), INT64_MAX);
    learned_file_close(&f);
    learned_file_close(&f);
    assert_string_equal(said, "");
}

static void a_folder_that_is_none_costs_one_warning(void **state)
{
    (void)state;
    static const char *const nowhere[] = { "/dev/full", "/proc/weir-is-not-here" };
    const struct learned one = row_of(1);
    for (size_t i = 0; i < ARRAY_COUNT(nowhere); i++) {
        struct learned_file f;
        warnings = 0;
        learned_file_open(&f, nowhere[i], &test_log, 0);
        learned_file_note(&f, &one);
        /* Nobody is woken for it every few seconds. */
        const int64_t again = LEARNED_EVERY_MS + LEARNED_AGAIN_MS;
        assert_int_equal(learned_file_step(&f, LEARNED_EVERY_MS), again);
        assert_int_equal(learned_file_step(&f, 2 * LEARNED_EVERY_MS), again);
        assert_int_equal(learned_file_step(&f, again), again + LEARNED_AGAIN_MS);
        assert_int_equal(warnings, 1);
        assert_int_equal(f.count, 1);
        learned_file_close(&f);
        assert_int_equal(warnings, 1);
    }
}

static void a_missing_folder_is_made(void **state)
{
    (void)state;
    char below[96], file[128];
    struct learned_file f;
    struct stat info;
    const struct learned one = row_of(1);
    snprintf(below, sizeof below, "%s/weir", folder);
    snprintf(file, sizeof file, "%s/learned.json", below);
    learned_file_open(&f, below, &test_log, 0);
    learned_file_note(&f, &one);
    learned_file_close(&f);
    assert_int_equal(warnings, 0);
    assert_true(stat(below, &info) == 0 && (info.st_mode & 0777) == 0700);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(below), 0);
}

/* The disk is full: the system refuses bytes beyond the first few. The old file stays whole, and
 * once there is room again the rows are kept. */
static void a_full_disk_costs_one_warning(void **state)
{
    (void)state;
    struct learned_file f;
    struct rlimit before, tight;
    const struct learned one = row_of(1), two = row_of(2);
    learned_file_open(&f, folder, &test_log, 0);
    learned_file_note(&f, &one);
    learned_file_step(&f, LEARNED_EVERY_MS);
    learned_file_note(&f, &two);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    tight.rlim_cur = 16;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    learned_file_step(&f, 2 * LEARNED_EVERY_MS);
    learned_file_step(&f, 2 * LEARNED_EVERY_MS + LEARNED_AGAIN_MS);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(warnings, 1);
    struct learned_file old;
    learned_file_open(&old, folder, &test_log, 0);
    assert_int_equal(old.count, 1);
    learned_file_close(&old);
    learned_file_close(&f);
    learned_file_open(&f, folder, &test_log, 0);
    assert_int_equal(f.count, 2);
    learned_file_close(&f);
    assert_int_equal(warnings, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(rows_live_on),
        TEST(the_same_row_is_one_and_the_newest),
        TEST(the_oldest_is_dropped),
        TEST(it_is_written_every_few_seconds),
        TEST(what_cannot_be_used_is_left_out),
        TEST(without_a_folder_nothing_is_kept),
        TEST(a_folder_that_is_none_costs_one_warning),
        TEST(a_missing_folder_is_made),
        TEST(a_full_disk_costs_one_warning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
