/* learned_test.c — figures of workers: when they are told, and what they change. */
#include "supervisor/test_pool.h"
#include "supervisor/test_still.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)
#define ONE    ((struct model_settings){ .max_workers = 1 })

static void assert_ended(const struct test_request *r, enum weir_code code)
{
    assert_true(r->ended);
    if (r->error.code != code)
        fail_msg("ended with %s (%s), expected %s", error_name(r->error.code), r->error.text,
                 error_name(code));
}

static struct test_model *register_file(struct test_pool *t, const char *name, uint8_t digest)
{
    struct test_model *m = test_register(t, name, 100, 50, ONE);
    memset(m->plan.digest, digest, sizeof m->plan.digest);
    m->plan.tokens_max = 512;
    return m;
}

#ifdef WEIR_SANITIZED

static void sanitizers_learn_nothing(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = register_file(t, "m", 7);
    m->uses_bytes = 80 * MiB;
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, 20 * SECOND);
    assert_ended(r, WEIR_OK);
    assert_int_equal(t->heard.learned_count, 0);
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(sanitizers_learn_nothing) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

/* Once after the load with its time, then for each rise that is more than noise. */
static void rises_are_told_and_noise_is_not(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *m = register_file(t, "m", 7);
    test_submit(t, "m", "r", 0);
    test_run_until(t, SECOND);
    assert_int_equal(t->heard.learned_count, 1);
    assert_int_equal(t->heard.learned[0].load_ms, 500);
    assert_int_equal(t->heard.learned[0].context_bytes, 0);
    assert_int_equal(t->heard.learned[0].digest[31], 7);
    assert_int_equal(t->heard.learned[0].context, 512);
    assert_int_equal(t->heard.learned[0].slots, 1);
    assert_int_equal(t->heard.learned[0].threads, 1);
    const uint64_t uses[] = { 80 * MiB, 81 * MiB, 80 * MiB + 1500 * KiB, 82 * MiB, 60 * MiB };
    for (size_t i = 0; i < ARRAY_COUNT(uses); i++) {
        m->uses_bytes = uses[i];
        test_run_until(t, t->world.now_ms + 6 * SECOND);
    }
    assert_int_equal(t->heard.learned_count, 3);
    assert_int_equal(t->heard.learned[1].context_bytes, 80 * MiB);
    assert_int_equal(t->heard.learned[2].context_bytes, 82 * MiB);
    assert_int_equal(t->heard.learned[2].load_ms, 500);
    assert_int_equal(test_totals(t).leased_bytes, 182 * MiB);
    test_close(t);
}

/* 500 ms and 520 ms are the same; twice as long is not. */
static void the_time_of_a_load_is_told_when_it_changes_much(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    register_file(t, "m", 7);
    const int64_t loads[] = { 500, 520, 1000 };
    for (size_t i = 0; i < ARRAY_COUNT(loads); i++) {
        t->world.load_ms = loads[i];
        assert_ended((test_submit(t, "m", "e", 0), test_run_until(t, t->world.now_ms + 5 * SECOND),
                      &t->requests[i]),
                     WEIR_OK);
        assert_int_equal(supervisor_unload(t->supervisor, "m", NULL), WEIR_OK);
        test_run_until(t, t->world.now_ms + 10 * SECOND);
    }
    assert_int_equal(t->heard.learned_count, 2);
    assert_int_equal(t->heard.learned[0].load_ms, 500);
    assert_int_equal(t->heard.learned[1].load_ms, 1000);
    test_close(t);
}

/* What was learned in an earlier life is what the next worker is leased, if the plan says less, and
 * a smaller figure that comes later takes nothing back. */
static void a_claim_takes_the_larger_of_plan_and_learned(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    register_file(t, "m", 7);
    register_file(t, "n", 8);
    struct learned row = {
        .context = 512, .slots = 1, .threads = 1, .context_bytes = 90 * MiB, .load_ms = 700
    };
    memset(row.digest, 7, sizeof row.digest);
    supervisor_learn(t->supervisor, &row);
    row.context_bytes = 70 * MiB;
    supervisor_learn(t->supervisor, &row);
    row.threads = 2; /* another way of loading it */
    row.context_bytes = 500 * MiB;
    supervisor_learn(t->supervisor, &row);
    memset(row.digest, 8, sizeof row.digest);
    row.threads = 1;
    row.context_bytes = 20 * MiB;
    supervisor_learn(t->supervisor, &row);
    const struct test_request *m = test_submit(t, "m", "e", 0);
    test_run_until(t, 2 * SECOND);
    assert_ended(m, WEIR_OK);
    assert_int_equal(test_totals(t).leased_bytes, 190 * MiB);
    const struct test_request *n = test_submit(t, "n", "e", 0);
    test_run_until(t, 4 * SECOND);
    assert_ended(n, WEIR_OK);
    assert_int_equal(test_totals(t).leased_bytes, 190 * MiB + 150 * MiB);
    test_close(t);
}

/* A worker that needed more than the whole budget is not started again. */
static void what_was_learned_can_be_too_big(void **state)
{
    (void)state;
    struct test_pool *t = test_open(300, NULL);
    struct test_model *m = register_file(t, "m", 7);
    m->uses_bytes = 250 * MiB;
    const struct test_request *first = test_submit(t, "m", "e", 0);
    test_run_until(t, 20 * SECOND);
    assert_ended(first, WEIR_OK);
    assert_int_equal(test_workers(&t->world, m), 0); /* it left for the budget */
    const struct test_request *again = test_submit(t, "m", "e", 0);
    test_run_until(t, 25 * SECOND);
    assert_ended(again, WEIR_TOO_BIG);
    assert_int_equal(again->error.value, 350 * MiB);
    test_close(t);
}

/* The table is bounded: the oldest rows make room, and rows that name no file are not taken. */
static void the_table_is_bounded(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    register_file(t, "m", 7);
    struct learned row = {
        .context = 512, .slots = 1, .threads = 1, .context_bytes = 90 * MiB, .load_ms = 700
    };
    supervisor_learn(t->supervisor, &row);
    memset(row.digest, 7, sizeof row.digest);
    supervisor_learn(t->supervisor, &row);
    for (uint32_t i = 0; i < 1024; i++) {
        memcpy(row.digest, &i, sizeof i);
        supervisor_learn(t->supervisor, &row);
    }
    const struct test_request *r = test_submit(t, "m", "e", 0);
    test_run_until(t, 2 * SECOND);
    assert_ended(r, WEIR_OK);
    assert_int_equal(test_totals(t).leased_bytes, 150 * MiB);
    test_close(t);
}

/* A worker of a file of that digest, on a pool that stands still. */
static struct child *still_worker(struct test_still *t, uint8_t digest)
{
    struct model *m = still_model(t, 100);
    memset(m->plan.digest, digest, sizeof m->plan.digest);
    struct child *c = still_child(t, m, READY, 10);
    c->context = 512;
    return c;
}

static const struct learned *known_of(const struct test_still *t, const struct child *c)
{
    return learned_find(t->s, c->model, c->context, c->slots);
}

static void assert_use(struct test_still *t, struct child *c, uint64_t measured, uint64_t known)
{
    c->measured_bytes = measured;
    learned_use(t->s, c);
    assert_int_equal(known_of(t, c) != NULL ? known_of(t, c)->context_bytes : 0, known);
}

/* A rise matters from a MiB on, and when it is more than two parts in a hundred. */
static void a_use_is_learned_by_steps(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct child *c = still_worker(t, 7);
    assert_use(t, c, MiB - 1, 0);
    assert_null(known_of(t, c));
    assert_use(t, c, MiB, MiB);
    assert_use(t, c, 2 * MiB - 1, MiB);
    assert_use(t, c, 2 * MiB, 2 * MiB);
    assert_use(t, c, MiB, 2 * MiB);
    assert_use(t, c, 100 * MiB, 100 * MiB);
    assert_use(t, c, 102 * MiB, 100 * MiB);
    assert_use(t, c, 102 * MiB + 1, 102 * MiB + 1);
    assert_use(t, c, 5 * MiB, 102 * MiB + 1);
    still_close(t);
}

static void assert_load(struct test_still *t, struct child *c, int64_t load_ms, int64_t known)
{
    learned_load(t->s, c, load_ms);
    assert_int_equal(known_of(t, c)->load_ms, known);
}

/* A time matters from a tenth of a second on, and when it differs by more than a fifth. */
static void a_load_is_learned_by_steps(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct child *c = still_worker(t, 7);
    assert_load(t, c, 0, 1); /* 0 would say that it is not known */
    assert_load(t, c, 50, 1);
    assert_load(t, c, 101, 101);
    assert_load(t, c, 200, 101);
    assert_load(t, c, 201, 201);
    assert_load(t, c, 500, 500);
    assert_load(t, c, 600, 500);
    assert_load(t, c, 601, 601);
    assert_load(t, c, 500, 601);
    assert_load(t, c, 480, 480);
    assert_load(t, c, 384, 480);
    still_close(t);
}

/* No figure without a file, and one for each way of loading it. */
static void a_row_is_for_one_way_of_loading_one_file(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct child *c = still_worker(t, 7), *none = still_worker(t, 0);
    assert_use(t, none, 50 * MiB, 0);
    none->model->plan.digest[31] = 1; /* one byte makes a name */
    assert_use(t, none, 50 * MiB, 50 * MiB);
    assert_use(t, c, 50 * MiB, 50 * MiB);
    c->slots = 2;
    assert_null(known_of(t, c));
    c->slots = 1, c->context = 256;
    assert_null(known_of(t, c));
    c->context = 512, t->s->options.threads = 2;
    assert_null(known_of(t, c));
    t->s->options.threads = 1, c->model->settings.precision = PLAN_BF16;
    assert_null(known_of(t, c));
    c->model->settings.precision = PLAN_F32;
    assert_non_null(known_of(t, c));
    c->model->plan.digest[0]++;
    assert_null(known_of(t, c));
    assert_int_equal(t->s->learned.count, 2);
    still_close(t);
}

/* What a worker uses that packs its weights for itself says nothing of one that shares them. */
static void packed_weights_are_learned_apart(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct child *c = still_worker(t, 7);
    struct model *m = c->model;
    m->plan.packed_bytes[PLAN_F32] = 80 * MiB;
    assert_use(t, c, 90 * MiB, 90 * MiB);
    assert_int_equal(ledger_claim_of(t->s, m, 1, 512).context_bytes, 90 * MiB);
    m->preparation = PREPARATION_SHARED;
    assert_null(known_of(t, c));
    assert_int_equal(ledger_claim_of(t->s, m, 1, 512).context_bytes, 0);
    c->lease.packed = true;
    assert_use(t, c, 5 * MiB, 5 * MiB);
    assert_int_equal(ledger_claim_of(t->s, m, 1, 512).context_bytes, 5 * MiB);
    m->preparation = PREPARATION_FAILED;
    assert_int_equal(known_of(t, c)->context_bytes, 90 * MiB);
    still_close(t);
}

/* What a file kept between two lives may hold anything. */
static void figures_of_an_earlier_life_are_looked_at(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct child *c = still_worker(t, 7);
    struct learned row = { .context = 512, .threads = 1, .context_bytes = 9 * MiB, .load_ms = 5 };
    supervisor_learn(t->s, &row);
    memcpy(row.digest, c->model->plan.digest, sizeof row.digest);
    supervisor_learn(t->s, &row);
    row.slots = 1, row.load_ms = -1;
    supervisor_learn(t->s, &row);
    row.load_ms = 0, row.precision = PLAN_PRECISIONS;
    supervisor_learn(t->s, &row);
    assert_int_equal(t->s->learned.count, 0);
    row.precision = PLAN_F32; /* and no load was timed */
    supervisor_learn(t->s, &row);
    assert_int_equal(known_of(t, c)->context_bytes, 9 * MiB);
    assert_int_equal(known_of(t, c)->load_ms, 0);
    row.load_ms = 1, row.context_bytes = 8 * MiB;
    supervisor_learn(t->s, &row);
    assert_int_equal(known_of(t, c)->context_bytes, 9 * MiB);
    assert_int_equal(known_of(t, c)->load_ms, 1);
    row.load_ms = 0, row.context_bytes = 10 * MiB;
    supervisor_learn(t->s, &row);
    assert_int_equal(known_of(t, c)->context_bytes, 10 * MiB);
    row.context_bytes = t->s->facts.total_bytes + 1; /* measured on a larger machine */
    supervisor_learn(t->s, &row);
    assert_int_equal(known_of(t, c)->context_bytes, 10 * MiB);
    row.context_bytes = t->s->facts.total_bytes;
    supervisor_learn(t->s, &row);
    assert_int_equal(known_of(t, c)->context_bytes, t->s->facts.total_bytes);
    assert_int_equal(known_of(t, c)->load_ms, 1);
    still_close(t);
}

/* As many as there are rows are kept; then the one learned longest ago goes, one for each. */
static void the_oldest_row_makes_room(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct child *c = still_worker(t, 7);
    struct learned row = { .context = 512, .slots = 1, .threads = 1, .context_bytes = MiB };
    memset(row.digest, 7, sizeof row.digest);
    for (uint32_t i = 0; i < LEARNED_ROWS + 2; i++) {
        row.context = 1 + i;
        supervisor_learn(t->s, &row);
    }
    assert_int_equal(t->s->learned.count, LEARNED_ROWS);
    for (uint32_t i = 0; i < LEARNED_ROWS + 2; i++) {
        c->context = 1 + i;
        assert_int_equal(known_of(t, c) != NULL, i >= 2);
    }
    still_close(t);
}

/* Until it was loaded in this life a model's load takes as long as in an earlier one. */
static void an_earlier_life_knows_how_long_a_load_takes(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    register_file(t, "m", 7);
    struct learned row = { .context = 512, .slots = 1, .threads = 1, .load_ms = 7000 };
    memset(row.digest, 7, sizeof row.digest);
    supervisor_learn(t->supervisor, &row);
    const struct model *m = model_find(t->supervisor, "m");
    test_submit(t, "m", "e", 0);
    test_run_until(t, 100);
    assert_int_equal(m->load_ms, 7000);
    test_run_until(t, 2 * SECOND);
    assert_int_equal(m->load_ms, 500);
    row.load_ms = 9000; /* news of another life, which are old */
    supervisor_learn(t->supervisor, &row);
    assert_int_equal(supervisor_unload(t->supervisor, "m", NULL), WEIR_OK);
    test_run_until(t, 5 * SECOND);
    test_submit(t, "m", "e", 0);
    test_run_until(t, 5100);
    assert_int_equal(m->load_ms, 500);
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rises_are_told_and_noise_is_not),
        cmocka_unit_test(the_time_of_a_load_is_told_when_it_changes_much),
        cmocka_unit_test(a_claim_takes_the_larger_of_plan_and_learned),
        cmocka_unit_test(what_was_learned_can_be_too_big),
        cmocka_unit_test(the_table_is_bounded),
        cmocka_unit_test(a_use_is_learned_by_steps),
        cmocka_unit_test(a_load_is_learned_by_steps),
        cmocka_unit_test(a_row_is_for_one_way_of_loading_one_file),
        cmocka_unit_test(packed_weights_are_learned_apart),
        cmocka_unit_test(figures_of_an_earlier_life_are_looked_at),
        cmocka_unit_test(the_oldest_row_makes_room),
        cmocka_unit_test(an_earlier_life_knows_how_long_a_load_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
