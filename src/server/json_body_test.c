#include "server/json_body.h"

#include "server/test_exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define THREADS 4

static unsigned parsed;

static void on_json(struct exchange *x)
{
    assert_non_null(x->json);
    assert_null(x->over);
    parsed++;
}

/* A body of so many bytes of white space, and an object. */
static void init(struct test_exchange *t, uv_loop_t *loop, size_t spaces)
{
    static int stand_in; /* a connection is only looked at for being there */
    test_exchange_init(t, "{}");
    json_read_free(t->exchange.json);
    t->exchange.json = NULL;
    t->exchange.connection = (struct connection *)(void *)&stand_in;
    t->server.loop = loop;
    buffer_init(&t->exchange.body, spaces + 2);
    for (size_t i = 0; i < spaces; i++)
        buffer_u8(&t->exchange.body, ' ');
    buffer_text(&t->exchange.body, "{}");
    parsed = 0;
}

static void finish(struct test_exchange *t)
{
    assert_int_equal(t->exchange.holds, 1);
    buffer_finish(&t->exchange.body);
    test_exchange_finish(t);
}

static void a_small_body_is_parsed_at_once(void **state)
{
    static struct test_exchange t;
    (void)state;
    init(&t, NULL, 10);
    json_body_read(&t.exchange, on_json);
    assert_int_equal(parsed, 1);
    finish(&t);
}

static void a_large_body_is_parsed_by_a_thread(void **state)
{
    static struct test_exchange t;
    uv_loop_t loop;
    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    init(&t, &loop, 200000);
    json_body_read(&t.exchange, on_json);
    assert_int_equal(parsed, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(parsed, 1);
    assert_int_equal(uv_loop_close(&loop), 0);
    finish(&t);
}

/* The route has gone on: nobody waits for it. A second call has nothing to do. */
static void a_large_tree_is_freed_by_a_thread(void **state)
{
    static struct test_exchange t;
    uv_loop_t loop;
    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    init(&t, &loop, 200000);
    json_body_read(&t.exchange, on_json);
    uv_run(&loop, UV_RUN_DEFAULT);
    json_body_free(&t.exchange);
    assert_null(t.exchange.json);
    assert_true(uv_loop_alive(&loop));
    uv_run(&loop, UV_RUN_DEFAULT);
    json_body_free(&t.exchange);
    assert_false(uv_loop_alive(&loop));
    assert_int_equal(uv_loop_close(&loop), 0);
    finish(&t);
}

static uv_sem_t started, released;

static void block(uv_work_t *work)
{
    (void)work;
    uv_sem_post(&started);
    uv_sem_wait(&released);
}

static void on_blocked(uv_work_t *work, int status)
{
    (void)work;
    assert_int_equal(status, 0);
}

/* Every thread is busy, and stays so: what has left is let go of all the same. */
static void a_body_whose_client_left_does_not_wait(void **state)
{
    static struct test_exchange t;
    uv_work_t busy[THREADS];
    uv_loop_t loop;
    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(uv_sem_init(&started, 0), 0);
    assert_int_equal(uv_sem_init(&released, 0), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(uv_queue_work(&loop, &busy[i], block, on_blocked), 0);
    for (size_t i = 0; i < THREADS; i++)
        uv_sem_wait(&started);
    init(&t, &loop, 200000);
    json_body_read(&t.exchange, on_json);
    t.exchange.connection = NULL;
    t.exchange.over(&t.exchange);
    uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(t.exchange.holds, 1);
    assert_int_equal(parsed, 0);
    for (size_t i = 0; i < THREADS; i++)
        uv_sem_post(&released);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    uv_sem_destroy(&started);
    uv_sem_destroy(&released);
    finish(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_body_is_parsed_at_once),
        cmocka_unit_test(a_large_body_is_parsed_by_a_thread),
        cmocka_unit_test(a_large_tree_is_freed_by_a_thread),
        cmocka_unit_test(a_body_whose_client_left_does_not_wait),
    };
    setenv("UV_THREADPOOL_SIZE", "4", 1); /* THREADS */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
