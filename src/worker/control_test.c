#include "worker/control.h"

#include "base/clock.h"
#include "base/mem.h"
#include "worker/test_heard.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#define BIG   ((size_t)5 * 1024 * 1024)
#define TRIES 20

/* The control thread is real; this thread is both the compute side and the supervisor. */
struct fixture {
    struct peer peer;
    struct control *control;
};

static void open_fixture(struct fixture *t)
{
    peer_open(&t->peer);
    t->control = peer_control(&t->peer);
}

static void close_fixture(struct fixture *t)
{
    control_destroy(t->control);
    peer_close(&t->peer);
}

static struct worker_job take_one(struct control *c)
{
    struct worker_job job = { 0 };
    while (control_take(c, &job, 1) == 0)
        assert_true(control_wait(c, clock_ms() + PEER_PATIENCE_MS));
    return job;
}

static void run(struct fixture *t, uint64_t job, struct str payload)
{
    struct frame f;
    peer_run(&t->peer, job, WEIR_TEXT_EMBEDDING, WEIR_EMBED, payload);
    peer_expect(&t->peer, FRAME_ACCEPTED, &f);
    assert_int_equal(f.job, job);
}

static void send_credit(struct peer *p, uint64_t job, uint32_t events, uint32_t bytes)
{
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_credit_write(&body, &(struct message_credit){ events, bytes });
    peer_tell(p, FRAME_CREDIT, job, &body);
}

/* Waits until the control thread has read everything that was sent. */
static void catch_up(struct fixture *t)
{
    struct frame f;
    uint64_t sequence;
    struct buffer body;
    buffer_init(&body, 100);
    message_ping_write(&body, 77);
    peer_tell(&t->peer, FRAME_PING, 0, &body);
    peer_expect(&t->peer, FRAME_PONG, &f);
    assert_true(message_ping_read(&f, &sequence, NULL));
    assert_int_equal(sequence, 77);
}

static void a_job_comes_and_ends_once(void **state)
{
    (void)state;
    struct fixture t;
    struct buffer bytes;
    open_fixture(&t);
    buffer_init(&bytes, 1000);
    run(&t, 5, STR("payload"));
    const struct worker_job job = take_one(t.control);
    assert_int_equal(job.id, 5);
    assert_int_equal(job.operation, WEIR_EMBED);
    assert_true(str_eq(job.payload, STR("payload")));
    assert_true(control_output(t.control, &job, STR("answer"), false));
    control_progress(t.control, &job, 1, 2);
    control_end(t.control, &job, NULL, &(struct control_usage){ 3, 4, 1 });

    struct frame f;
    assert_false(peer_output(&t.peer, 5, &bytes).streamed);
    assert_true(str_eq(buffer_view(&bytes), STR("answer")));
    peer_expect(&t.peer, FRAME_PROGRESS, &f);
    const struct message_end end = peer_end(&t.peer, 5);
    assert_int_equal(end.error.code, WEIR_OK);
    assert_int_equal(end.error.index, -1);
    assert_int_equal(end.input_tokens, 3);
    assert_int_equal(end.output_tokens, 4);
    assert_int_equal(end.finish, 1);
    buffer_finish(&bytes);
    close_fixture(&t);
}

static void jobs_come_in_the_order_in_which_they_are_whole(void **state)
{
    (void)state;
    struct fixture t;
    open_fixture(&t);
    const struct message_run run_1 = { .payload_bytes = 4, .operation = WEIR_TOKENIZE };
    peer_run_with(&t.peer, 1, &run_1, STR("ab"));
    run(&t, 2, STR("second"));
    run(&t, 3, (struct str){ 0 }); /* no payload: whole at once */
    struct buffer rest;
    buffer_init(&rest, 10);
    buffer_append(&rest, "cd", 2);
    peer_send(&t.peer, FRAME_PART, 1, &rest, (struct str){ 0 });
    struct frame f;
    peer_expect(&t.peer, FRAME_ACCEPTED, &f);
    assert_int_equal(f.job, 1);

    struct worker_job jobs[8];
    assert_int_equal(control_take(t.control, jobs, 2), 2);
    assert_int_equal(control_take(t.control, jobs + 2, 6), 1);
    assert_int_equal(control_take(t.control, jobs + 3, 5), 0);
    assert_int_equal(jobs[0].id, 2);
    assert_int_equal(jobs[1].id, 3);
    assert_int_equal(jobs[1].payload.len, 0);
    assert_int_equal(jobs[2].id, 1);
    assert_true(str_eq(jobs[2].payload, STR("abcd")));
    for (int i = 0; i < 3; i++)
        control_end(t.control, &jobs[i], NULL, NULL);
    buffer_finish(&rest);
    close_fixture(&t);
}

static void cancel(struct fixture *t, uint64_t job)
{
    peer_send(&t->peer, FRAME_CANCEL, job, NULL, (struct str){ 0 });
}

static void a_cancel_drops_what_waits_and_marks_what_runs(void **state)
{
    (void)state;
    struct fixture t;
    open_fixture(&t);
    run(&t, 1, STR("runs"));
    const struct worker_job job = take_one(t.control);
    run(&t, 2, STR("waits"));
    const struct message_run filling = { .payload_bytes = 10 };
    peer_run_with(&t.peer, 3, &filling, STR("half"));
    cancel(&t, 1);
    cancel(&t, 2);
    cancel(&t, 3);
    cancel(&t, 99); /* nobody: ended long ago */
    assert_int_equal(peer_end(&t.peer, 2).error.code, WEIR_CANCELLED);
    assert_int_equal(peer_end(&t.peer, 3).error.code, WEIR_CANCELLED);
    struct buffer rest;
    buffer_init(&rest, 10);
    buffer_append(&rest, "rest", 4);
    peer_send(&t.peer, FRAME_PART, 3, &rest, (struct str){ 0 }); /* was under way */
    catch_up(&t);

    struct worker_job none;
    assert_true(control_cancelled(t.control, &job));
    assert_int_equal(control_take(t.control, &none, 1), 0);
    control_end(t.control, &job, &(struct weir_error){ .code = WEIR_CANCELLED }, NULL);
    assert_int_equal(peer_end(&t.peer, 1).error.code, WEIR_CANCELLED);
    /* The next job in the same slot is not cancelled. */
    run(&t, 4, STR("next"));
    const struct worker_job next = take_one(t.control);
    assert_int_equal(next.slot, job.slot);
    assert_false(control_cancelled(t.control, &next));
    control_end(t.control, &next, NULL, NULL);
    buffer_finish(&rest);
    close_fixture(&t);
}

static void credit_is_counted_in_events_and_bytes(void **state)
{
    (void)state;
    struct fixture t;
    open_fixture(&t);
    struct buffer bytes;
    buffer_init(&bytes, 100);
    struct frame f;
    const struct message_run few = { .credit_events = 1, .credit_bytes = 10 };
    peer_run_with(&t.peer, 1, &few, (struct str){ 0 });
    peer_expect(&t.peer, FRAME_ACCEPTED, &f);
    const struct worker_job job = take_one(t.control);
    assert_true(control_output(t.control, &job, STR("twelve bytes"), true));
    send_credit(&t.peer, 1, 1, 2);                         /* events 1, bytes 0 */
    assert_true(peer_output(&t.peer, 1, &bytes).streamed); /* overdrawn by 2 */
    catch_up(&t);
    assert_false(control_output(t.control, &job, STR("x"), true));
    assert_true(control_output(t.control, &job, STR("collected"), false)); /* needs none */
    control_progress(t.control, &job, 1, 1);
    assert_false(peer_output(&t.peer, 1, &bytes).streamed);
    peer_expect(&t.peer, FRAME_PROGRESS, &f);
    send_credit(&t.peer, 1, 0, 1);
    catch_up(&t);
    assert_true(control_wait(t.control, CONTROL_FOREVER)); /* credit is news */
    assert_true(control_output(t.control, &job, STR("x"), true));
    assert_false(control_output(t.control, &job, STR("x"), true));
    control_end(t.control, &job, NULL, NULL);
    buffer_finish(&bytes);
    close_fixture(&t);
}

/* What is in no hurry leaves by itself after a moment, and with what is before that. */
static void held_frames_leave(void **state)
{
    (void)state;
    struct fixture t;
    struct frame f;
    bool was_held = false;
    open_fixture(&t);
    for (uint64_t job = 1; job <= TRIES; job++) {
        run(&t, job, STR("x")); /* its acknowledgement comes though nothing else does */
        const struct worker_job one = take_one(t.control);
        assert_true(control_output(t.control, &one, STR("answer"), false));
        /* Who is kept from the CPU for long looks too late. */
        const bool came = peer_poll(&t.peer, 0, &f) == 1;
        was_held = was_held || !came;
        control_end(t.control, &one, NULL, NULL);
        assert_int_equal(came || peer_poll(&t.peer, 0, &f) == 1, true); /* all of it, in order */
        assert_int_equal(f.type, FRAME_OUTPUT);
        peer_expect(&t.peer, FRAME_PART, &f);
        peer_end(&t.peer, job);
    }
    assert_true(was_held);
    close_fixture(&t);
}

/* The time that this thread has computed. */
static int64_t computed_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *wait_for_a_job(void *context)
{
    struct control *c = context;
    int64_t *took_ns = mem_new(1, sizeof(*took_ns));
    const int64_t from_ns = computed_ns();
    CHECK(control_wait(c, CONTROL_FOREVER));
    *took_ns = computed_ns() - from_ns;
    return took_ns;
}

/* What waiting for a job costs. */
static int64_t waiting_ns(struct fixture *t)
{
    int64_t all_ns = 0;
    for (uint64_t job = 1; job <= TRIES; job++) {
        pthread_t thread;
        void *took_ns;
        (void)control_wait(t->control, 0); /* what came before is no news */
        assert_int_equal(pthread_create(&thread, NULL, wait_for_a_job, t->control), 0);
        clock_sleep_ms(2);
        run(t, job, STR("x"));
        assert_int_equal(pthread_join(thread, &took_ns), 0);
        all_ns += *(int64_t *)took_ns;
        mem_free(took_ns);
        const struct worker_job one = take_one(t->control);
        control_end(t->control, &one, NULL, NULL);
        peer_end(&t->peer, job);
    }
    return all_ns / TRIES;
}

/* A core that it was not given is not kept from others, not even for a moment. */
static void below_its_full_share_it_sleeps_at_once(void **state)
{
    (void)state;
    struct fixture t;
    struct message_load load;
    struct buffer body;
    open_fixture(&t);
    buffer_init(&body, 100);
    message_load_write(&body, &(struct message_load){ .slots = 1, .threads = 2, .attempt = 1 });
    peer_tell(&t.peer, FRAME_LOAD, 0, &body);
    assert_true(control_load(t.control, &load));
    control_page_share(t.peer.page, 1);
    const int64_t took_ns = waiting_ns(&t);
#ifndef WEIR_SANITIZED /* where everything takes many times as long */
    assert_true(took_ns < 100000);
#else
    assert_true(took_ns > 0);
#endif
    close_fixture(&t);
}

static void large_payloads_cross_both_ways(void **state)
{
    (void)state;
    struct fixture t;
    open_fixture(&t);
    char *data = mem_new(BIG, 1);
    for (size_t i = 0; i < BIG; i++)
        data[i] = (char)(i * 31 + i / 65536);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        /* The supervisor's side in a process of its own, so that both may block. */
        struct buffer bytes;
        struct frame f;
        close(t.peer.worker_fd);
        buffer_init(&bytes, BIG);
        peer_run(&t.peer, 1, WEIR_TEXT_EMBEDDING, WEIR_EMBED, (struct str){ data, BIG });
        peer_expect(&t.peer, FRAME_ACCEPTED, &f);
        clock_sleep_ms(50); /* let the worker run into a full socket */
        peer_output(&t.peer, 1, &bytes);
        const bool same = bytes.len == BIG && memcmp(bytes.data, data, BIG) == 0;
        _exit(same && peer_end(&t.peer, 1).error.code == WEIR_OK ? 0 : 1);
    }
    const struct worker_job job = take_one(t.control);
    assert_int_equal(job.payload.len, BIG);
    assert_memory_equal(job.payload.data, data, BIG);
    assert_true(control_output(t.control, &job, (struct str){ data, BIG }, false));
    control_end(t.control, &job, NULL, NULL);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    mem_free(data);
    close_fixture(&t);
}

/* Copied, given back and used again, whether the payload was wanted or not. */
static void blocks_come_back(void **state)
{
    (void)state;
    struct fixture t;
    struct buffer bytes;
    static char data[3 * REGION_BLOCK_BYTES];
    const struct str large = { data, sizeof data };
    open_fixture(&t);
    buffer_init(&bytes, sizeof data);
    run(&t, 1, large);
    const struct worker_job job = take_one(t.control);
    assert_true(region_collect(&t.peer.requests));
    assert_true(control_output(t.control, &job, large, false));
    assert_int_equal(atomic_load(&t.peer.page->returned[CONTROL_REPLIES]), 0);
    control_end(t.control, &job, NULL, NULL);
    peer_output(&t.peer, 1, &bytes);
    assert_int_equal(peer_end(&t.peer, 1).error.code, WEIR_OK);
    assert_int_equal(atomic_load(&t.peer.page->returned[CONTROL_REPLIES]), 7);
    run(&t, 3, large);
    const struct worker_job again = take_one(t.control);
    assert_true(region_collect(&t.peer.requests));
    assert_true(control_output(t.control, &again, large, false));
    control_end(t.control, &again, NULL, NULL);
    peer_output(&t.peer, 3, &bytes);
    assert_int_equal(peer_end(&t.peer, 3).error.code, WEIR_OK);

    /* Of a job that was cancelled while its parts were under way. */
    const struct message_run filling = { .payload_bytes = sizeof data };
    peer_run_with(&t.peer, 2, &filling, (struct str){ data, REGION_BLOCK_BYTES });
    cancel(&t, 2);
    assert_int_equal(peer_end(&t.peer, 2).error.code, WEIR_CANCELLED);
    struct buffer frames;
    buffer_init(&frames, 1000);
    region_write_part(&t.peer.requests, &frames, 2, data, REGION_BLOCK_BYTES);
    assert_int_equal(send(t.peer.fd, frames.data, frames.len, MSG_NOSIGNAL), (ssize_t)frames.len);
    catch_up(&t);
    assert_true(region_collect(&t.peer.requests) && !t.peer.requests.broken);
    assert_int_equal(t.peer.requests.touched, 7);
    buffer_finish(&frames);
    buffer_finish(&bytes);
    close_fixture(&t);
}

static void bye_is_heard_when_no_job_is_left(void **state)
{
    (void)state;
    struct fixture t;
    struct message_load load;
    open_fixture(&t);
    struct buffer body;
    buffer_init(&body, 100);
    message_load_write(&body, &(struct message_load){
                                  .slots = 3, .threads = 1, .attempt = 2, .cache = STR("/c") });
    peer_tell(&t.peer, FRAME_LOAD, 0, &body);
    assert_true(control_load(t.control, &load));
    assert_int_equal(load.slots, 3);
    assert_int_equal(load.attempt, 2);
    assert_true(str_eq(load.cache, STR("/c")));
    run(&t, 1, STR("last"));
    peer_send(&t.peer, FRAME_BYE, 0, NULL, (struct str){ 0 });
    catch_up(&t);
    const struct worker_job job = take_one(t.control);
    assert_true(control_wait(t.control, clock_ms()));
    control_end(t.control, &job, NULL, NULL);
    assert_false(control_wait(t.control, CONTROL_FOREVER));
    assert_false(control_load(t.control, &load));
    close_fixture(&t);
}

static void a_wait_ends_in_time(void **state)
{
    (void)state;
    struct fixture t;
    open_fixture(&t);
    const int64_t before_ms = clock_ms();
    assert_true(control_wait(t.control, before_ms + 30));
    assert_in_range(clock_ms() - before_ms, 30, 10000);
    close_fixture(&t);
}

static void the_page_carries_ticks_and_the_share(void **state)
{
    (void)state;
    struct fixture t;
    open_fixture(&t);
    control_tick(t.control);
    control_tick(t.control);
    assert_int_equal(atomic_load(&t.peer.page->ticks), 2);
    assert_int_equal(atomic_load(control_share(t.control, 4)), 4);
    atomic_store(&t.peer.page->threads, 1);
    assert_int_equal(atomic_load(control_share(t.control, 4)), 1);
    close_fixture(&t);
}

/* The exit status of a worker that gets these bytes while its compute thread is stuck. */
static int status_after(const void *bytes, size_t count)
{
    int status;
    struct peer p;
    peer_open(&p);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(p.fd);
        CHECK(freopen("/dev/null", "w", stderr) != NULL);
        peer_control(&p);
        for (;;)
            pause();
    }
    close(p.worker_fd);
    p.worker_fd = -1;
    if (count > 0)
        assert_int_equal(send(p.fd, bytes, count, MSG_NOSIGNAL), (ssize_t)count);
    else
        shutdown(p.fd, SHUT_RDWR);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    peer_close(&p);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void the_end_of_the_channel_ends_a_stuck_worker(void **state)
{
    (void)state;
    assert_int_equal(status_after(NULL, 0), EXIT_SUCCESS);
}

static void what_breaks_the_protocol_ends_the_worker(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 1000);
    buffer_text(&b, "this is not a frame at all");
    assert_int_equal(status_after(b.data, b.len), EXIT_FAILURE);
    buffer_clear(&b);
    frame_write(&b, FRAME_HELLO, 0, NULL, 0); /* the wrong direction */
    assert_int_equal(status_after(b.data, b.len), EXIT_FAILURE);
    buffer_clear(&b);
    frame_write(&b, FRAME_RUN, 1, "short", 5);
    assert_int_equal(status_after(b.data, b.len), EXIT_FAILURE);
    buffer_clear(&b);
    frame_write_block(&b, 1, REGION_BLOCKS, 1); /* there is no such block */
    assert_int_equal(status_after(b.data, b.len), EXIT_FAILURE);
    buffer_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_comes_and_ends_once),
        cmocka_unit_test(jobs_come_in_the_order_in_which_they_are_whole),
        cmocka_unit_test(a_cancel_drops_what_waits_and_marks_what_runs),
        cmocka_unit_test(credit_is_counted_in_events_and_bytes),
        cmocka_unit_test(held_frames_leave),
        cmocka_unit_test(below_its_full_share_it_sleeps_at_once),
        cmocka_unit_test(large_payloads_cross_both_ways),
        cmocka_unit_test(blocks_come_back),
        cmocka_unit_test(bye_is_heard_when_no_job_is_left),
        cmocka_unit_test(a_wait_ends_in_time),
        cmocka_unit_test(the_page_carries_ticks_and_the_share),
        cmocka_unit_test(the_end_of_the_channel_ends_a_stuck_worker),
        cmocka_unit_test(what_breaks_the_protocol_ends_the_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
