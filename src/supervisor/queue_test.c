/* queue_test.c — who is next: levels, turns, rises, and the sums, over a queue without a pool. */
#include "supervisor/state.h"

#include "base/mem.h"
#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)
#define JOBS   200

struct bench {
    struct supervisor *s;
    struct model model;
    struct job jobs[JOBS]; /* id is the order of arrival, 0: not in the queue */
    uint64_t last;
};

static struct bench *bench_open(void)
{
    struct bench *b = mem_new(1, sizeof *b);
    b->s = mem_new(1, sizeof *b->s);
    b->s->options.limits = limits_default;
    queue_init(&b->model.queue);
    return b;
}

static struct job *push(struct bench *b, const char *client, uint8_t priority)
{
    struct job *j = b->jobs;
    while (j->id != 0)
        j++;
    CHECK(j < b->jobs + JOBS);
    *j = (struct job){ .id = ++b->last,
                       .model = &b->model,
                       .priority = priority,
                       .payload_bytes = 3,
                       .queued_ms = b->s->now_ms };
    snprintf(j->client, sizeof j->client, "%s", client);
    list_init(&j->requests);
    queue_push(b->s, j, false);
    return j;
}

static struct job *take(struct bench *b)
{
    struct job *j = queue_peek(b->s, &b->model.queue);
    if (j == NULL)
        return NULL;
    queue_take(b->s, j);
    j->id = 0;
    return j;
}

/* That nothing is left, of sums neither. */
static void bench_close(struct bench *b)
{
    while (take(b) != NULL)
        ;
    assert_int_equal(b->s->jobs_waiting, 0);
    assert_int_equal(b->s->bytes_waiting, 0);
    assert_int_equal(b->model.queue.bytes, 0);
    queue_finish(&b->model.queue);
    mem_free(b->s);
    mem_free(b);
}

/* F130 */
static void the_better_priority_is_first_and_equals_by_arrival(void **state)
{
    (void)state;
    struct bench *b = bench_open();
    static const uint8_t shuffled[] = { 3, 0, 4, 2, 1, 4, 0, 2, 3, 1 };
    const struct job *pushed[10];
    for (size_t i = 0; i < 10; i++)
        pushed[i] = push(b, "a", shuffled[i]);
    static const size_t expected[] = { 1, 6, 4, 9, 3, 7, 0, 8, 2, 5 };
    for (size_t i = 0; i < 10; i++)
        assert_ptr_equal(take(b), pushed[expected[i]]);
    assert_null(queue_peek(b->s, &b->model.queue));
    bench_close(b);
}

/* F139 */
static void clients_take_turns(void **state)
{
    (void)state;
    struct bench *b = bench_open();
    for (int i = 0; i < 100; i++)
        push(b, "a", 2);
    const struct job *first = push(b, "", 2), *second = push(b, "", 2), *third = push(b, "c", 2);
    assert_int_equal(queue_place(&b->model.queue, second), 5);
    assert_string_equal(take(b)->client, "a");
    assert_ptr_equal(take(b), first);
    assert_ptr_equal(take(b), third);
    assert_string_equal(take(b)->client, "a");
    assert_ptr_equal(take(b), second);
    assert_int_equal(b->model.queue.clients.count, 1); /* the others are forgotten */
    bench_close(b);
}

/* F140 */
static void waiting_raises_by_a_level_each_ten_seconds(void **state)
{
    (void)state;
    struct bench *b = bench_open();
    const struct job *batch = push(b, "a", 4);
    b->s->now_ms = 20 * SECOND - 1;
    const struct job *normal = push(b, "b", 2);
    b->s->now_ms = 20 * SECOND;
    assert_ptr_equal(queue_peek(b->s, &b->model.queue), normal);
    assert_int_equal(batch->level, 2);
    b->s->now_ms = 30 * SECOND - 2;
    assert_ptr_equal(queue_peek(b->s, &b->model.queue), normal);
    b->s->now_ms = 30 * SECOND;
    assert_ptr_equal(take(b), normal); /* it rose too, a moment before */
    b->s->now_ms = 41 * SECOND;
    const struct job *critical = push(b, "b", 0);
    assert_ptr_equal(take(b), batch); /* as good, and there since 40 s */
    assert_ptr_equal(take(b), critical);
    bench_close(b);
}

static void a_retried_job_is_in_front_and_an_alone_one_aside(void **state)
{
    (void)state;
    struct bench *b = bench_open();
    struct job *first = push(b, "a", 2), *second = push(b, "b", 2);
    push(b, "c", 2);
    assert_ptr_equal(take(b), first);
    first->id = ++b->last;
    b->s->now_ms = 5 * SECOND;
    push(b, "b", 2);
    queue_push(b->s, first, true);
    assert_ptr_equal(queue_oldest(&b->model.queue), first);
    assert_ptr_equal(take(b), first);
    assert_ptr_equal(take(b), second);
    second->id = ++b->last;
    second->alone = true;
    queue_push(b->s, second, true);
    assert_ptr_equal(queue_first_alone(&b->model.queue), second);
    assert_ptr_equal(queue_oldest(&b->model.queue), second);
    assert_ptr_not_equal(queue_peek(b->s, &b->model.queue), second);
    assert_int_equal(queue_place(&b->model.queue, second), 1);
    queue_remove(b->s, second);
    second->id = 0;
    bench_close(b);
}

static void a_better_priority_moves_a_job_that_waits(void **state)
{
    (void)state;
    struct bench *b = bench_open();
    struct job *low = push(b, "a", 3), *other = push(b, "b", 2);
    queue_raise(b->s, low, 4);
    assert_int_equal(low->priority, 3);
    b->s->now_ms = 5 * SECOND;
    queue_raise(b->s, low, 1);
    assert_ptr_equal(take(b), low);
    assert_ptr_equal(take(b), other);
    bench_close(b);
}

static int64_t level_of(const struct bench *b, const struct job *j)
{
    const int64_t risen = (b->s->now_ms - j->queued_ms) / limits_default.ageing_ms;
    return risen < j->priority ? j->priority - risen : 0;
}

/* No other is at a better level, and none of its client came to this level before it. */
static void assert_next(const struct bench *b, const struct job *next)
{
    const int64_t ageing = limits_default.ageing_ms, level = level_of(b, next);
    const int64_t since = next->queued_ms + (next->priority - level) * ageing;
    for (size_t i = 0; i < JOBS; i++) {
        const struct job *j = &b->jobs[i];
        if (j->id == 0 || j == next)
            continue;
        assert_true(level_of(b, j) >= level);
        if (level_of(b, j) > level || strcmp(j->client, next->client) != 0)
            continue;
        const int64_t came = j->queued_ms + (j->priority - level) * ageing;
        if (came < since || (came == since && j->priority == next->priority && j->id < next->id))
            fail_msg("job %d of client %s was passed over", (int)j->id, j->client);
    }
}

/* F137: whatever comes and goes; a place that was told is kept when nobody else comes. */
static void the_order_holds_for_random_arrivals(void **state)
{
    (void)state;
    static const char *const clients[] = { "", "a", "b", "c", "d", "e" };
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct bench *b = bench_open();
        struct rng r;
        rand_seed(&r, seed);
        size_t waiting = 0;
        for (int step = 0; step < 400; step++) {
            b->s->now_ms += (int64_t)rand_below(&r, 3) * (int64_t)rand_below(&r, 1500);
            struct job *picked = &b->jobs[rand_below(&r, JOBS)];
            if (rand_below(&r, 100) < 55 && waiting < JOBS) {
                push(b, clients[rand_below(&r, 6)], (uint8_t)rand_below(&r, PRIORITIES));
                waiting++;
            } else if (rand_below(&r, 4) == 0 && picked->id != 0) {
                queue_remove(b->s, picked);
                picked->id = 0;
                waiting--;
            } else if (queue_peek(b->s, &b->model.queue) != NULL) {
                assert_next(b, queue_peek(b->s, &b->model.queue));
                take(b);
                waiting--;
            }
            assert_int_equal(b->model.queue.jobs, waiting);
            assert_int_equal(b->model.queue.bytes, 3 * waiting);
        }
        queue_peek(b->s, &b->model.queue);
        const struct job *told = &b->jobs[rand_below(&r, JOBS)];
        const size_t place = told->id != 0 ? queue_place(&b->model.queue, told) : 0;
        for (size_t i = 1; i < place; i++)
            assert_ptr_not_equal(take(b), told);
        if (place > 0)
            assert_ptr_equal(take(b), told);
        bench_close(b);
    }
}

/* It stands before the younger ones of its own client, and its client before all others. */
static void a_retried_job_brings_its_client_to_the_front(void **state)
{
    (void)state;
    struct bench *b = bench_open();
    struct job *first = push(b, "b", 2);
    assert_ptr_equal(take(b), first);
    first->id = ++b->last;
    const struct job *other = push(b, "a", 2), *younger = push(b, "b", 2);
    queue_push(b->s, first, true);
    assert_ptr_equal(queue_oldest(&b->model.queue), first);
    assert_int_equal(queue_place(&b->model.queue, first), 1);
    assert_ptr_equal(take(b), first);
    assert_ptr_equal(take(b), other);
    assert_ptr_equal(take(b), younger);
    bench_close(b);
}

/* Those that one worker took with it come back from the last to the first, and are in order. */
static void jobs_that_stand_aside_do_so_by_age(void **state)
{
    (void)state;
    struct bench *b = bench_open();
    struct job *jobs[4];
    for (size_t i = 0; i < 4; i++) {
        b->s->now_ms = i < 2 ? 0 : (int64_t)i * SECOND; /* the first two came together */
        jobs[i] = push(b, "a", 2);
    }
    const struct job *other = push(b, "b", 2);
    static const size_t order[] = { 1, 3, 0, 2 };
    for (size_t i = 0; i < 4; i++) {
        queue_remove(b->s, jobs[order[i]]);
        jobs[order[i]]->alone = true;
        queue_push(b->s, jobs[order[i]], true);
    }
    assert_int_equal(queue_place(&b->model.queue, other), 5);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(queue_place(&b->model.queue, jobs[i]), 1);
        assert_ptr_equal(queue_first_alone(&b->model.queue), jobs[i]);
        assert_ptr_equal(queue_oldest(&b->model.queue), jobs[i]);
        if (i < 3)
            assert_int_equal(queue_place(&b->model.queue, jobs[3]), 4 - i);
        queue_take(b->s, jobs[i]);
        jobs[i]->id = 0;
    }
    assert_ptr_equal(queue_oldest(&b->model.queue), other);
    bench_close(b);
}

/* The oldest is the one that came first, wherever it stands; of equals the one that had its try. */
static void the_oldest_is_found_on_either_side(void **state)
{
    (void)state;
    struct bench *b = bench_open();
    const struct job *early = push(b, "a", 2);
    b->s->now_ms = SECOND;
    struct job *alone = push(b, "a", 2);
    queue_remove(b->s, alone);
    alone->alone = true;
    queue_push(b->s, alone, true);
    assert_ptr_equal(queue_oldest(&b->model.queue), early);
    assert_ptr_equal(take(b), early);
    const struct job *equal = push(b, "a", 0);
    assert_ptr_equal(queue_oldest(&b->model.queue), alone);
    assert_ptr_equal(take(b), equal);
    queue_remove(b->s, alone);
    alone->id = 0;
    assert_null(queue_oldest(&b->model.queue));
    assert_null(queue_first_alone(&b->model.queue));
    bench_close(b);
}

/* The same priority once more is no reason to stand behind the others again; nor does one that
 * stands aside move. */
static void a_priority_that_is_no_better_moves_nothing(void **state)
{
    (void)state;
    struct bench *b = bench_open();
    struct job *first = push(b, "a", 2), *second = push(b, "a", 2);
    struct job *alone = push(b, "b", 2);
    queue_raise(b->s, first, 2);
    queue_remove(b->s, alone);
    alone->alone = true;
    queue_push(b->s, alone, true);
    queue_raise(b->s, alone, 0);
    assert_int_equal(alone->priority, 0);
    assert_ptr_equal(queue_first_alone(&b->model.queue), alone);
    queue_remove(b->s, alone);
    alone->id = 0;
    assert_ptr_equal(take(b), first);
    assert_ptr_equal(take(b), second);
    bench_close(b);
}

/* Who came to a level in one moment keeps the order of the turns when all rise. */
static void a_rise_keeps_the_turns(void **state)
{
    (void)state;
    struct bench *b = bench_open();
    const struct job *jobs[] = { push(b, "a", 1), push(b, "b", 1), push(b, "a", 1) };
    b->s->now_ms = 10 * SECOND;
    const struct job *urgent = push(b, "c", 0);
    assert_int_equal(queue_place(&b->model.queue, jobs[1]), 2);
    assert_int_equal(queue_place(&b->model.queue, urgent), 3);
    assert_int_equal(queue_place(&b->model.queue, jobs[2]), 4);
    assert_ptr_equal(take(b), jobs[0]);
    assert_ptr_equal(take(b), jobs[1]);
    assert_ptr_equal(take(b), urgent);
    assert_ptr_equal(take(b), jobs[2]);
    bench_close(b);
}

/* A level for each period however late somebody looks, and none for a job that is there already. */
static void a_late_look_raises_by_several(void **state)
{
    (void)state;
    struct bench *b = bench_open();
    const struct job *batch = push(b, "a", 4);
    b->s->now_ms = 35 * SECOND;
    const struct job *high = push(b, "b", 1), *low = push(b, "b", 3);
    assert_int_equal(batch->level, 1);
    assert_int_equal(batch->level_ms, 30 * SECOND);
    assert_ptr_equal(take(b), batch);
    assert_ptr_equal(take(b), high);
    b->s->now_ms = 1000 * SECOND;
    assert_ptr_equal(queue_peek(b->s, &b->model.queue), low);
    assert_int_equal(low->level, 0);
    assert_int_equal(low->level_ms, 65 * SECOND);
    bench_close(b);
}

/* What waited before it ran counts: it comes back to the level that it would have by now. */
static void a_retried_job_keeps_its_rise(void **state)
{
    (void)state;
    struct bench *b = bench_open();
    const struct job *old = push(b, "a", 3);
    b->s->now_ms = 5 * SECOND;
    struct job *retried = push(b, "b", 3);
    queue_take(b->s, retried);
    b->s->now_ms = 27 * SECOND;
    queue_push(b->s, retried, true);
    assert_int_equal(retried->level, 1);
    assert_int_equal(retried->level_ms, 25 * SECOND);
    assert_ptr_equal(queue_oldest(&b->model.queue), old);
    assert_ptr_equal(take(b), retried);
    assert_ptr_equal(take(b), old);
    bench_close(b);
}

/* One that is raised now comes behind those that rose to that level before. */
static void who_rose_before_is_before_who_is_raised(void **state)
{
    (void)state;
    struct bench *b = bench_open();
    const struct job *normal = push(b, "a", 2);
    b->s->now_ms = 9 * SECOND;
    struct job *low = push(b, "b", 3);
    b->s->now_ms = 11 * SECOND;
    queue_raise(b->s, low, 1);
    assert_int_equal(normal->level, 1);
    assert_int_equal(low->level, 1);
    assert_ptr_equal(take(b), normal);
    assert_ptr_equal(take(b), low);
    bench_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_better_priority_is_first_and_equals_by_arrival),
        cmocka_unit_test(clients_take_turns),
        cmocka_unit_test(waiting_raises_by_a_level_each_ten_seconds),
        cmocka_unit_test(a_retried_job_is_in_front_and_an_alone_one_aside),
        cmocka_unit_test(a_better_priority_moves_a_job_that_waits),
        cmocka_unit_test(the_order_holds_for_random_arrivals),
        cmocka_unit_test(a_retried_job_brings_its_client_to_the_front),
        cmocka_unit_test(jobs_that_stand_aside_do_so_by_age),
        cmocka_unit_test(the_oldest_is_found_on_either_side),
        cmocka_unit_test(a_priority_that_is_no_better_moves_nothing),
        cmocka_unit_test(a_rise_keeps_the_turns),
        cmocka_unit_test(a_late_look_raises_by_several),
        cmocka_unit_test(a_retried_job_keeps_its_rise),
        cmocka_unit_test(who_rose_before_is_before_who_is_raised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
