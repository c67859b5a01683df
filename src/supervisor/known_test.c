/* known_test.c — models that were inspected in an earlier life: no process looks at their files,
 * and all else is as ever. */
#include "supervisor/state.h"
#include "supervisor/test_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)

static struct message_inspected plan_of(const char *architecture)
{
    struct message_inspected known = {
        .error = {.code = WEIR_OK,         .index = -1},
        .plan = { .capabilities = 1u << WEIR_TEXT_EMBEDDING,
                  .weights_bytes = 100 * MiB,
                  .fixed_bytes = 10 * MiB,
                  .slots = 1 },
    };
    str_print(known.plan.architecture, sizeof known.plan.architecture, "%s", architecture);
    return known;
}

static struct message_inspected problem_of(const char *text)
{
    struct message_inspected known = {
        .error = {.code = WEIR_LOAD_FAILED, .index = -1}
    };
    str_print(known.error.text, sizeof known.error.text, "%s", text);
    return known;
}

static struct model_settings with(const struct message_inspected *known, uint64_t stamp)
{
    return (struct model_settings){ .max_workers = 1, .stamp = stamp, .known = known };
}

/* The same name and path once more, as a reload does. */
static void replace(struct test_pool *t, const char *name, struct model_settings settings)
{
    settings.name = settings.path = name;
    settings.priority = 2;
    settings.idle_ms = 60 * SECOND, settings.idle_label_ms = 30 * SECOND;
    settings.replace = true;
    supervisor_clock(t->supervisor, t->world.now_ms);
    assert_int_equal(supervisor_register(t->supervisor, &settings, NULL), WEIR_OK);
}

static void assert_serves(struct test_pool *t, const char *name)
{
    const struct test_request *r = test_submit(t, name, "e", 0);
    test_run_until(t, t->world.now_ms + 10 * SECOND);
    assert_true(r->ended && r->error.code == WEIR_OK);
}

static void what_is_known_needs_no_inspector(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    const struct message_inspected known = plan_of("fake");
    const struct test_model *m = test_register(t, "m", 100, 10, with(&known, 5));
    assert_int_equal(model_find(t->supervisor, "m")->inspection, INSPECTION_DONE);
    assert_string_equal(t->told, "registered m, inspected m, ");
    test_run_until(t, SECOND);
    assert_int_equal(test_totals(t).children, 0);
    assert_true(t->world.orders == 0);
    assert_serves(t, "m");
    assert_int_equal(m->inspections, 0);
    assert_string_equal(t->heard.inspected, "");
    test_close(t);
}

static void a_known_problem_is_one_until_the_files_are_others(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    const struct message_inspected known = problem_of("no such file");
    const struct test_model *m = test_register(t, "m", 100, 10, with(&known, 5));
    const struct test_request *r = test_submit(t, "m", "e", 0);
    assert_true(r->id == 0 && r->error.code == WEIR_LOAD_FAILED);
    assert_non_null(strstr(r->error.text, "no such file"));
    replace(t, "m", with(&known, 5));
    test_run_until(t, SECOND);
    assert_int_equal(model_find(t->supervisor, "m")->inspection, INSPECTION_FAILED);
    assert_int_equal(m->inspections, 0);
    replace(t, "m", with(NULL, 6));
    test_run_until(t, 2 * SECOND);
    assert_serves(t, "m");
    assert_int_equal(m->inspections, 1);
    assert_string_equal(t->heard.inspected, "m 6 fake, ");
    test_close(t);
}

static void a_plan_that_is_known_ends_a_problem(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    const struct message_inspected wrong = problem_of("no such file"), right = plan_of("fake");
    const struct test_model *m = test_register(t, "m", 100, 10, with(&wrong, 5));
    replace(t, "m", with(&right, 6));
    assert_serves(t, "m");
    assert_int_equal(m->inspections, 0);
    test_close(t);
}

/* What the files can is known; what the settings want of it is not part of that. */
static void settings_are_judged_anew(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    const struct message_inspected known = plan_of("fake");
    struct model_settings settings = with(&known, 5);
    settings.capabilities = 1u << WEIR_TEXT_TO_TEXT;
    test_register(t, "m", 100, 10, settings);
    assert_int_equal(model_find(t->supervisor, "m")->inspection, INSPECTION_FAILED);
    assert_non_null(strstr(model_find(t->supervisor, "m")->problem.text, "text_to_text"));
    test_close(t);
}

/* A worker states more than what was known: from then on only an inspector is believed. */
static void who_needs_more_than_is_known_is_inspected(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct message_inspected known = plan_of("fake");
    known.plan.fixed_bytes = 5 * MiB;
    const struct test_model *m = test_register(t, "m", 100, 10, with(&known, 5));
    assert_serves(t, "m");
    assert_int_equal(m->inspections, 1);
    assert_string_equal(t->heard.inspected, "m 5 fake, ");
    test_close(t);
}

/* Answers are handed on, and what a dead inspector cost is none. */
static void answers_are_told_and_deaths_are_not(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "a", 100, 10, with(NULL, 1))->kills_inspector = true;
    test_register(t, "b", 100, 10, with(NULL, 2));
    test_run_until(t, SECOND);
    assert_int_equal(model_find(t->supervisor, "a")->inspection, INSPECTION_FAILED);
    assert_string_equal(t->heard.inspected, "b 2 fake, ");
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_known_needs_no_inspector),
        cmocka_unit_test(a_known_problem_is_one_until_the_files_are_others),
        cmocka_unit_test(a_plan_that_is_known_ends_a_problem),
        cmocka_unit_test(settings_are_judged_anew),
        cmocka_unit_test(who_needs_more_than_is_known_is_inspected),
        cmocka_unit_test(answers_are_told_and_deaths_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
