/* merge_test.c — equal work is done once, and everybody who asked for it gets all of it. */
#include "supervisor/state.h"
#include "supervisor/test_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)

static void assert_ended(const struct test_request *r, enum weir_code code)
{
    assert_true(r->ended);
    if (r->error.code != code)
        fail_msg("ended with %s (%s), expected %s", error_name(r->error.code), r->error.text,
                 error_name(code));
}

/* A model of `slots` with a worker that is ready, and requests that may be merged from here on. */
static struct test_pool *warm_pool(uint32_t slots, struct test_model **m)
{
    struct test_pool *t = test_open(1000, NULL);
    *m =
        test_register(t, "m", 100, 10, (struct model_settings){ .max_workers = 1, .slots = slots });
    test_submit(t, "m", "e", 0);
    test_run_until(t, SECOND);
    (*m)->runs = 0;
    t->next.mergeable = true;
    return t;
}

static struct job *job_of(const struct test_pool *t, const struct test_request *r)
{
    const struct request *q = map_get(&t->supervisor->requests, map_id(&r->id));
    return q->job;
}

/* A frame of worker 2 about the one job that it has. */
static void say(struct test_pool *t, enum frame_type type, struct buffer *body)
{
    const struct test_job *slot = t->world.processes[2].jobs;
    while (slot->job == 0)
        slot++;
    test_emit(&t->world, 2, type, slot->job, body);
}

/* F131, F133 */
static void ten_equal_requests_are_computed_once(void **state)
{
    (void)state;
    struct test_model *m;
    struct test_pool *t = warm_pool(4, &m);
    for (int i = 0; i < 10; i++)
        assert_true(test_submit(t, "m", "e same", 0)->id != 0);
    test_submit(t, "m", "e other", 0);
    test_run_until(t, 2 * SECOND);
    for (int i = 1; i <= 11; i++) {
        assert_ended(&t->requests[i], WEIR_OK);
        assert_int_equal(t->requests[i].outputs, 1);
    }
    assert_int_equal(m->runs, 2);
    assert_int_equal(model_find(t->supervisor, "m")->merged, 9);
    assert_int_equal(t->supervisor->mergeable.count, 0); /* nothing is kept of what ended */
    test_submit(t, "m", "e same", 0);
    test_run_until(t, 3 * SECOND);
    assert_int_equal(m->runs, 3); /* an answer is no cache */
    test_close(t);
}

/* F132 */
static void only_what_is_equal_in_full_is_merged(void **state)
{
    (void)state;
    struct test_model *m;
    struct test_pool *t = warm_pool(8, &m);
    const struct test_request *a = test_submit(t, "m", "e a", 0);
    const struct test_request *b = test_submit(t, "m", "e b", 0);
    struct job *of_a = job_of(t, a);
    const uint64_t hash_b = job_of(t, b)->hash;
    merge_withdraw(t->supervisor, of_a); /* a collision, as no one could find one in time */
    of_a->hash = hash_b;
    merge_offer(t->supervisor, of_a);
    const struct test_request *again = test_submit(t, "m", "e b", 0);
    assert_ptr_not_equal(job_of(t, again), of_a);
    of_a->operation = WEIR_TOKENIZE;
    const struct test_request *embed = test_submit(t, "m", "e a", 0);
    assert_ptr_not_equal(job_of(t, embed), of_a);
    t->next.mergeable = false;
    const struct test_request *apart = test_submit(t, "m", "e a", 0);
    assert_ptr_not_equal(job_of(t, apart), job_of(t, embed));
    test_run_until(t, 2 * SECOND);
    assert_int_equal(m->runs, 5);
    assert_int_equal(model_find(t->supervisor, "m")->merged, 0);
    test_close(t);
}

/* F133, F071: joined requests are held by the queue's bound, waiting or running. */
static void equal_requests_without_end_are_refused(void **state)
{
    (void)state;
    struct test_model *m;
    struct test_pool *t = warm_pool(1, &m);
    t->supervisor->options.limits.queue_jobs = 100;
    assert_true(test_submit(t, "m", "r", 0)->id != 0);
    test_run_until(t, 2 * SECOND);
    for (int i = 0; i < 100; i++)
        assert_true(test_submit(t, "m", "r", 0)->id != 0);
    const struct test_request *over = test_submit(t, "m", "r", 0);
    assert_int_equal(over->error.code, WEIR_QUEUE_FULL);
    assert_int_equal(over->error.limit, 100);
    assert_int_equal(test_totals(t).running_jobs, 1);
    supervisor_cancel(t->supervisor, t->requests[50].id);
    assert_true(test_submit(t, "m", "r", 0)->id != 0);
    test_finish_jobs(&t->world);
    test_run_until(t, 4 * SECOND);
    assert_int_equal(m->runs, 1);
    assert_int_equal(test_totals(t).requests, 0);
    assert_true(test_submit(t, "m", "e", 0)->id != 0);
    test_close(t);
}

static void a_job_is_cancelled_when_its_last_request_leaves(void **state)
{
    (void)state;
    struct test_model *m;
    struct test_pool *t = warm_pool(1, &m);
    const struct test_request *first = test_submit(t, "m", "r", 0);
    const struct test_request *hasty = test_submit(t, "m", "r", 3 * SECOND);
    test_run_until(t, 2 * SECOND);
    const struct test_request *late = test_submit(t, "m", "r", 0);
    assert_true(supervisor_cancel(t->supervisor, first->id));
    test_run_until(t, 5 * SECOND);
    assert_ended(first, WEIR_CANCELLED);
    assert_ended(hasty, WEIR_DEADLINE);
    assert_int_equal(hasty->total_ms, 3000);
    assert_int_equal(t->world.cancels, 0);
    assert_true(supervisor_cancel(t->supervisor, late->id));
    assert_int_equal(t->world.cancels, 1);
    const struct test_request *next = test_submit(t, "m", "r", 0);
    assert_ptr_not_equal(job_of(t, next), NULL);
    assert_null(job_of(t, next)->child); /* not the one that is being cancelled */
    test_run_until(t, 6 * SECOND);
    assert_ended(late, WEIR_CANCELLED);
    assert_int_equal(m->runs, 2);
    test_close(t);
}

static void a_better_priority_raises_the_job(void **state)
{
    (void)state;
    struct test_model *m;
    struct test_pool *t = warm_pool(1, &m);
    test_submit(t, "m", "e first", 0);
    test_run_until(t, SECOND + 10);
    t->priority = 4;
    const struct test_request *low = test_submit(t, "m", "e x", 0);
    t->priority = 2;
    const struct test_request *normal = test_submit(t, "m", "e y", 0);
    t->priority = 1;
    const struct test_request *high = test_submit(t, "m", "e x", 0);
    test_run_until(t, 2 * SECOND);
    assert_int_equal(low->total_ms, high->total_ms);
    assert_true(low->total_ms < normal->total_ms);
    test_close(t);
}

/* F141: half of the answer is here when the second comes; it still gets the whole. */
static void who_joins_half_way_gets_the_whole_answer(void **state)
{
    (void)state;
    struct test_model *m;
    struct test_pool *t = warm_pool(1, &m);
    const struct test_request *first = test_submit(t, "m", "r", 0);
    test_run_until(t, 2 * SECOND);
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_output_write(&body, &(struct message_output){ .payload_bytes = 6 });
    say(t, FRAME_OUTPUT, &body);
    buffer_append(&body, "abc", 3);
    say(t, FRAME_PART, &body);
    const struct test_request *second = test_submit(t, "m", "r", 0);
    buffer_append(&body, "def", 3);
    say(t, FRAME_PART, &body);
    assert_int_equal(first->output_bytes, 6);
    assert_int_equal(second->output_bytes, 6);
    const struct test_request *late = test_submit(t, "m", "r", 0);
    assert_int_equal(model_find(t->supervisor, "m")->merged,
                     1); /* the answer was given: a job of its own */
    message_end_write(&body, &(struct message_end){ .error = { .index = -1 } });
    say(t, FRAME_END, &body);
    t->world.processes[2].jobs[0].job = 0;
    test_run_until(t, 3 * SECOND);
    assert_ended(first, WEIR_OK);
    assert_ended(second, WEIR_OK);
    assert_false(late->ended);
    buffer_finish(&body);
    test_close(t);
}

struct leaver {
    struct supervisor *supervisor;
    bool ended;
};

static void leave_at_once(void *context, uint64_t id, struct str payload)
{
    (void)payload;
    assert_true(supervisor_cancel(((struct leaver *)context)->supervisor, id));
}

static void note_end(void *context, uint64_t id, const struct request_outcome *outcome)
{
    (void)id;
    assert_int_equal(outcome->error.code, WEIR_CANCELLED);
    ((struct leaver *)context)->ended = true;
}

/* The first is told and leaves before the others were: the job is theirs still. */
static void who_leaves_while_others_are_told_takes_nothing_away(void **state)
{
    (void)state;
    struct test_model *m;
    struct test_pool *t = warm_pool(1, &m);
    struct leaver first = { .supervisor = t->supervisor };
    static const struct request_callbacks callbacks = { .on_output = leave_at_once,
                                                        .on_end = note_end };
    const struct submission s = { .model = "m",
                                  .operation = WEIR_EMBED,
                                  .priority = 2,
                                  .mergeable = true,
                                  .payload = (uint8_t *)mem_copy_text("e x", 3),
                                  .payload_bytes = 3,
                                  .callbacks = &callbacks,
                                  .context = &first };
    assert_true(supervisor_submit(t->supervisor, &s, NULL) != 0);
    const struct test_request *second = test_submit(t, "m", "e x", 0);
    assert_int_equal(model_find(t->supervisor, "m")->merged, 1);
    test_run_until(t, 2 * SECOND);
    assert_true(first.ended);
    assert_ended(second, WEIR_OK);
    assert_int_equal(second->outputs, 1);
    assert_int_equal(t->world.cancels, 0);
    test_close(t);
}

/* What ended a worker is tried alone, and whoever asks for it then has his own try. */
static void nobody_joins_what_killed_a_worker(void **state)
{
    (void)state;
    struct test_model *m;
    struct test_pool *t = warm_pool(1, &m);
    const struct test_request *first = test_submit(t, "m", "k", 0);
    const struct test_request *joined = test_submit(t, "m", "k", 0);
    test_run_until(t, SECOND + 150);
    assert_int_equal(m->runs, 1);
    const struct test_request *late = test_submit(t, "m", "k", 0);
    assert_ptr_not_equal(job_of(t, late), job_of(t, first));
    test_run_until(t, 60 * SECOND);
    assert_ended(first, WEIR_QUARANTINED);
    assert_ended(joined, WEIR_QUARANTINED);
    assert_true(late->ended && late->error.code != WEIR_OK);
    test_close(t);
}

static void who_returns_credit_himself_has_a_job_of_his_own(void **state)
{
    (void)state;
    struct test_model *m;
    struct test_pool *t = warm_pool(4, &m);
    test_submit(t, "m", "s", 0);
    test_submit(t, "m", "s", 0);
    test_run_until(t, 2 * SECOND);
    assert_int_equal(m->runs, 2);
    test_close(t);
}

static const struct job *find(const struct test_pool *t, const struct submission *r, uint64_t hash)
{
    return merge_find(t->supervisor, model_find(t->supervisor, "m"), r, hash);
}

/* A job that some caller could not get all of, or that did harm, is nobody's to join; and work is
 * equal in every respect or it is not. */
static void what_is_open_and_equal_is_found(void **state)
{
    (void)state;
    struct test_model *m;
    struct test_pool *t = warm_pool(1, &m);
    test_register(t, "other", 100, 10, (struct model_settings){ .max_workers = 1 });
    struct job *j = job_of(t, test_submit(t, "m", "r abc", 0));
    struct submission r = {
        .capability = j->capability,
        .operation = j->operation,
        .mergeable = true,
        .payload = (uint8_t[]){'r', ' ', 'a', 'b', 'c'},
        .payload_bytes = 5
    };
    const uint64_t hash = j->hash;
    assert_ptr_equal(find(t, &r, hash), j);
    assert_null(find(t, &r, hash + 1));
    assert_null(merge_find(t->supervisor, model_find(t->supervisor, "other"), &r, hash));
    bool *const marks[] = { &j->output_seen, &j->cancel_sent, &j->alone };
    for (size_t i = 0; i < ARRAY_COUNT(marks); i++) {
        *marks[i] = true;
        assert_null(find(t, &r, hash));
        *marks[i] = false;
    }
    r.own_credit = true;
    assert_null(find(t, &r, hash));
    r.own_credit = false, r.mergeable = false;
    assert_null(find(t, &r, hash));
    r.mergeable = true, r.capability = WEIR_VISION;
    assert_null(find(t, &r, hash));
    r.capability = j->capability, r.operation = WEIR_TOKENIZE;
    assert_null(find(t, &r, hash));
    r.operation = j->operation, r.payload_bytes = 4;
    assert_null(find(t, &r, hash));
    r.payload_bytes = 5, r.payload = (uint8_t[]){ 'r', ' ', 'a', 'b', 'x' };
    assert_null(find(t, &r, hash));
    const size_t bytes = j->payload_bytes;
    j->payload_bytes = r.payload_bytes = 0; /* an input without a payload */
    assert_ptr_equal(find(t, &r, hash), j);
    j->payload_bytes = r.payload_bytes = 1;
    r.payload = (uint8_t[]){ 'x' };
    assert_null(find(t, &r, hash));
    j->payload_bytes = bytes;
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_equal_requests_are_computed_once),
        cmocka_unit_test(only_what_is_equal_in_full_is_merged),
        cmocka_unit_test(equal_requests_without_end_are_refused),
        cmocka_unit_test(a_job_is_cancelled_when_its_last_request_leaves),
        cmocka_unit_test(a_better_priority_raises_the_job),
        cmocka_unit_test(who_joins_half_way_gets_the_whole_answer),
        cmocka_unit_test(who_leaves_while_others_are_told_takes_nothing_away),
        cmocka_unit_test(nobody_joins_what_killed_a_worker),
        cmocka_unit_test(who_returns_credit_himself_has_a_job_of_his_own),
        cmocka_unit_test(what_is_open_and_equal_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
