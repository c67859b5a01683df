/* Every task once, on no more threads than the share allows, whatever the share does meanwhile. The
 * same program under TSan is the proof that regions do not race. */
#include "tensor/team.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { TASKS = 257, THREADS = 4 };

/* Plain counters: a task that ran twice at once would be a race, and TSan would see it. */
struct record {
    uint32_t runs[TASKS];
    _Atomic uint32_t by_thread[THREADS];
    int64_t hold_ms;
};

static void note(void *context, uint32_t task, uint32_t thread)
{
    struct record *r = context;
    r->runs[task]++;
    atomic_fetch_add(&r->by_thread[thread], 1);
    if (r->hold_ms)
        clock_sleep_ms(r->hold_ms);
}

static void assert_each_once(const struct record *r, uint32_t tasks, uint32_t times)
{
    for (uint32_t i = 0; i < TASKS; i++)
        assert_int_equal(r->runs[i], i < tasks ? times : 0);
}

static void test_every_task_runs_once(void **state)
{
    (void)state;
    for (uint32_t threads = 0; threads <= THREADS; threads++) {
        struct team *team = team_create(threads, NULL);
        for (uint32_t tasks = 0; tasks <= TASKS; tasks = tasks * 2 + 1) {
            struct record r = { .hold_ms = 0 };
            for (uint32_t times = 1; times <= 20; times++) {
                team_run(team, note, &r, tasks);
                assert_each_once(&r, tasks, times);
            }
        }
        team_destroy(team);
    }
}

static uint32_t threads_seen(const struct record *r)
{
    uint32_t seen = 0;
    for (size_t i = 0; i < THREADS; i++)
        seen += atomic_load(&r->by_thread[i]) > 0;
    return seen;
}

static void test_the_share_is_read_at_every_region(void **state)
{
    static _Atomic uint32_t share;
    static const struct {
        uint32_t share, most;
    } rows[] = {
        {4,   4},
        { 1,  1},
        { 2,  2},
        { 0,  4},
        { 99, 4},
        { 3,  3}
    };
    (void)state;
    atomic_store(&share, 1);
    struct team *team = team_create(THREADS, &share);
    assert_int_equal(team_threads(team), THREADS);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct record r = { .hold_ms = 2 };
        atomic_store(&share, rows[i].share);
        assert_int_equal(team_share(team), rows[i].most);
        team_run(team, note, &r, 32);
        assert_each_once(&r, 32, 1);
        /* A task sleeps for 2 ms, so all who may take part do, unless the system is very late. */
        assert_true(threads_seen(&r) <= rows[i].most);
        assert_true(rows[i].most == 1 || threads_seen(&r) > 1);
    }
    team_destroy(team);
}

static void test_sleepers_are_woken_after_a_pause(void **state)
{
    (void)state;
    struct team *team = team_create(2, NULL);
    for (int i = 0; i < 5; i++) {
        struct record r = { .hold_ms = 3 };
        clock_sleep_ms(5);
        team_run(team, note, &r, 16);
        assert_each_once(&r, 16, 1);
        assert_int_equal(threads_seen(&r), 2);
    }
    team_destroy(team);
}

static void test_many_short_regions(void **state)
{
    static _Atomic uint32_t share;
    (void)state;
    struct team *team = team_create(3, &share);
    struct record r = { .hold_ms = 0 };
    for (uint32_t i = 1; i <= 3000; i++) {
        atomic_store(&share, i % 4);
        team_run(team, note, &r, 5);
    }
    assert_each_once(&r, 5, 3000);
    team_destroy(team);
    team_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_runs_once),
        cmocka_unit_test(test_the_share_is_read_at_every_region),
        cmocka_unit_test(test_sleepers_are_woken_after_a_pause),
        cmocka_unit_test(test_many_short_regions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
