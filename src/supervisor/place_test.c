/* place_test.c — which worker a job goes to, and how the cores are shared. */
#include "supervisor/state.h"
#include "supervisor/test_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)

/* Two workers of four slots, ids 2 and 3, both ready. */
static struct test_pool *warm_pool(uint64_t per_token_bytes)
{
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = test_register(
        t, "m", 100, 10, (struct model_settings){ .slots = 4, .min_workers = 2, .context = 8 });
    m->plan.per_token_bytes = per_token_bytes;
    m->plan.positions = 8;
    test_run_until(t, 3 * SECOND);
    CHECK(t->world.processes[2].loaded && t->world.processes[3].loaded);
    return t;
}

static void jobs_spread_unless_each_token_takes_memory(void **state)
{
    (void)state;
    for (uint64_t per_token = 0; per_token < 2; per_token++) {
        struct test_pool *t = warm_pool(per_token);
        for (int i = 0; i < 4; i++)
            test_submit(t, "m", "r", 0);
        test_run_until(t, 4 * SECOND);
        const struct test_process *p = t->world.processes;
        assert_int_equal(p[2].runs + p[3].runs, 4);
        assert_int_equal(p[2].runs > p[3].runs ? p[2].runs : p[3].runs, per_token > 0 ? 4 : 2);
        test_submit(t, "m", "r", 0);
        test_run_until(t, 5 * SECOND);
        assert_int_equal(p[2].runs + p[3].runs, 5); /* a full one is passed over */
        test_close(t);
    }
}

static void a_conversation_goes_where_it_went(void **state)
{
    (void)state;
    struct test_pool *t = warm_pool(0);
    const struct test_process *p = t->world.processes;
    t->next.affinity = 77;
    test_submit(t, "m", "r", 0);
    test_run_until(t, 4 * SECOND);
    const uint32_t home = p[2].runs > 0 ? 2 : 3;
    for (int i = 0; i < 3; i++)
        test_submit(t, "m", "r", 0); /* although the other has nothing to do */
    test_run_until(t, 5 * SECOND);
    assert_int_equal(p[home].runs, 4);
    test_submit(t, "m", "r", 0); /* no slot is left there */
    test_run_until(t, 6 * SECOND);
    assert_int_equal(p[5 - home].runs, 1);
    t->next.affinity = 78;
    test_submit(t, "m", "r", 0);
    test_run_until(t, 7 * SECOND);
    assert_int_equal(p[5 - home].runs, 2);
    test_close(t);
}

static void a_worker_knows_its_last_conversations(void **state)
{
    (void)state;
    struct child *c = mem_new(1, sizeof *c);
    for (uint64_t key = 1; key <= AFFINITIES; key++)
        child_remember(c, key);
    child_remember(c, 1); /* asked for again */
    child_remember(c, 1000);
    child_remember(c, 0); /* none */
    assert_int_equal(c->affinity[0], 1000);
    assert_int_equal(c->affinity[1], 1);
    assert_int_equal(c->affinity[2], AFFINITIES);
    assert_int_equal(c->affinity[AFFINITIES - 1], 3); /* 2 made room */
    /* What stands behind them is not touched: its byte is 0, not only what a bool makes of it. */
    assert_int_equal(*(const unsigned char *)&c->hello, 0);
    mem_free(c);
}

/* The same busy workers have the same shares, in whatever order they became busy. */
static void shares_depend_on_who_is_busy_alone(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    t->supervisor->options.threads = 8;
    static const char *const names[] = { "a", "b", "c" };
    for (int i = 0; i < 3; i++)
        test_register(t, names[i], 100, 10, (struct model_settings){ .max_workers = 1 });
    for (int i = 0; i < 3; i++)
        test_submit(t, names[i], "e", 0);
    test_run_until(t, 3 * SECOND);
    static const int orders[][3] = {
        {0,  1, 2},
        { 2, 0, 1},
        { 1, 2, 0}
    };
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++) {
            test_submit(t, names[orders[round][i]], "r", 0);
            test_run_until(t, t->world.now_ms + 10);
        }
        uint32_t last = 3, sum = 0;
        for (uint32_t id = 1; id < TEST_PROCESSES; id++) {
            const struct test_process *p = &t->world.processes[id];
            if (!p->loaded || p->kind != SPAWN_WORK)
                continue;
            assert_true(p->threads <= last && p->threads >= 2);
            last = p->threads;
            sum += p->threads;
        }
        assert_int_equal(sum, 8);
        test_finish_jobs(&t->world);
        test_run_until(t, t->world.now_ms + SECOND);
        assert_int_equal(t->supervisor->busy_count, 0);
    }
    test_close(t);
}

/* What waits is not placed before it is known what the model can: then it is answered. */
static void a_capability_that_turns_out_missing_is_refused(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    test_register(t, "m", 100, 10, (struct model_settings){ .max_workers = 1 });
    t->next.capability = WEIR_VISION;
    const struct test_request *sees = test_submit(t, "m", "e", 0);
    t->next.capability = WEIR_TEXT_EMBEDDING;
    const struct test_request *embeds = test_submit(t, "m", "e", 0);
    test_run_until(t, 3 * SECOND);
    assert_true(sees->ended && embeds->ended);
    assert_int_equal(sees->error.code, WEIR_INVALID);
    assert_string_equal(sees->error.text, "model 'm' (fake) is not for vision");
    assert_int_equal(embeds->error.code, WEIR_OK);
    test_close(t);
}

/* Among workers with nothing to do the one used last, of equals the older one. */
static void a_surplus_worker_is_left_quiet(void **state)
{
    (void)state;
    struct test_pool *t = warm_pool(0);
    struct test_process *p = t->world.processes;
    test_submit(t, "m", "r", 0);
    test_submit(t, "m", "r", 0);
    test_run_until(t, 4 * SECOND);
    assert_true(p[2].runs == 1 && p[3].runs == 1);
    test_finish_jobs(&t->world);
    test_run_until(t, 5 * SECOND);
    test_submit(t, "m", "e", 0);
    test_run_until(t, 6 * SECOND);
    assert_int_equal(p[2].runs, 2);
    test_submit(t, "m", "r", 0);
    test_submit(t, "m", "r", 0);
    test_run_until(t, 7 * SECOND);
    assert_true(p[2].runs == 3 && p[3].runs == 2);
    p[2].jobs[0].due_ms = t->world.now_ms;
    test_run_until(t, 8 * SECOND);
    p[3].jobs[0].due_ms = t->world.now_ms;
    test_run_until(t, 9 * SECOND);
    test_submit(t, "m", "e", 0);
    test_run_until(t, 10 * SECOND);
    assert_int_equal(p[3].runs, 3);
    test_close(t);
}

/* While every worker has jobs the one with the fewest gets no more, until it is empty and the job
 * that must run alone has it for itself. */
static void a_job_that_must_run_alone_empties_a_worker(void **state)
{
    (void)state;
    struct test_pool *t = warm_pool(0);
    struct test_process *p = t->world.processes;
    for (int i = 0; i < 3; i++)
        test_submit(t, "m", "r", 0);
    test_run_until(t, 4 * SECOND);
    const uint32_t few = p[2].runs == 1 ? 2 : 3, many = 5 - few;
    assert_true(p[few].runs == 1 && p[many].runs == 2);
    const struct test_request *alone = test_submit(t, "m", "r", 0);
    const struct request *r = map_get(&t->supervisor->requests, map_id(&alone->id));
    queue_remove(t->supervisor, r->job);
    r->job->alone = true;
    queue_push(t->supervisor, r->job, true);
    test_submit(t, "m", "r", 0);
    test_run_until(t, 5 * SECOND);
    assert_true(p[few].runs == 1 && p[many].runs == 3);
    p[few].jobs[0].due_ms = t->world.now_ms;
    test_run_until(t, 6 * SECOND);
    assert_int_equal(p[few].runs, 2);
    for (int i = 0; i < 2; i++) /* one slot is left elsewhere, and three here that nobody gets */
        test_submit(t, "m", "r", 0);
    test_run_until(t, 7 * SECOND);
    assert_true(p[few].runs == 2 && p[many].runs == 4);
    p[few].jobs[0].due_ms = t->world.now_ms;
    test_run_until(t, 8 * SECOND);
    assert_true(alone->ended);
    assert_int_equal(p[few].runs, 3);
    test_close(t);
}

/* Nobody computes with less than one thread, and who computes alone has all of them. */
static void a_share_is_at_least_one_thread(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 3; threads++) {
        struct test_pool *t = warm_pool(0);
        const struct test_process *p = t->world.processes;
        t->supervisor->options.threads = threads;
        test_submit(t, "m", "r", 0);
        test_run_until(t, 4 * SECOND);
        assert_int_equal(p[p[2].runs > 0 ? 2 : 3].threads, threads);
        test_submit(t, "m", "r", 0);
        test_run_until(t, 5 * SECOND);
        assert_int_equal(p[2].threads, threads == 3 ? 2 : 1);
        assert_int_equal(p[3].threads, 1);
        test_close(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_spread_unless_each_token_takes_memory),
        cmocka_unit_test(a_conversation_goes_where_it_went),
        cmocka_unit_test(a_worker_knows_its_last_conversations),
        cmocka_unit_test(shares_depend_on_who_is_busy_alone),
        cmocka_unit_test(a_capability_that_turns_out_missing_is_refused),
        cmocka_unit_test(a_surplus_worker_is_left_quiet),
        cmocka_unit_test(a_job_that_must_run_alone_empties_a_worker),
        cmocka_unit_test(a_share_is_at_least_one_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
