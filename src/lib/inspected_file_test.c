#include "lib/inspected_file.h"

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "wire/build_id.h"

#include "weir/capability.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PROCESSOR 77

static char folder[64], path[96], said[4096];
static size_t warnings;
static struct inspected_file f;

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
    snprintf(folder, sizeof folder, "/tmp/weir-inspected-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/inspected", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* so that nothing else may be left in it */
}

static void open_file(void)
{
    inspected_file_open(&f, folder, PROCESSOR, &test_log, 0);
}

static void reopen(void)
{
    inspected_file_close(&f);
    open_file();
}

static struct message_inspected plan_of(uint32_t dim)
{
    return (struct message_inspected){
        .error = {.code = WEIR_OK, .index = -1},
        .plan = { .capabilities = 1u << WEIR_TEXT_EMBEDDING,
                  .architecture = "bert",
                  .weights_bytes = UINT64_C(1) << 40,
                  .packed_bytes = { 3, 4 },
                  .positions = 512,
                  .dim = dim,
                  .slots = 32 },
    };
}

static void note(const char *model, uint64_t stamp, uint32_t dim)
{
    const struct message_inspected answer = plan_of(dim);
    inspected_file_note(&f, &(struct inspected){ .path = model,
                                                 .program = PROGRAM_CPU,
                                                 .context = 128,
                                                 .stamp = stamp,
                                                 .answer = &answer });
}

static void note_problem(const char *model, enum weir_code code, int os_errno, const char *text)
{
    struct message_inspected answer = {
        .error = {.code = code, .os_errno = os_errno}
    };
    snprintf(answer.error.text, sizeof answer.error.text, "%s", text);
    inspected_file_note(&f, &(struct inspected){ .path = model, .stamp = 1, .answer = &answer });
}

/* The dim of the plan that is known, or 0. */
static uint32_t find(const char *model, uint64_t stamp)
{
    const struct message_inspected *const known = inspected_file_find(
        &f, &(struct inspected){
                .path = model, .program = PROGRAM_CPU, .context = 128, .stamp = stamp });
    return known != NULL ? known->plan.dim : 0;
}

static void answers_live_on(void **state)
{
    (void)state;
    const struct message_inspected wanted = plan_of(7);
    open_file();
    note("/m/a", 5, 7);
    note("/m/b", 6, 8);
    assert_int_equal(find("/m/a", 5), 7);
    reopen();
    const struct message_inspected *const known = inspected_file_find(
        &f,
        &(struct inspected){ .path = "/m/a", .program = PROGRAM_CPU, .context = 128, .stamp = 5 });
    assert_memory_equal(&known->plan, &wanted.plan, sizeof wanted.plan);
    assert_int_equal(known->error.code, WEIR_OK);
    assert_int_equal(find("/m/b", 6), 8);
    assert_true(inspected_file_step(&f, 1000000) == INT64_MAX); /* what was read is not new */
    inspected_file_close(&f);
    assert_string_equal(said, "");
}

/* Other files, another context, another program, another path. */
static void only_the_very_question_has_the_answer(void **state)
{
    (void)state;
    open_file();
    note("/m/a", 5, 7);
    assert_int_equal(find("/m/a", 6), 0);
    assert_int_equal(find("/m/a", 0), 0);
    assert_int_equal(find("/m/aa", 5), 0);
    struct inspected what = { .path = "/m/a", .program = PROGRAM_CPU, .context = 128, .stamp = 5 };
    assert_non_null(inspected_file_find(&f, &what));
    what.context = 0;
    assert_null(inspected_file_find(&f, &what));
    what.context = 128, what.program = PROGRAM_FAKE;
    assert_null(inspected_file_find(&f, &what));
    note("/m/a", 6, 9); /* the files changed: the old answer is gone */
    assert_int_equal(find("/m/a", 5), 0);
    assert_int_equal(find("/m/a", 6), 9);
    note("/m/a", 0, 10); /* nobody knows which files */
    assert_int_equal(find("/m/a", 6), 9);
    assert_int_equal(f.rows.count, 1);
    inspected_file_close(&f);
}

static void problems_of_files_are_kept_and_passing_ones_are_not(void **state)
{
    (void)state;
    open_file();
    note_problem("/m/a", WEIR_LOAD_FAILED, 0, "the file 'config.json' is missing in '/m/a'");
    note_problem("/m/b", WEIR_NO_MEMORY, 0, "no memory");
    note_problem("/m/c", WEIR_LOAD_FAILED, 24, "too many open files");
    reopen();
    const struct message_inspected *const known =
        inspected_file_find(&f, &(struct inspected){ .path = "/m/a", .stamp = 1 });
    assert_int_equal(known->error.code, WEIR_LOAD_FAILED);
    assert_string_equal(known->error.text, "the file 'config.json' is missing in '/m/a'");
    assert_int_equal(f.rows.count, 1);
    inspected_file_close(&f);
}

static void what_was_used_longest_ago_is_dropped(void **state)
{
    char name[32];
    (void)state;
    open_file();
    for (uint32_t i = 0; i < INSPECTED_ROWS_MAX; i++) {
        snprintf(name, sizeof name, "/m/%u", i);
        note(name, 1, i + 1);
    }
    assert_int_equal(find("/m/0", 1), 1);
    note("/m/new", 1, 5);
    assert_int_equal(f.rows.count, INSPECTED_ROWS_MAX);
    assert_int_equal(find("/m/0", 1), 1);
    assert_int_equal(find("/m/1", 1), 0);
    reopen();
    assert_int_equal(f.rows.count, INSPECTED_ROWS_MAX);
    note("/m/newer", 1, 5);
    assert_int_equal(find("/m/2", 1), 0); /* the order lives on */
    assert_int_equal(find("/m/0", 1), 1);
    inspected_file_close(&f);
}

static void the_bytes_are_bounded_too(void **state)
{
    static char name[INSPECTED_PATH_MAX + 2];
    struct stat info;
    (void)state;
    open_file();
    memset(name, 'a', sizeof name - 1);
    note(name, 1, 1); /* longer than a path may be */
    assert_int_equal(f.rows.count, 0);
    name[INSPECTED_PATH_MAX] = '\0';
    for (uint32_t i = 0; i < 2000; i++) {
        snprintf(name, 9, "%08u", i);
        name[8] = 'a';
        note(name, 1, 1);
    }
    assert_in_range(f.rows.count, 900, 1100);
    inspected_file_close(&f);
    assert_int_equal(stat(path, &info), 0);
    assert_in_range(info.st_size, INSPECTED_BYTES_MAX / 2, INSPECTED_BYTES_MAX);
    assert_string_equal(said, "");
}

static void it_is_written_now_and_then(void **state)
{
    (void)state;
    open_file();
    assert_true(inspected_file_step(&f, 1) == INT64_MAX);
    note("/m/a", 1, 1);
    assert_true(inspected_file_step(&f, 1) == INSPECTED_EVERY_MS);
    assert_false(file_exists(path));
    assert_true(inspected_file_step(&f, INSPECTED_EVERY_MS) == INT64_MAX);
    assert_true(file_exists(path));
    note("/m/b", 1, 1);
    assert_true(inspected_file_step(&f, INSPECTED_EVERY_MS + 1) == INT64_C(2) * INSPECTED_EVERY_MS);
    inspected_file_close(&f);
}

/* --- files that are not ours ------------------------------------------------------------------ */

static void load(struct buffer *out)
{
    buffer_init(out, INSPECTED_BYTES_MAX);
    assert_int_equal(file_read(path, out, NULL), WEIR_OK);
}

/* In place: thousands of files renamed over each other are flushed to the disk one by one. */
static void store(const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

/* Sums it up again, as who wants to do harm would. */
static void seal(struct buffer *b)
{
    b->len -= sizeof(uint64_t);
    buffer_u64(b, str_hash(buffer_view(b)));
}

static void expect_said(const char *what)
{
    if (strstr(said, what) == NULL)
        fail_msg("'%s' does not say '%s'", said, what);
    said[0] = '\0';
}

static void a_damaged_file_is_not_used(void **state)
{
    struct buffer b;
    (void)state;
    open_file();
    note("/m/a", 1, 1);
    inspected_file_close(&f);
    load(&b);
    for (size_t i = 0; i < b.len; i++) {
        b.data[i] ^= 0x20;
        store(b.data, b.len);
        b.data[i] ^= 0x20;
        open_file();
        assert_int_equal(f.rows.count, 0);
        inspected_file_close(&f);
        expect_said("is not used as it is");
    }
    for (size_t i = 0; i < b.len; i++) {
        store(b.data, i);
        open_file();
        assert_int_equal(f.rows.count, 0);
        inspected_file_close(&f);
        expect_said("is not used as it is");
    }
    buffer_finish(&b);
    assert_int_equal(warnings, 0);
}

/* Every byte is every other one once, under a right sum: nothing may happen but a refusal, or an
 * answer that is within the bounds of any other. */
static void a_forged_file_does_no_harm(void **state)
{
    struct buffer b;
    (void)state;
    open_file();
    note("/m/a", 1, 1);
    note_problem("/m/b", WEIR_LOAD_FAILED, 0, "so it is");
    inspected_file_close(&f);
    load(&b);
    for (size_t i = 0; i + sizeof(uint64_t) < b.len; i++) {
        const uint8_t kept = b.data[i];
        static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
        for (size_t k = 0; k < ARRAY_COUNT(values); k++) {
            b.data[i] = values[k];
            seal(&b);
            store(b.data, b.len);
            open_file();
            assert_true(f.rows.count <= 2);
            inspected_file_close(&f);
        }
        b.data[i] = kept;
    }
    buffer_finish(&b);
}

static void rows_behind_a_wrong_one_are_not_read(void **state)
{
    struct buffer b, good;
    (void)state;
    open_file();
    note("/m/a", 1, 1);
    note("/m/b", 1, 2);
    inspected_file_close(&f);
    load(&good);
    const size_t head = sizeof("weir inspected 1\n") - 1 + 4 + strlen(build_id) + 8;
    const size_t row = (good.len - head - 4 - 8) / 2;
    buffer_init(&b, INSPECTED_BYTES_MAX);
    buffer_append(&b, good.data, good.len);
    b.data[head] = 3; /* rows, says the head */
    seal(&b);
    store(b.data, b.len);
    open_file();
    expect_said("some of its rows make no sense");
    inspected_file_close(&f);
    b.data[head] = 1;
    seal(&b);
    store(b.data, b.len);
    open_file();
    expect_said("there is more in it than its rows");
    inspected_file_close(&f);
    b.data[head] = 2;
    memset(b.data + head + 4 + row, 0xff, 4); /* the length of the second key */
    seal(&b);
    store(b.data, b.len);
    open_file();
    expect_said("some of its rows make no sense");
    assert_int_equal(find("/m/a", 1), 1);
    assert_int_equal(f.rows.count, 1);
    inspected_file_close(&f);
    buffer_finish(&b);
    buffer_finish(&good);
}

static void another_build_or_processor_starts_anew(void **state)
{
    (void)state;
    open_file();
    note("/m/a", 1, 1);
    inspected_file_close(&f);
    inspected_file_open(&f, folder, PROCESSOR + 1, &test_log, 0);
    assert_int_equal(f.rows.count, 0);
    expect_said("it is of another build or processor");
    inspected_file_close(&f);
    store("{}", 2);
    open_file();
    expect_said("it is too short");
    inspected_file_close(&f);
    store("{\"build\":\"0\",\"rows\":[]}", 23);
    open_file();
    expect_said("it is no list of inspected models");
    inspected_file_close(&f);
}

static void without_a_folder_nothing_is_kept(void **state)
{
    (void)state;
    inspected_file_open(&f, NULL, PROCESSOR, &test_log, 0);
    note("/m/a", 1, 1);
    assert_int_equal(find("/m/a", 1), 0);
    assert_true(inspected_file_step(&f, 1000000) == INT64_MAX);
    inspected_file_close(&f);
    inspected_file_close(&f);
}

static void what_cannot_be_written_is_warned_of_once(void **state)
{
    (void)state;
    inspected_file_open(&f, "/proc/none", PROCESSOR, &test_log, 0);
    note("/m/a", 1, 1);
    /* Nobody is woken for it every few seconds. */
    const int64_t again = INSPECTED_EVERY_MS + INSPECTED_AGAIN_MS;
    assert_true(inspected_file_step(&f, INSPECTED_EVERY_MS) == again);
    assert_true(inspected_file_step(&f, INT64_C(2) * INSPECTED_EVERY_MS) == again);
    assert_true(inspected_file_step(&f, again) == again + INSPECTED_AGAIN_MS);
    assert_int_equal(warnings, 1);
    expect_said("inspections are not kept");
    assert_int_equal(find("/m/a", 1), 1);
    inspected_file_close(&f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_live_on),
        TEST(only_the_very_question_has_the_answer),
        TEST(problems_of_files_are_kept_and_passing_ones_are_not),
        TEST(what_was_used_longest_ago_is_dropped),
        TEST(the_bytes_are_bounded_too),
        TEST(it_is_written_now_and_then),
        TEST(a_damaged_file_is_not_used),
        TEST(a_forged_file_does_no_harm),
        TEST(rows_behind_a_wrong_one_are_not_read),
        TEST(another_build_or_processor_starts_anew),
        TEST(without_a_folder_nothing_is_kept),
        TEST(what_cannot_be_written_is_warned_of_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
