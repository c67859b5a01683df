/* Workers that speak the wire well and mean no good. This program is its own worker: the pool finds
 * it under the worker's name in a folder of the test's, and the model's path says what it does. */
#define _DEFAULT_SOURCE /* madvise */
#include "base/check.h"
#include "base/clock.h"
#include "lib/test_pool.h"
#include "wire/build_id.h"
#include "wire/control_page.h"
#include "wire/message.h"
#include "wire/region.h"
#include "wire/text_embedding.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the worker ---- */

#define CHANNEL_FD 3
#define PAGE_FD    4
#define REPLIES_FD 6

static struct buffer in;
static size_t in_offset;

static void say(enum frame_type type, uint64_t job, const struct buffer *body)
{
    struct buffer frame;
    buffer_init(&frame, FRAME_HEADER + FRAME_BODY_MAX);
    frame_write(&frame, type, job, body != NULL ? body->data : NULL, body != NULL ? body->len : 0);
    if (send(CHANNEL_FD, frame.data, frame.len, MSG_NOSIGNAL) != (ssize_t)frame.len)
        _exit(1);
    buffer_finish(&frame);
}

static struct frame hear(void)
{
    struct frame f;
    struct weir_error err;
    while (frame_take(&in, &in_offset, &f, &err) == 0) {
        uint8_t *room = buffer_reserve(&in, 65536);
        ssize_t n = recv(CHANNEL_FD, room, 65536, 0);
        if (n <= 0)
            _exit(0);
        in.len += (size_t)n;
    }
    return f;
}

static struct plan some_plan(void)
{
    return (struct plan){ .capabilities = 1u << WEIR_TEXT_EMBEDDING,
                          .architecture = "fake",
                          .tokens_max = 512,
                          .dim = 2,
                          .slots = 1 };
}

static void inspect(void)
{
    for (;;) {
        struct frame f = hear();
        if (f.type != FRAME_INSPECT)
            _exit(0);
        struct buffer body;
        buffer_init(&body, FRAME_BODY_MAX);
        message_inspected_write(
            &body, &(struct message_inspected){ .error = { .index = -1 }, .plan = some_plan() });
        say(FRAME_INSPECTED, f.job, &body);
        buffer_finish(&body);
    }
}

static void say_vectors(uint64_t job, uint32_t rows, uint32_t dim, float last, bool streamed)
{
    static const uint32_t tokens[4];
    float vectors[8] = { 0 };
    struct buffer announced, payload;
    buffer_init(&announced, FRAME_BODY_MAX);
    buffer_init(&payload, FRAME_PART_MAX);
    if (rows * dim > 0)
        vectors[rows * dim - 1] = last;
    text_embedding_reply_write(
        &payload, &(struct text_embedding_reply){
                      .rows = rows, .dim = dim, .tokens = tokens, .vectors = vectors });
    message_output_write(&announced, &(struct message_output){ (uint32_t)payload.len, streamed });
    say(FRAME_OUTPUT, job, &announced);
    say(FRAME_PART, job, &payload);
    buffer_finish(&announced);
    buffer_finish(&payload);
}

static void say_output(uint64_t job, uint32_t rows)
{
    say_vectors(job, rows, 2, 0, false);
}

static void say_end(uint64_t job, uint8_t finish)
{
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_end_write(&body, &(struct message_end){ .error = { .index = -1 }, .finish = finish });
    say(FRAME_END, job, &body);
    buffer_finish(&body);
}

static void say_last_words(void)
{
    static char lines[60000];
    memset(lines, 'x', sizeof lines);
    memcpy(lines + sizeof lines - 20, "the very last words\n", 20);
    if (write(STDERR_FILENO, lines, sizeof lines) != (ssize_t)sizeof lines)
        _exit(1);
    _exit(7);
}

static struct region replies(void)
{
    struct region r;
    struct control_page *page =
        mmap(NULL, CONTROL_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, PAGE_FD, 0);
    void *memory = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, REPLIES_FD, 0);
    if (page == MAP_FAILED || memory == MAP_FAILED)
        _exit(1);
    region_init(&r, memory, &page->returned[CONTROL_REPLIES]);
    return r;
}

static void say_part_in(uint64_t job, uint32_t block, uint32_t bytes)
{
    struct buffer frame;
    buffer_init(&frame, 100);
    frame_write_block(&frame, job, block, bytes);
    if (send(CHANNEL_FD, frame.data, frame.len, MSG_NOSIGNAL) != (ssize_t)frame.len)
        _exit(1);
    buffer_finish(&frame);
}

/* An answer that lies in block 0, as a frame that names another block, or more bytes, says it. */
static void say_block(uint64_t job, uint32_t block, uint32_t more, bool taken_away)
{
    static const float vectors[2] = { 1, 0 };
    static const uint32_t tokens[1] = { 1 };
    struct region r = replies();
    struct buffer body;
    buffer_init(&body, REGION_BLOCK_BYTES);
    text_embedding_reply_write(&body,
                               &(struct text_embedding_reply){
                                   .rows = 1, .dim = 2, .tokens = tokens, .vectors = vectors });
    memcpy(r.memory + REGION_SKEW, body.data, body.len);
    const uint32_t bytes = (uint32_t)body.len;
    if (taken_away && (madvise(r.memory, REGION_BYTES, MADV_REMOVE) != 0 ||
                       ftruncate(REPLIES_FD, 0) == 0 || ftruncate(PAGE_FD, 0) == 0))
        _exit(1);
    buffer_clear(&body);
    message_output_write(&body, &(struct message_output){ bytes + more, false });
    say(FRAME_OUTPUT, job, &body);
    say_part_in(job, block, bytes + more);
    buffer_finish(&body);
}

/* The same block again and again, long after its output was whole. */
static void flood(uint64_t job)
{
    say_block(job, 0, 0, false);
    for (;;)
        say_part_in(job, 0, REGION_BLOCK_BYTES);
}

static void misuse_blocks(const char *how, uint64_t job)
{
    if (strcmp(how, "block") == 0)
        say_block(job, 0, 0, false);
    if (strcmp(how, "block_outside") == 0)
        say_block(job, REGION_BLOCKS, 0, false);
    if (strcmp(how, "block_long") == 0)
        say_block(job, REGION_BLOCKS - 1, REGION_BLOCK_BYTES, false);
    if (strcmp(how, "block_foreign") == 0)
        say_block(job, 9, 0, false);
    if (strcmp(how, "block_gone") == 0)
        say_block(job, 0, 0, true);
    if (strcmp(how, "block_flood") == 0)
        flood(job);
}

/* A process of its own goes on where the worker ends, with all that the worker had. */
static void leave_a_talker(bool in_its_group)
{
    if (fork() != 0)
        _exit(7);
    if (!in_its_group)
        setpgid(0, getpgid(getppid()));
    signal(SIGALRM, SIG_DFL);
    alarm(8);
    for (;;)
        say(FRAME_PONG, 0, NULL);
}

static void misbehave(const char *path, uint64_t job)
{
    const char *how = strrchr(path, '?') + 1;
    say(FRAME_ACCEPTED, job, NULL);
    if (strcmp(how, "hang") == 0)
        for (;;)
            pause();
    if (strcmp(how, "last_words") == 0)
        say_last_words();
    if (strcmp(how, "talker") == 0 || strcmp(how, "far_talker") == 0)
        leave_a_talker(how[0] == 't');
    misuse_blocks(how, job);
    while (strcmp(how, "stream") == 0)
        say_vectors(job, 1, 2, 0, true);
    if (strcmp(how, "three_rows") == 0)
        say_output(job, 3);
    if (strcmp(how, "no_numbers") == 0)
        say_vectors(job, 1, 0, 0, false);
    if (strcmp(how, "nan") == 0)
        say_vectors(job, 1, 2, NAN, false);
    if (strcmp(how, "infinite") == 0)
        say_vectors(job, 1, 2, INFINITY, false);
    if (strcmp(how, "twice") == 0 || strcmp(how, "truth") == 0 || strcmp(how, "finish") == 0)
        say_output(job, 1);
    if (strcmp(how, "twice") == 0)
        say_output(job, 1);
    say_end(job, strcmp(how, "finish") == 0 ? 9 : 0);
}

/* The server's own group: a signal to the group that it was given does not find it any more. */
static void leave_the_group(void)
{
    if (setpgid(0, getpgid(getppid())) != 0)
        _exit(1);
    signal(SIGTERM, SIG_IGN);
}

static int be_a_worker(const char *path)
{
    struct plan plan = some_plan();
    struct buffer body;
    buffer_init(&in, (size_t)1024 * 1024);
    buffer_init(&body, FRAME_BODY_MAX);
    message_hello_write(&body, &(struct message_hello){ WIRE_VERSION, str_of(build_id) });
    say(FRAME_HELLO, 0, &body);
    if (strcmp(path, "--inspect") == 0)
        inspect();
    buffer_clear(&body);
    message_plan_write(&body, &plan);
    say(FRAME_PLAN, 0, &body);
    if (strstr(path, "?hang") != NULL)
        leave_the_group();
    for (struct frame f; (f = hear()).type != FRAME_BYE;) {
        if (f.type == FRAME_LOAD)
            say(FRAME_LOADED, 0, NULL);
        else if (f.type == FRAME_PART) /* the whole request: it is short */
            misbehave(path, f.job);
    }
    _exit(0);
}

/* ---- the tests ---- */

static char folder[] = "/tmp/weir-hostile-XXXXXX";
static char logged[1 << 16];

static void keep_log(void *context, enum weir_log_level level, const char *line)
{
    (void)context;
    (void)level;
    size_t len = strlen(logged);
    snprintf(logged + len, sizeof logged - len, "%s\n", line);
}

static int make_folder(void **state)
{
    char self[512], link[64];
    (void)state;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0 || mkdtemp(folder) == NULL)
        return -1;
    self[n] = '\0';
    snprintf(link, sizeof link, "%s/weir-worker-fake", folder);
    return symlink(self, link);
}

static int remove_folder(void **state)
{
    char link[64];
    (void)state;
    snprintf(link, sizeof link, "%s/weir-worker-fake", folder);
    return unlink(link) != 0 || rmdir(folder) != 0;
}

static void ask(const char *how, struct outcome *o)
{
    static const struct weir_limit limits[] = {
        {"stderr_bytes", 64}
    };
    struct weir_error err;
    char path[64];
    logged[0] = '\0';
    open_pool(folder, (struct weir_options){
                          .log = keep_log, .max_workers = 1, .limits = limits, .limits_count = 1 });
    snprintf(path, sizeof path, "fake:text_embedding?%s", how);
    add_model("m", path);
    assert_true(embed("m", "x", o, &err) != 0);
}

static void test_the_truth_is_believed(void **state)
{
    (void)state;
    struct outcome o = { 0 };
    ask("truth", &o);
    run(&o, 1, 20);
    assert_int_equal(o.code, WEIR_OK);
    assert_int_equal(o.outputs, 1);
    weir_close(pool);
}

static void test_answers_that_do_not_fit_fail_the_request(void **state)
{
    (void)state;
    static const char *const ways[] = { "three_rows", "no_numbers", "nan",   "infinite",
                                        "twice",      "none",       "finish" };
    for (size_t i = 0; i < ARRAY_COUNT(ways); i++) {
        struct outcome o = { 0 };
        ask(ways[i], &o);
        run(&o, 1, 20);
        assert_int_equal(o.code, WEIR_MODEL_FAILED);
        assert_true(o.outputs <= 1 && strlen(o.error) > 0);
        assert_non_null(strstr(logged, "worker 2 makes no sense: its worker"));
        weir_close(pool);
    }
}

/* As if the model had said so itself (F086). */
static void test_answers_that_do_not_fit_count_against_the_model(void **state)
{
    (void)state;
    static const char *const ways[] = { "three_rows", "none" };
    for (size_t i = 0; i < ARRAY_COUNT(ways); i++) {
        struct outcome o[6] = { 0 };
        struct weir_error err;
        ask(ways[i], &o[0]);
        run(&o[0], 1, 20);
        for (size_t n = 1; n < 5; n++) {
            assert_true(embed("m", "x", &o[n], &err) != 0);
            run(&o[n], 1, 20);
            assert_int_equal(o[n].code, WEIR_MODEL_FAILED);
        }
        assert_int_equal(embed("m", "x", &o[5], &err), 0);
        assert_int_equal(err.code, WEIR_UNAVAILABLE);
        assert_non_null(strstr(err.text, "its worker"));
        weir_close(pool);
    }
}

/* Nobody waits for the end of it. */
static void test_an_answer_without_end_fails_the_request_at_once(void **state)
{
    (void)state;
    struct outcome o = { 0 };
    int64_t start_ms = clock_ms();
    ask("stream", &o);
    run(&o, 1, 20);
    assert_int_equal(o.code, WEIR_MODEL_FAILED);
    assert_int_equal(o.outputs, 1);
    weir_close(pool);
    assert_true(clock_ms() - start_ms < 10000);
}

static void test_answers_may_lie_in_blocks(void **state)
{
    (void)state;
    struct outcome o = { 0 };
    ask("block", &o);
    run(&o, 1, 20);
    assert_int_equal(o.code, WEIR_OK);
    assert_true(o.rows == 1 && o.dim == 2 && o.first > 0.99f);
    weir_close(pool);
}

static void test_blocks_that_there_are_not_end_the_worker(void **state)
{
    (void)state;
    static const struct {
        const char *how, *says;
    } ways[] = {
        {"block_outside", "names block 64, there are 64" },
        { "block_long",   "bytes of a block out of range"},
        { "block_flood",  "sent a part of no output"     },
    };
    for (size_t i = 0; i < ARRAY_COUNT(ways); i++) {
        struct outcome o = { 0 };
        ask(ways[i].how, &o);
        run(&o, 1, 20);
        /* Lost, tried once more alone, and lost again; not so after a whole answer. */
        assert_int_equal(o.code, o.outputs > 0 ? WEIR_WORKER_LOST : WEIR_QUARANTINED);
        assert_non_null(strstr(logged, ways[i].says));
        weir_close(pool);
    }
}

/* Zeros and old bytes are no answer, but they are nobody else's bytes either. */
static void test_blocks_that_hold_something_else_fail_the_request(void **state)
{
    (void)state;
    static const char *const ways[] = { "block_foreign", "block_gone" };
    for (size_t i = 0; i < ARRAY_COUNT(ways); i++) {
        struct outcome o = { 0 };
        ask(ways[i], &o);
        run(&o, 1, 20);
        assert_int_equal(o.code, WEIR_MODEL_FAILED);
        weir_close(pool);
    }
}

static void test_one_that_left_its_group_is_killed(void **state)
{
    (void)state;
    struct outcome o = { 0 };
    ask("hang", &o);
    run_until_event("\"to\":\"Processing\"", 20);
    int64_t start_ms = clock_ms();
    weir_close(pool);
    assert_int_equal(o.code, WEIR_SHUTTING_DOWN);
    assert_true(clock_ms() - start_ms < 5000);
}

static void test_the_last_words_are_the_last(void **state)
{
    (void)state;
    struct outcome o = { 0 };
    ask("last_words", &o);
    run_until_event("\"to\":\"Processing\"", 20);
    clock_sleep_ms(300); /* so that its death is seen together with the first of its words */
    run(&o, 1, 20);
    assert_int_equal(o.code, WEIR_QUARANTINED);
    assert_non_null(strstr(logged, "the very last words"));
    weir_close(pool);
}

/* Neither keeps the pool from its work, and the one in the worker's group goes with the worker. */
static void test_what_a_worker_leaves_behind_does_not_hold_the_pool(void **state)
{
    (void)state;
    static const char *const ways[] = { "talker", "far_talker" };
    for (size_t i = 0; i < ARRAY_COUNT(ways); i++) {
        struct outcome o = { 0 };
        int64_t start_ms = clock_ms();
        ask(ways[i], &o);
        run(&o, 1, 20);
        weir_close(pool);
        assert_int_equal(o.code, WEIR_QUARANTINED);
        assert_true(clock_ms() - start_ms < 6000);
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && fcntl(CHANNEL_FD, F_GETFD) >= 0 &&
        (strcmp(argv[1], "--inspect") == 0 || strncmp(argv[1], "fake:", 5) == 0))
        return be_a_worker(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_truth_is_believed),
        cmocka_unit_test(test_answers_that_do_not_fit_fail_the_request),
        cmocka_unit_test(test_answers_that_do_not_fit_count_against_the_model),
        cmocka_unit_test(test_an_answer_without_end_fails_the_request_at_once),
        cmocka_unit_test(test_answers_may_lie_in_blocks),
        cmocka_unit_test(test_blocks_that_there_are_not_end_the_worker),
        cmocka_unit_test(test_blocks_that_hold_something_else_fail_the_request),
        cmocka_unit_test(test_one_that_left_its_group_is_killed),
        cmocka_unit_test(test_the_last_words_are_the_last),
        cmocka_unit_test(test_what_a_worker_leaves_behind_does_not_hold_the_pool),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
