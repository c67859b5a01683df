/* ledger_test.c — how leases move, what a model claims, and what the judge is shown. */
#include "supervisor/test_still.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)

/* Weights once a model, context once a worker; all of it is back with the last exit. */
static void weights_are_leased_once(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct supervisor *s = t->s;
    struct model *m = still_model(t, 300);
    struct child *a = still_child(t, m, READY, 10), *b = still_child(t, m, READY, 20);
    assert_int_equal(s->leased_bytes, 330 * MiB);
    assert_int_equal(m->holders, 2);
    lease_move(s, &a->lease, LEASE_REAPED, 0);
    assert_int_equal(s->leased_bytes, 320 * MiB);
    lease_move(s, &b->lease, LEASE_REAPED, 0);
    assert_int_equal(s->leased_bytes, 0);
    assert_int_equal(m->weights_held, 0);
    still_close(t);
}

/* Packed weights are leased like those of the files where they were prepared, else by each. */
static void packed_weights_are_shared_or_not(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct model *m = still_model(t, 300);
    m->plan.packed_bytes[PLAN_BF16] = 100 * MiB;
    assert_int_equal(ledger_claim(t->s, m).context_bytes, 0);
    m->settings.precision = PLAN_BF16;
    assert_int_equal(ledger_claim(t->s, m).weights_bytes, 300 * MiB);
    assert_int_equal(ledger_claim(t->s, m).context_bytes, 100 * MiB);
    t->s->options.cache = "/cache"; /* where a cold start would put them */
    assert_int_equal(ledger_claim(t->s, m).weights_bytes, 400 * MiB);
    assert_int_equal(ledger_claim(t->s, m).context_bytes, 0);
    struct child *a = still_child(t, m, READY, 110);
    assert_int_equal(ledger_claim(t->s, m).context_bytes, 100 * MiB); /* it lives without */
    struct child *b = still_child(t, m, READY, 10);
    lease_move(t->s, &b->lease, LEASE_REAPED, 0);
    b->lease.packed = true;
    m->preparation = PREPARATION_SHARED;
    lease_move(t->s, &b->lease, LEASE_GRANT, 10 * MiB);
    assert_int_equal(t->s->leased_bytes, (400 + 110 + 10) * MiB);
    assert_int_equal(ledger_claim(t->s, m).weights_bytes + ledger_claim(t->s, m).context_bytes, 0);
    lease_move(t->s, &b->lease, LEASE_REAPED, 0);
    assert_int_equal(t->s->leased_bytes, (400 + 110) * MiB); /* with the last of both */
    lease_move(t->s, &a->lease, LEASE_REAPED, 0);
    assert_int_equal(t->s->leased_bytes, 0);
    m->preparation = PREPARATION_FAILED;
    a->state = b->state = DEAD;
    m->prepare_again_ms = t->s->now_ms + 1;
    assert_false(prepare_shares(t->s, m));
    m->prepare_again_ms = t->s->now_ms;
    assert_true(prepare_shares(t->s, m));
    m->plan.packed_bytes[PLAN_BF16] = UINT64_MAX; /* as a hostile file may state it */
    assert_true(ledger_claim(t->s, m).weights_bytes == UINT64_MAX);
    t->s->options.cache = NULL;
    m->plan.fixed_bytes = 1;
    assert_true(ledger_claim(t->s, m).context_bytes == UINT64_MAX);
    still_close(t);
}

/* A file that grew while it was loaded: the next worker leases what is more. */
static void a_larger_plan_leases_the_difference(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct model *m = still_model(t, 300);
    still_child(t, m, READY, 10);
    m->plan.weights_bytes = 350 * MiB;
    assert_int_equal(ledger_claim(t->s, m).weights_bytes, 50 * MiB);
    still_child(t, m, READY, 10);
    assert_int_equal(t->s->leased_bytes, 370 * MiB);
    m->plan.weights_bytes = 200 * MiB; /* what is mapped stays leased */
    assert_int_equal(ledger_claim(t->s, m).weights_bytes, 0);
    still_child(t, m, READY, 10);
    assert_int_equal(t->s->leased_bytes, 380 * MiB);
    still_close(t);
}

static void a_measurement_only_raises(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct child *c = still_child(t, still_model(t, 300), READY, 10);
    lease_move(t->s, &c->lease, LEASE_MEASURED, 25 * MiB);
    assert_int_equal(t->s->leased_bytes, 325 * MiB);
    lease_move(t->s, &c->lease, LEASE_MEASURED, 5 * MiB);
    assert_int_equal(c->lease.context_bytes, 25 * MiB);
    assert_int_equal(t->s->leased_bytes, 325 * MiB);
    lease_move(t->s, &c->lease, LEASE_REAPED, 0);
    assert_int_equal(c->lease.context_bytes, 0);
    still_close(t);
}

static void assert_claims(const struct test_still *t, const struct model *m, uint32_t slots,
                          uint32_t context, uint64_t context_bytes)
{
    const struct claim c = ledger_claim(t->s, m);
    assert_int_equal(c.model, m->number);
    assert_int_equal(c.slots, slots);
    assert_int_equal(c.context, context);
    assert_int_equal(c.context_bytes, context_bytes);
}

/* The settings, else the plan; but as its living workers were granted, so that all are alike. */
static void a_claim_is_as_the_workers_that_live(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct model *m = still_model(t, 300);
    t->s->options.threads = 3;
    m->plan.slots = 4;
    m->plan.tokens_max = 512;
    m->plan.per_slot_bytes = 1000;
    m->plan.per_token_bytes = 1;
    m->plan.scratch_per_thread_bytes = 100000;
    assert_claims(t, m, 4, 512, 304512);
    m->settings.slots = 1;
    m->settings.context = 1;
    assert_claims(t, m, 1, 1, 301001);
    m->granted_slots = 2;
    m->granted_context = 64;
    assert_claims(t, m, 1, 1, 301001);
    struct child *c = still_child(t, m, READY, 10);
    assert_claims(t, m, 2, 64, 302064);
    c->state = EVICTING;
    assert_claims(t, m, 1, 1, 301001);
    still_close(t);
}

static bool resident(const struct test_still *t, const struct child *c)
{
    struct pool_view v;
    bool found = false;
    ledger_view(t->s, &v);
    for (size_t i = 0; i < v.count; i++)
        found = found || (v.residents[i].id == c->id && v.residents[i].may_leave);
    ledger_view_finish(&v);
    return found;
}

/* The pool as sums: what comes back by itself, what is yet to be touched, what stays. */
static void the_view_has_the_pools_sums(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct model *gone = still_model(t, 100), *loads = still_model(t, 200);
    struct model *pinned = still_model(t, 400);
    still_model(t, 800); /* without a worker */
    still_child(t, gone, EVICTING, 1);
    still_child(t, gone, FAILED, 2);
    still_child(t, loads, LOADING, 4);
    still_child(t, loads, EVICTING, 8);
    pinned->settings.pin = true;
    still_child(t, pinned, EVICTING, 16);
    still_child(t, pinned, PROCESSING, 32)->jobs_count = 1;
    const struct child *surplus = still_child(t, pinned, READY, 64);
    struct child *dead = still_child(t, pinned, DEAD, 0);
    lease_move(t->s, &dead->lease, LEASE_REAPED, 0);
    t->s->withheld_bytes = 5;
    t->s->facts.available_bytes = 6;
    struct pool_view v;
    ledger_view(t->s, &v);
    assert_int_equal(v.ledger.budget_bytes, 10 * GiB);
    assert_int_equal(v.ledger.withheld_bytes, 5);
    assert_int_equal(v.ledger.available_bytes, 6);
    assert_int_equal(v.ledger.held_bytes, 0);
    assert_int_equal(v.ledger.leased_bytes, 827 * MiB);
    assert_int_equal(v.ledger.leaving_bytes, (100 + 1 + 2 + 8 + 16) * MiB);
    assert_int_equal(v.ledger.untouched_bytes, (100 + 200 + 4 + 400) * MiB);
    assert_int_equal(v.ledger.pinned_bytes, (400 + 32) * MiB);
    assert_int_equal(v.count, 1);
    assert_int_equal(v.residents[0].id, surplus->id);
    assert_int_equal(v.residents[0].model, pinned->number);
    assert_int_equal(v.residents[0].weights_bytes, 400 * MiB);
    assert_int_equal(v.residents[0].context_bytes, 64 * MiB);
    assert_int_equal(v.residents[0].model_holders, 3);
    assert_true(v.residents[0].may_leave);
    ledger_view_finish(&v);
    assert_null(v.residents);
    assert_int_equal(v.count, 0);
    still_close(t);
}

/* A minimum of two: the leases of two, and the weights once. */
static void what_a_minimum_keeps_is_pinned(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct model *m = still_model(t, 100);
    struct pool_view v;
    m->settings.min_workers = 2;
    for (int i = 0; i < 3; i++)
        still_child(t, m, READY, 10);
    ledger_view(t->s, &v);
    assert_int_equal(v.ledger.pinned_bytes, 120 * MiB);
    ledger_view_finish(&v);
    for (uint32_t i = 0; i < 3; i++)
        t->children[i].state = EVICTING;
    ledger_view(t->s, &v);
    assert_int_equal(v.ledger.pinned_bytes, 0); /* all were told to go */
    ledger_view_finish(&v);
    still_close(t);
}

/* Of equals the last, so that there is always just one answer. */
static void a_model_keeps_its_most_recently_used(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct model *m = still_model(t, 100);
    struct child *a = still_child(t, m, READY, 10), *b = still_child(t, m, IDLE, 10);
    struct child *c = still_child(t, m, READY, 10);
    m->settings.min_workers = 1;
    a->last_used_ms = 500, b->last_used_ms = 900, c->last_used_ms = 100;
    assert_true(resident(t, a) && !resident(t, b) && resident(t, c));
    m->settings.min_workers = 2;
    assert_true(!resident(t, a) && !resident(t, b) && resident(t, c));
    c->last_used_ms = 500;
    assert_true(resident(t, a) && !resident(t, b) && !resident(t, c));
    m->settings.min_workers = 4; /* more than there are */
    assert_false(resident(t, a) || resident(t, b) || resident(t, c));
    m->settings.min_workers = 1;
    a->state = PROCESSING, a->jobs_count = 1; /* it is the one that is kept */
    assert_true(!resident(t, a) && resident(t, b) && resident(t, c));
    still_close(t);
}

static void only_what_is_ready_and_quiet_may_leave(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct child *c = still_child(t, still_model(t, 100), READY, 10);
    static const bool may[CHILD_STATE_COUNT] = { [READY] = true, [IDLE] = true };
    for (int state_now = 0; state_now < CHILD_STATE_COUNT; state_now++) {
        c->state = (enum child_state)state_now;
        assert_int_equal(resident(t, c), may[state_now]);
    }
    c->state = READY;
    c->exited = true;
    assert_false(resident(t, c));
    c->exited = false, c->lost = true;
    assert_false(resident(t, c));
    c->lost = false;
    assert_true(resident(t, c));
    still_close(t);
}

/* While jobs wait for its model a worker stays twice the time of its load, up to a limit. */
static void who_is_wanted_stays_a_while(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct model *m = still_model(t, 100);
    struct child *c = still_child(t, m, READY, 10);
    m->load_ms = 3 * SECOND;
    c->ready_ms = t->s->now_ms - 6 * SECOND + 1;
    assert_true(resident(t, c));
    m->queue.jobs = 1;
    assert_false(resident(t, c));
    c->ready_ms--;
    assert_true(resident(t, c));
    m->load_ms = 60 * SECOND;
    c->ready_ms = t->s->now_ms - t->s->options.limits.min_stay_ms + 1;
    assert_false(resident(t, c));
    c->ready_ms--;
    assert_true(resident(t, c));
    m->queue.jobs = 0;
    still_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_leased_once),
        cmocka_unit_test(packed_weights_are_shared_or_not),
        cmocka_unit_test(a_larger_plan_leases_the_difference),
        cmocka_unit_test(a_measurement_only_raises),
        cmocka_unit_test(a_claim_is_as_the_workers_that_live),
        cmocka_unit_test(the_view_has_the_pools_sums),
        cmocka_unit_test(what_a_minimum_keeps_is_pinned),
        cmocka_unit_test(a_model_keeps_its_most_recently_used),
        cmocka_unit_test(only_what_is_ready_and_quiet_may_leave),
        cmocka_unit_test(who_is_wanted_stays_a_while),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
