/* reload_test.c — a model is registered once more with settings that differ a little: what changes
 * in place, what is told, and what comes of it. */
#include "supervisor/state.h"
#include "supervisor/test_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)

static struct model_settings settings_of(void)
{
    return (struct model_settings){ .name = "m",
                                    .path = "m",
                                    .max_workers = 2,
                                    .idle_ms = MINUTE,
                                    .idle_label_ms = 30 * SECOND,
                                    .priority = 2,
                                    .replace = true };
}

static struct test_pool *open_pool(struct test_model **m)
{
    struct test_pool *t = test_open(1000, NULL);
    *m = test_register(t, "m", 100, 10, (struct model_settings){ 0 });
    test_run_until(t, SECOND);
    t->told[0] = '\0';
    return t;
}

static void reload(struct test_pool *t, const struct model_settings *settings, bool changes)
{
    supervisor_clock(t->supervisor, t->world.now_ms);
    t->told[0] = '\0';
    assert_int_equal(supervisor_register(t->supervisor, settings, NULL), WEIR_OK);
    test_run_until(t, t->world.now_ms);
    assert_true((strstr(t->told, "changed m, ") != NULL) == changes);
    assert_null(strstr(t->told, "registered"));
}

static void each_soft_setting_changes_in_place(void **state)
{
    (void)state;
    struct test_model *files;
    struct test_pool *t = open_pool(&files);
    struct model_settings m = settings_of();
    const struct model *entry = model_find(t->supervisor, "m");
    reload(t, &m, false);
    m.max_workers = 3;
    reload(t, &m, true);
    assert_int_equal(entry->settings.max_workers, 3);
    m.min_workers = 1;
    reload(t, &m, true);
    assert_int_equal(entry->settings.min_workers, 1);
    assert_false(supervisor_truncates(t->supervisor, "m"));
    m.truncate = true;
    reload(t, &m, true);
    assert_true(supervisor_truncates(t->supervisor, "m"));
    assert_false(supervisor_truncates(t->supervisor, "another"));
    m.idle_ms = 2 * MINUTE;
    reload(t, &m, true);
    assert_int_equal(entry->settings.idle_ms, 2 * MINUTE);
    m.idle_label_ms = SECOND;
    reload(t, &m, true);
    assert_int_equal(entry->settings.idle_label_ms, SECOND);
    m.priority = 1;
    reload(t, &m, true);
    assert_int_equal(entry->settings.priority, 1);
    m.pin = true;
    reload(t, &m, true);
    assert_true(entry->settings.pin);
    m.preload = true;
    reload(t, &m, true);
    assert_true(entry->settings.preload);
    reload(t, &m, false);
    assert_ptr_equal(model_find(t->supervisor, "m"), entry);
    test_close(t);
}

/* The settings by which a worker is what it is: the entry gives way. */
static void each_hard_setting_makes_another_entry(void **state)
{
    (void)state;
    struct test_model *files;
    struct test_pool *t = open_pool(&files);
    struct model_settings m = settings_of();
    t->world.models[1] = *files;
    t->world.models[1].name = "other files";
    for (int i = 0; i < 6; i++) {
        const uint32_t before = model_find(t->supervisor, "m")->number;
        m.context += i == 0 ? 7 : 0;
        m.slots += i == 1 ? 2 : 0;
        m.program = i == 2 ? PROGRAM_FAKE : m.program;
        m.capabilities = i == 3 ? 1u << WEIR_TEXT_EMBEDDING : m.capabilities;
        m.precision = i == 5 ? PLAN_BF16 : m.precision;
        m.path = i == 4 ? "other files" : m.path;
        assert_int_equal(supervisor_register(t->supervisor, &m, NULL), WEIR_OK);
        assert_true(model_find(t->supervisor, "m")->number != before);
        test_run_until(t, t->world.now_ms + SECOND);
        reload(t, &m, false);
    }
    test_close(t);
}

static void aliases_change_with_the_rest(void **state)
{
    (void)state;
    struct test_model *files;
    struct test_pool *t = open_pool(&files);
    static const char *const first[] = { "a", "b" }, *const second[] = { "a", "c" },
                             *const third[] = { "d", "c" };
    struct model_settings m = settings_of();
    const struct model *entry = model_find(t->supervisor, "m");
    m.aliases_count = 2;
    m.aliases = first;
    reload(t, &m, true);
    reload(t, &m, false);
    m.aliases = second;
    reload(t, &m, true);
    assert_ptr_equal(model_find(t->supervisor, "a"), entry);
    assert_ptr_equal(model_find(t->supervisor, "c"), entry);
    assert_null(model_find(t->supervisor, "b"));
    m.aliases = third;
    reload(t, &m, true);
    assert_ptr_equal(model_find(t->supervisor, "d"), entry);
    assert_null(model_find(t->supervisor, "a"));
    m.aliases_count = 1;
    reload(t, &m, true);
    assert_null(model_find(t->supervisor, "c"));
    test_close(t);
}

/* To preload is to load once: when it is asked for anew, and nothing is loaded. */
static void a_preload_may_come_with_a_reload(void **state)
{
    (void)state;
    struct test_model *files;
    struct test_pool *t = open_pool(&files);
    struct model_settings m = settings_of();
    m.preload = true;
    reload(t, &m, true);
    test_run_until(t, 3 * SECOND);
    assert_int_equal(files->spawns, 1);
    test_run_until(t, 3 * MINUTE);
    assert_int_equal(test_workers(&t->world, files), 0);
    m.idle_ms = 2 * MINUTE; /* it was preloaded before */
    reload(t, &m, true);
    test_run_until(t, 4 * MINUTE);
    assert_int_equal(files->spawns, 1);
    m.preload = false;
    reload(t, &m, true);
    test_submit(t, "m", "r", 20 * MINUTE);
    test_run_until(t, 5 * MINUTE);
    const uint32_t spawns = files->spawns;
    m.preload = true; /* it is loaded */
    reload(t, &m, true);
    test_finish_jobs(&t->world);
    test_run_until(t, 20 * MINUTE);
    assert_int_equal(files->spawns, spawns);
    assert_int_equal(test_workers(&t->world, files), 0);
    test_close(t);
}

/* A shorter time until it is called idle counts at once. */
static void an_idle_label_may_be_due_at_once(void **state)
{
    (void)state;
    struct test_model *files;
    struct test_pool *t = open_pool(&files);
    struct model_settings m = settings_of();
    m.max_workers = 1;
    reload(t, &m, true);
    test_submit(t, "m", "e", 0);
    test_run_until(t, 10 * SECOND);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Processing Ready");
    m.idle_label_ms = 5 * SECOND;
    reload(t, &m, true);
    assert_string_equal(t->paths[2], "Spawning Loading Ready Processing Ready Idle");
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_soft_setting_changes_in_place),
        cmocka_unit_test(each_hard_setting_makes_another_entry),
        cmocka_unit_test(aliases_change_with_the_rest),
        cmocka_unit_test(a_preload_may_come_with_a_reload),
        cmocka_unit_test(an_idle_label_may_be_due_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
