#include "supervisor/governor.h"

#include "base/rand.h"
#include "base/size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct ledger ledger_of(uint64_t budget, uint64_t leased)
{
    return (struct ledger){ .budget_bytes = budget,
                            .leased_bytes = leased,
                            .available_bytes = UINT64_MAX / 2 };
}

static void grants_to_the_last_byte(void **state)
{
    (void)state;
    const struct ledger l = ledger_of(10 * GiB, 4 * GiB);
    const struct claim fits = { .weights_bytes = 5 * GiB, .context_bytes = 1 * GiB };
    const struct claim more = { .weights_bytes = 5 * GiB, .context_bytes = 1 * GiB + 1 };
    struct judgement j = judge(&l, &fits, NULL, 0, NULL);
    assert_int_equal(j.verdict, VERDICT_GRANT);
    assert_int_equal(j.need_bytes, 6 * GiB);
    assert_int_equal(judge(&l, &more, NULL, 0, NULL).verdict, VERDICT_WAIT);
}

static void never_is_what_no_departure_can_make_room_for(void **state)
{
    (void)state;
    struct ledger l = ledger_of(10 * GiB, 0);
    const struct claim c = { .context_bytes = 8 * GiB };
    assert_int_equal(judge(&l, &c, NULL, 0, NULL).verdict, VERDICT_GRANT);
    l.pinned_bytes = l.leased_bytes = 2 * GiB;
    assert_int_equal(judge(&l, &c, NULL, 0, NULL).verdict, VERDICT_GRANT);
    l.pinned_bytes = l.leased_bytes = 2 * GiB + 1;
    assert_int_equal(judge(&l, &c, NULL, 0, NULL).verdict, VERDICT_NEVER);
    const struct claim endless = { .weights_bytes = UINT64_MAX, .context_bytes = UINT64_MAX };
    assert_int_equal(judge(&l, &endless, NULL, 0, NULL).verdict, VERDICT_NEVER);
}

static void waits_for_what_is_leaving_already(void **state)
{
    (void)state;
    struct ledger l = ledger_of(10 * GiB, 9 * GiB);
    const struct claim c = { .context_bytes = 3 * GiB };
    const struct resident idle = {
        .id = 1, .model = 1, .context_bytes = 5 * GiB, .model_holders = 1, .may_leave = true
    };
    size_t victims[1];
    l.leaving_bytes = 2 * GiB;
    assert_int_equal(judge(&l, &c, &idle, 1, victims).verdict, VERDICT_WAIT);
    l.leaving_bytes = 2 * GiB - 1;
    assert_int_equal(judge(&l, &c, &idle, 1, victims).verdict, VERDICT_EVICT);
}

/* What other programs use counts, and what loading workers are still going to use. */
static void looks_at_the_machine_too(void **state)
{
    (void)state;
    struct ledger l = ledger_of(10 * GiB, 0);
    const struct claim c = { .context_bytes = 1 * GiB };
    l.available_bytes = 1 * GiB + GOVERNOR_RESERVE_BYTES;
    assert_int_equal(judge(&l, &c, NULL, 0, NULL).verdict, VERDICT_GRANT);
    l.untouched_bytes = 1;
    assert_int_equal(judge(&l, &c, NULL, 0, NULL).verdict, VERDICT_WAIT);
    l.untouched_bytes = 0;
    l.available_bytes--;
    assert_int_equal(judge(&l, &c, NULL, 0, NULL).verdict, VERDICT_WAIT);
}

static struct resident worker(uint32_t id, uint32_t model, uint64_t context, int64_t used_ms,
                              uint32_t holders)
{
    return (struct resident){ .id = id,
                              .model = model,
                              .weights_bytes = 4 * GiB,
                              .context_bytes = context,
                              .last_used_ms = used_ms,
                              .model_holders = holders,
                              .may_leave = true };
}

/* Worker 1 is the last of its model and was used least lately; 2 is the surplus one of another. */
static void surplus_workers_leave_before_last_ones(void **state)
{
    (void)state;
    const struct resident all[] = { worker(1, 1, 1 * GiB, 10, 1), worker(2, 2, 1 * GiB, 500, 2),
                                    worker(3, 2, 1 * GiB, 600, 2) };
    const struct ledger l = ledger_of(12 * GiB, 11 * GiB);
    const struct claim one = { .context_bytes = 2 * GiB };
    size_t victims[3];
    struct judgement j = judge(&l, &one, all, 3, victims);
    assert_int_equal(j.verdict, VERDICT_EVICT);
    assert_int_equal(j.victims_count, 1);
    assert_int_equal(all[victims[0]].id, 2);
    assert_int_equal(j.freed_bytes, 1 * GiB);
}

/* The last worker takes the weights with it, and nobody leaves who is not needed. */
static void a_last_worker_frees_its_weights_and_the_set_is_pruned(void **state)
{
    (void)state;
    const struct resident all[] = { worker(1, 1, 1 * GiB, 10, 1), worker(2, 2, 1 * GiB, 500, 2),
                                    worker(3, 2, 1 * GiB, 600, 2) };
    const struct ledger l = ledger_of(12 * GiB, 11 * GiB);
    const struct claim five = { .context_bytes = 6 * GiB };
    size_t victims[3];
    struct judgement j = judge(&l, &five, all, 3, victims);
    assert_int_equal(j.verdict, VERDICT_EVICT);
    assert_int_equal(j.victims_count, 1);
    assert_int_equal(all[victims[0]].id, 1);
    assert_int_equal(j.freed_bytes, 5 * GiB);
}

static void enough_or_nobody(void **state)
{
    (void)state;
    struct resident all[] = { worker(1, 1, 1 * GiB, 10, 1), worker(2, 2, 1 * GiB, 500, 2) };
    const struct ledger l = ledger_of(20 * GiB, 19 * GiB);
    const struct claim c = { .context_bytes = 8 * GiB };
    size_t victims[2];
    /* Worker 2 does not free the weights of its model: one of that model stays. */
    struct judgement j = judge(&l, &c, all, 2, victims);
    assert_int_equal(j.verdict, VERDICT_WAIT);
    assert_int_equal(j.victims_count, 0);
    all[0].may_leave = false;
    const struct claim small = { .context_bytes = 3 * GiB };
    assert_int_equal(judge(&l, &small, all, 2, victims).verdict, VERDICT_WAIT);
}

static uint64_t freed(const struct resident *all, const size_t *set, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t of_model = 0, before = 0;
        for (size_t k = 0; k < count; k++)
            if (all[set[k]].model == all[set[i]].model) {
                of_model++;
                before += k < i;
            }
        sum += all[set[i]].context_bytes;
        if (before == 0 && of_model == all[set[i]].model_holders)
            sum += all[set[i]].weights_bytes;
    }
    return sum;
}

/* For any pool: a grant fits, victims may leave, suffice, and none of them can be left out. */
static void every_verdict_keeps_its_word(void **state)
{
    (void)state;
    struct rng r;
    rand_seed(&r, 7);
    uint32_t seen[VERDICT_COUNT] = { 0 };
    for (int round = 0; round < 20000; round++) {
        struct resident all[8];
        uint32_t holders[3] = { 0 };
        const size_t count = rand_below(&r, 9);
        uint64_t leased = 0;
        for (size_t i = 0; i < count; i++) {
            const uint32_t model = (uint32_t)rand_below(&r, 3);
            all[i] =
                worker((uint32_t)i, model, 1 + rand_below(&r, 50), (int64_t)rand_below(&r, 5), 0);
            all[i].weights_bytes = 60 * (model + 1);
            all[i].may_leave = rand_below(&r, 4) > 0;
            leased += all[i].context_bytes + (holders[model]++ == 0 ? all[i].weights_bytes : 0);
        }
        for (size_t i = 0; i < count; i++)
            all[i].model_holders = holders[all[i].model];
        const struct ledger l = ledger_of(leased + rand_below(&r, 80), leased);
        const struct claim c = { .context_bytes = 1 + rand_below(&r, 400) };
        size_t victims[8], fewer[8];
        const struct judgement j = judge(&l, &c, all, count, victims);
        seen[j.verdict]++;
        const uint64_t free_bytes = l.budget_bytes - l.leased_bytes;
        assert_true((j.verdict == VERDICT_GRANT) == (j.need_bytes <= free_bytes));
        if (j.verdict != VERDICT_EVICT)
            continue;
        assert_int_equal(j.freed_bytes, freed(all, victims, j.victims_count));
        assert_true(j.freed_bytes >= j.need_bytes - free_bytes);
        for (size_t out = 0; out < j.victims_count; out++) {
            size_t n = 0;
            for (size_t i = 0; i < j.victims_count; i++)
                if (i != out)
                    fewer[n++] = victims[i];
            assert_true(all[victims[out]].may_leave);
            assert_true(freed(all, fewer, n) < j.need_bytes - free_bytes);
        }
    }
    for (size_t i = 0; i < VERDICT_COUNT; i++)
        assert_true(seen[i] > 100);
}

/* What waits in front is let have what is leaving for it, and no more. */
static void what_is_held_is_not_free(void **state)
{
    (void)state;
    struct ledger l = ledger_of(10 * GiB, 6 * GiB);
    const struct claim c = { .context_bytes = 2 * GiB };
    l.leaving_bytes = 4 * GiB;
    l.held_bytes = 6 * GiB;
    assert_int_equal(judge(&l, &c, NULL, 0, NULL).verdict, VERDICT_GRANT);
    l.held_bytes++;
    struct judgement j = judge(&l, &c, NULL, 0, NULL);
    assert_int_equal(j.verdict, VERDICT_WAIT);
    assert_int_equal(j.waits, WAITS_TURN);
}

static void says_what_it_waits_for(void **state)
{
    (void)state;
    struct ledger l = ledger_of(10 * GiB, 6 * GiB);
    const struct claim c = { .context_bytes = 5 * GiB };
    assert_int_equal(judge(&l, &c, NULL, 0, NULL).waits, WAITS_BUSY);
    l.leaving_bytes = 1 * GiB;
    assert_int_equal(judge(&l, &c, NULL, 0, NULL).waits, WAITS_LEAVING);
    l.available_bytes = 0; /* 5 GiB and the reserve are missing, and 6 GiB are ours */
    assert_int_equal(judge(&l, &c, NULL, 0, NULL).waits, WAITS_BUSY);
    l.pinned_bytes = 1 * GiB; /* now only 5 that may ever leave */
    assert_int_equal(judge(&l, &c, NULL, 0, NULL).waits, WAITS_OTHERS);
    assert_string_equal(waits_text(WAITS_OTHERS), "memory that other programs use");
}

static void nobody_leaves_for_a_worker_of_its_own_model(void **state)
{
    (void)state;
    const struct resident all[] = { worker(1, 1, 1 * GiB, 10, 1), worker(2, 2, 1 * GiB, 500, 1) };
    const struct ledger l = ledger_of(10 * GiB, 10 * GiB);
    const struct claim c = { .context_bytes = 1 * GiB, .model = 1 };
    size_t victims[2];
    struct judgement j = judge(&l, &c, all, 2, victims);
    assert_int_equal(j.verdict, VERDICT_EVICT);
    assert_int_equal(j.victims_count, 1);
    assert_int_equal(victims[0], 1);
}

/* A claim gets enough or nobody leaves for it; a machine that is short of memory takes what it can
 * get. */
static void a_surplus_leaves_as_far_as_it_may(void **state)
{
    (void)state;
    struct resident all[] = { worker(1, 1, 1 * GiB, 10, 1), worker(2, 2, 1 * GiB, 500, 1) };
    struct ledger l = ledger_of(20 * GiB, 20 * GiB);
    size_t victims[2];
    assert_int_equal(judge_surplus(&l, all, 2, victims).verdict, VERDICT_GRANT);
    l.withheld_bytes = 2 * GiB;
    struct judgement j = judge_surplus(&l, all, 2, victims);
    assert_int_equal(j.verdict, VERDICT_EVICT);
    assert_int_equal(j.victims_count, 1);
    assert_int_equal(all[victims[0]].id, 1);
    assert_int_equal(j.need_bytes, 2 * GiB);
    l.withheld_bytes = 15 * GiB;
    j = judge_surplus(&l, all, 2, victims);
    assert_int_equal(j.victims_count, 2);
    assert_int_equal(j.freed_bytes, 10 * GiB);
    l.leaving_bytes = 15 * GiB;
    assert_int_equal(judge_surplus(&l, all, 2, victims).verdict, VERDICT_WAIT);
    assert_int_equal(judge_surplus(&l, all, 2, victims).waits, WAITS_LEAVING);
    l.leaving_bytes--; /* a byte is missing */
    assert_int_equal(judge_surplus(&l, all, 2, victims).victims_count, 1);
    l.leaving_bytes = 0;
    all[0].may_leave = all[1].may_leave = false;
    assert_int_equal(judge_surplus(&l, all, 2, victims).verdict, VERDICT_WAIT);
}

/* p = 0.9 of 100: 5 too much. */
static void critical_pressure_withholds(void **state)
{
    (void)state;
    assert_int_equal(governor_withheld(100, 10, 60, 70), 70 - 55);
    assert_int_equal(governor_withheld(100, 15, 60, 70), 70 - 60);
    assert_int_equal(governor_withheld(100, 16, 60, 70), 0);
    assert_int_equal(governor_withheld(100, 0, 10, 70), 70);
    assert_int_equal(governor_withheld(100, 10, 90, 70), 0); /* 85 are more than the budget */
    assert_int_equal(governor_withheld(0, 0, 0, 70), 0);
}

/* Two thousand workers of a thousand models, all of whom have to leave but a few: what such a
 * judgement costs is nothing that a turn would feel. The bound is a hundred times what it takes. */
static void a_crowd_is_judged_quickly(void **state)
{
    (void)state;
    enum { CROWD = 2000, ROUNDS = 20 };
    static struct resident all[CROWD];
    static size_t victims[CROWD];
    for (size_t i = 0; i < CROWD; i++)
        all[i] = worker((uint32_t)i + 1, (uint32_t)(i * 7919 % (CROWD / 2)) + 1, GiB,
                        (int64_t)(i * 104729 % 65536), 2);
    const struct ledger l = ledger_of(6000 * GiB, 6000 * GiB);
    const struct claim c = { .context_bytes = 5990 * GiB };
    const clock_t began = clock();
    for (int round = 0; round < ROUNDS; round++) {
        struct judgement j = judge(&l, &c, all, CROWD, victims);
        assert_int_equal(j.verdict, VERDICT_EVICT);
        assert_true(j.freed_bytes >= 5990 * GiB && j.victims_count > 1990);
    }
    assert_true((double)(clock() - began) / CLOCKS_PER_SEC < 0.1 * ROUNDS);
}

static void budgets(void **state)
{
    (void)state;
    assert_int_equal(governor_budget(10 * GiB, 0, 0), 6 * GiB);
    assert_int_equal(governor_budget(4 * GiB, 0, 0), 2 * GiB); /* 80 % - 2 GiB is less than half */
    assert_int_equal(governor_budget(64 * GiB, 8 * GiB, 0), 8 * GiB);
    assert_int_equal(governor_budget(8 * GiB, 100 * GiB, 0), 8 * GiB - GOVERNOR_RESERVE_BYTES);
    assert_int_equal(governor_budget(100 * MiB, 0, 0), 0); /* never wraps */
    assert_int_equal(governor_budget(10000, 0, 50), 0);
    assert_int_equal(governor_budget(100 * GiB, 0, 30), 30 * GiB);
    assert_int_equal(governor_budget(100 * GiB, 0, 1), 1 * GiB);
    assert_int_equal(governor_budget(100 * GiB + 50, 0, 50), 50 * GiB + 25);
    assert_int_equal(governor_budget(100 * GiB, 1, 50), 1); /* bytes count before percent */
}

static void pressures(void **state)
{
    (void)state;
    assert_int_equal(governor_pressure(1000, 501), PRESSURE_LOW);
    assert_int_equal(governor_pressure(1000, 500), PRESSURE_NORMAL);
    assert_int_equal(governor_pressure(1000, 301), PRESSURE_NORMAL);
    assert_int_equal(governor_pressure(1000, 300), PRESSURE_HIGH);
    assert_int_equal(governor_pressure(1000, 151), PRESSURE_HIGH);
    assert_int_equal(governor_pressure(1000, 150), PRESSURE_CRITICAL);
    assert_int_equal(governor_pressure(1000, 149), PRESSURE_CRITICAL);
    assert_int_equal(governor_pressure(1000, 5000), PRESSURE_LOW);
    assert_int_equal(governor_pressure(0, 0), PRESSURE_LOW);
    assert_int_equal(governor_pressure(1, 0), PRESSURE_CRITICAL);
    assert_string_equal(pressure_name(PRESSURE_CRITICAL), "Critical");
    assert_string_equal(verdict_name(VERDICT_NEVER), "never");
}

static struct resident loner(uint32_t id, uint64_t bytes, int64_t used_ms)
{
    return (struct resident){ .id = id,
                              .model = id,
                              .context_bytes = bytes,
                              .last_used_ms = used_ms,
                              .model_holders = 1,
                              .may_leave = true };
}

/* Who leaves for a claim of `need`, of a pool of 100 that is full: "1 3". */
static void assert_leave(const struct resident *all, size_t count, uint64_t need, const char *who)
{
    const struct ledger l = ledger_of(100, 100);
    const struct claim c = { .context_bytes = need };
    size_t victims[8];
    char left[64] = "";
    const struct judgement j = judge(&l, &c, all, count, victims);
    for (size_t i = 0; i < j.victims_count; i++)
        snprintf(left + strlen(left), sizeof left - strlen(left), "%s%u", i > 0 ? " " : "",
                 all[victims[i]].id);
    assert_string_equal(left, who);
}

/* The largest that the set can do without stays, of equals the one that stands first; and they
 * leave in their order. */
static void the_largest_that_can_be_spared_stays(void **state)
{
    (void)state;
    const struct resident sizes[] = { loner(1, 1, 10), loner(2, 2, 20), loner(3, 3, 30) };
    assert_leave(sizes, 3, 4, "1 3");
    assert_leave(sizes, 3, 3, "1 2");
    assert_leave(sizes, 3, 6, "1 2 3");
    const struct resident equals[] = { loner(1, 1, 10), loner(2, 1, 20), loner(3, 5, 30) };
    assert_leave(equals, 3, 6, "2 3");
    struct resident heavy[] = { loner(1, 3, 10), loner(2, 1, 20), loner(3, 5, 30) };
    heavy[1].weights_bytes = 9; /* a size is both */
    assert_leave(heavy, 3, 8, "2");
    const struct resident unordered[] = { loner(3, 2, 30), loner(1, 2, 10), loner(2, 2, 10) };
    assert_leave(unordered, 3, 2, "1"); /* of two used in one moment the first that was started */
    assert_leave(unordered, 3, 4, "1 2");
}

/* A model whose workers may all leave loses its least recently used one first, wherever it
 * stands. */
static void the_last_worker_is_the_one_used_last(void **state)
{
    (void)state;
    struct resident all[] = { loner(1, 1, 50), loner(2, 1, 40), loner(3, 1, 60) };
    for (size_t i = 0; i < 3; i++) {
        all[i].model = 7;
        all[i].weights_bytes = 20;
        all[i].model_holders = 3;
    }
    assert_leave(all, 3, 1, "2");
    assert_leave(all, 3, 2, "2 1");
    assert_leave(all, 3, 23, "2 1 3");
    assert_leave(all, 3, 24, "");
    all[2].may_leave = false; /* one stays, so both others are surplus */
    const struct resident other[] = { all[0], all[1], loner(4, 9, 10) };
    assert_leave(other, 3, 2, "2 1");
}

/* To the byte: all that is ours would do, and one byte more would not. */
static void what_is_ours_may_just_suffice(void **state)
{
    (void)state;
    struct ledger l = ledger_of(10 * GiB, 6 * GiB);
    const struct claim c = { .context_bytes = 1 * GiB };
    l.pinned_bytes = 1 * GiB;
    l.available_bytes = 0;
    l.untouched_bytes = 4 * GiB - GOVERNOR_RESERVE_BYTES;
    assert_int_equal(judge(&l, &c, NULL, 0, NULL).waits, WAITS_BUSY);
    l.untouched_bytes++;
    assert_int_equal(judge(&l, &c, NULL, 0, NULL).waits, WAITS_OTHERS);
    l.leaving_bytes = 6 * GiB; /* it does not help either */
    assert_int_equal(judge(&l, &c, NULL, 0, NULL).waits, WAITS_OTHERS);
}

/* What pressure withholds is no part of the budget, and still it is no reason for a never. */
static void a_withheld_budget_makes_a_claim_wait(void **state)
{
    (void)state;
    struct ledger l = ledger_of(10 * GiB, 4 * GiB);
    const struct claim c = { .context_bytes = 6 * GiB };
    assert_int_equal(judge(&l, &c, NULL, 0, NULL).verdict, VERDICT_GRANT);
    l.withheld_bytes = 1;
    assert_int_equal(judge(&l, &c, NULL, 0, NULL).verdict, VERDICT_WAIT);
    l.withheld_bytes = 20 * GiB;
    assert_int_equal(judge(&l, &c, NULL, 0, NULL).verdict, VERDICT_WAIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grants_to_the_last_byte),
        cmocka_unit_test(never_is_what_no_departure_can_make_room_for),
        cmocka_unit_test(waits_for_what_is_leaving_already),
        cmocka_unit_test(looks_at_the_machine_too),
        cmocka_unit_test(surplus_workers_leave_before_last_ones),
        cmocka_unit_test(a_last_worker_frees_its_weights_and_the_set_is_pruned),
        cmocka_unit_test(enough_or_nobody),
        cmocka_unit_test(every_verdict_keeps_its_word),
        cmocka_unit_test(what_is_held_is_not_free),
        cmocka_unit_test(says_what_it_waits_for),
        cmocka_unit_test(nobody_leaves_for_a_worker_of_its_own_model),
        cmocka_unit_test(a_surplus_leaves_as_far_as_it_may),
        cmocka_unit_test(critical_pressure_withholds),
        cmocka_unit_test(a_crowd_is_judged_quickly),
        cmocka_unit_test(budgets),
        cmocka_unit_test(pressures),
        cmocka_unit_test(the_largest_that_can_be_spared_stays),
        cmocka_unit_test(the_last_worker_is_the_one_used_last),
        cmocka_unit_test(what_is_ours_may_just_suffice),
        cmocka_unit_test(a_withheld_budget_makes_a_claim_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
