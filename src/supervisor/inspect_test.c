/* inspect_test.c — what is asked of the one process that reads headers, and what happens when it
 * cannot be had or dies; ten thousand models (F013, F020, F151). */
#include "supervisor/state.h"
#include "supervisor/test_pool.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define ONE    ((struct model_settings){ .max_workers = 1 })

#define MANY             10000
#define BYTES_A_MODEL    3072 /* at most, names and places in the maps included */
#define MAP_BYTES_A_NAME 96   /* a slot, in a map that is at least a quarter full */

static void assert_ended(const struct test_request *r, enum weir_code code)
{
    assert_true(r->ended);
    if (r->error.code != code)
        fail_msg("ended with %s (%s), expected %s", error_name(r->error.code), r->error.text,
                 error_name(code));
}

/* F013: the system has no process to give now. Nobody is told a lie about the model; requests wait
 * or meet their deadline, and all goes on by itself. */
static void a_start_that_is_refused_is_tried_again(void **state)
{
    (void)state;
    static const int passing[] = { EAGAIN, ENOMEM, EMFILE, ENFILE };
    for (size_t i = 0; i < ARRAY_COUNT(passing); i++) {
        struct test_pool *t = test_open(1000, NULL);
        t->world.no_inspectors = 100;
        t->world.no_inspector_errno = passing[i];
        struct test_model *m = test_register(t, "m", 100, 10, ONE);
        const struct test_request *waits = test_submit(t, "m", "e", 0);
        const struct test_request *short_one = test_submit(t, "m", "e", 5 * SECOND);
        test_run_until(t, 0);
        assert_int_equal(t->world.no_inspectors, 99);
        test_run_until(t, 6 * SECOND); /* after 1 and 2 more seconds */
        assert_int_equal(t->world.no_inspectors, 97);
        assert_ended(short_one, WEIR_DEADLINE);
        assert_false(waits->ended);
        test_run_until(t, 7 * SECOND);
        assert_int_equal(t->world.no_inspectors, 96);
        test_run_until(t, 5 * MINUTE); /* 8, 16, 32 s, then each minute */
        assert_true(t->world.no_inspectors >= 89 && t->world.no_inspectors <= 90);
        t->world.no_inspectors = 0;
        test_run_until(t, 6 * MINUTE + SECOND);
        assert_ended(waits, WEIR_OK);
        assert_int_equal(m->inspections, 1);
        test_close(t);
    }
}

/* Tries become rarer only while one refusal follows another. */
static void a_start_forgets_the_refusals_before(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    t->world.no_inspectors = 3;
    t->world.no_inspector_errno = EAGAIN;
    struct test_model *m = test_register(t, "m", 100, 10, ONE);
    test_run_until(t, 20 * SECOND);
    assert_int_equal(m->inspections, 1);
    t->world.no_inspectors = 100;
    test_register(t, "n", 100, 10, ONE);
    test_run_until(t, 20 * SECOND);
    assert_int_equal(t->world.no_inspectors, 99);
    test_run_until(t, 21 * SECOND);
    assert_int_equal(t->world.no_inspectors, 98);
    test_close(t);
}

/* A program that is not there is not there for all of them, and is looked for once. */
static void a_program_that_is_missing_answers_for_all(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    t->world.no_inspectors = 100;
    t->world.no_inspector_errno = ENOENT;
    static const char *const names[] = { "a", "b", "c" };
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        test_register(t, names[i], 100, 10, ONE);
    const struct test_request *r = test_submit(t, "b", "e", 0);
    test_run_until(t, SECOND);
    assert_ended(r, WEIR_LOAD_FAILED);
    assert_non_null(strstr(r->error.text, "'b'"));
    assert_int_equal(t->world.no_inspectors, 99);
    assert_int_equal(test_submit(t, "c", "e", 0)->error.code, WEIR_LOAD_FAILED);
    test_close(t);
}

/* The files that end it cost their model its answer and nobody else theirs; when they are well
 * again, to say the same once more is enough. */
static void what_ended_an_inspector_can_be_looked_at_again(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *bad = test_register(t, "bad", 100, 10, ONE);
    test_register(t, "good", 100, 10, ONE);
    bad->kills_inspector = true;
    const struct test_request *lost = test_submit(t, "bad", "e", 0);
    const struct test_request *served = test_submit(t, "good", "e", 0);
    test_run_until(t, 5 * SECOND);
    assert_ended(lost, WEIR_LOAD_FAILED);
    assert_ended(served, WEIR_OK);
    bad->kills_inspector = false;
    const struct model_settings again = { .name = "bad",
                                          .path = "bad",
                                          .max_workers = 1,
                                          .idle_ms = MINUTE,
                                          .idle_label_ms = 30 * SECOND,
                                          .replace = true };
    supervisor_clock(t->supervisor, t->world.now_ms);
    assert_int_equal(supervisor_register(t->supervisor, &again, NULL), WEIR_OK);
    const struct test_request *r = test_submit(t, "bad", "e", 0);
    test_run_until(t, 10 * SECOND);
    assert_ended(r, WEIR_OK);
    assert_int_equal(bad->inspections, 2);
    test_close(t);
}

static void who_is_waited_for_is_inspected_first(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    t->world.inspect_ms = 10 * SECOND;
    static const char *const names[] = { "a", "b", "c", "d", "e", "f" };
    struct test_model *models[ARRAY_COUNT(names)];
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        models[i] = test_register(t, names[i], 100, 10, ONE);
    test_run_until(t, SECOND);
    const struct test_request *f = test_submit(t, "f", "e", 0);
    const struct test_request *d = test_submit(t, "d", "e", 0);
    test_run_until(t, 21 * SECOND);
    assert_ended(f, WEIR_OK);
    assert_int_equal(models[1]->inspections, 0);
    test_run_until(t, 31 * SECOND);
    assert_ended(d, WEIR_OK);
    test_run_until(t, 61 * SECOND);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        assert_int_equal(models[i]->inspections, 1);
    test_close(t);
}

static double seconds_since(clock_t start)
{
    return (double)(clock() - start) / CLOCKS_PER_SEC;
}

/* They cost one process while they are looked at, none afterwards, and little memory. */
static void ten_thousand_models(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(t, "files", 100, 10, ONE);
    t->world.inspect_ms = 0;
    clock_t start = clock();
    for (int i = 1; i < MANY; i++) {
        char name[32], alias[32];
        const char *const aliases[] = { alias };
        snprintf(name, sizeof name, "organisation/model-%d", i);
        snprintf(alias, sizeof alias, "alias-%d", i);
        const struct model_settings settings = { .name = name,
                                                 .path = "files",
                                                 .max_workers = 4,
                                                 .idle_ms = MINUTE,
                                                 .idle_label_ms = 30 * SECOND,
                                                 .aliases = aliases,
                                                 .aliases_count = 1 };
        assert_int_equal(supervisor_register(t->supervisor, &settings, NULL), WEIR_OK);
    }
    printf("%d models registered in %.3f s\n", MANY, seconds_since(start));
    start = clock();
    test_run_until(t, MINUTE);
    printf("inspected in %.3f s\n", seconds_since(start));
    assert_int_equal(m->inspections, MANY);
    assert_int_equal(m->spawns, 0);
    assert_int_equal(test_totals(t).children, 0);
    start = clock();
    for (int i = 0; i < 50; i++) {
        t->world.now_ms += 500;
        const struct test_request *r = test_submit(t, i % 2 == 0 ? "files" : "alias-7", "e", 0);
        test_run_until(t, t->world.now_ms + 10 * SECOND);
        assert_ended(r, WEIR_OK);
    }
    printf("50 requests in %.3f s\n", seconds_since(start));
    const size_t bytes = sizeof(struct model) + 2 * MAP_BYTES_A_NAME + 2 * sizeof(char *) +
                         4 * 32 /* name, path, alias, and their list */;
    printf("%zu bytes a model, %zu of them its entry\n", bytes, sizeof(struct model));
    assert_true(bytes < BYTES_A_MODEL);
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_that_is_refused_is_tried_again),
        cmocka_unit_test(a_start_forgets_the_refusals_before),
        cmocka_unit_test(a_program_that_is_missing_answers_for_all),
        cmocka_unit_test(what_ended_an_inspector_can_be_looked_at_again),
        cmocka_unit_test(who_is_waited_for_is_inspected_first),
        cmocka_unit_test(ten_thousand_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
