/* What every capability must do, one row a capability, with real processes of weir-worker-fake. */
#include "base/check.h"
#include "base/str.h"
#include "lib/test_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- the rows ---- */

#define TEXT_OF(literal)                                                                           \
    {                                                                                              \
        .size = sizeof(struct weir_input), .kind = WEIR_INPUT_TEXT, .data = literal,               \
        .bytes = sizeof(literal) - 1                                                               \
    }
#define IMAGE_OF(literal)                                                                          \
    {                                                                                              \
        .size = sizeof(struct weir_input), .kind = WEIR_INPUT_IMAGE, .data = literal,              \
        .bytes = sizeof(literal) - 1                                                               \
    }
#define MESSAGE_OF(who, list)                                                                      \
    {                                                                                              \
        .size = sizeof(struct weir_message), .role = who, .parts = list,                           \
        .count = ARRAY_COUNT(list)                                                                 \
    }

static const struct weir_input texts[] = { TEXT_OF("one two"), TEXT_OF("three") };
static const struct weir_input failing[] = { TEXT_OF("fine"), TEXT_OF("!fail no luck") };
static const struct weir_input images[] = { IMAGE_OF("png 1"), IMAGE_OF("png 2") };
static const struct weir_input system_says[] = { TEXT_OF("be brief") };
static const struct weir_input question[] = { TEXT_OF("what is"), IMAGE_OF("png 1"),
                                              TEXT_OF("this") };
static const struct weir_message chat[] = { MESSAGE_OF("system", system_says),
                                            MESSAGE_OF("user", texts) };
static const struct weir_message asked[] = { MESSAGE_OF("user", question) };

static const struct weir_embed two_texts = { .size = sizeof two_texts,
                                             .inputs = texts,
                                             .count = 2 };
static const struct weir_embed second_text = { .size = sizeof second_text,
                                               .inputs = &texts[1],
                                               .count = 1 };
static const struct weir_embed failing_text = { .size = sizeof failing_text,
                                                .inputs = failing,
                                                .count = 2 };
static const struct weir_generate conversation = { .size = sizeof conversation,
                                                   .messages = chat,
                                                   .messages_count = 2 };
static const struct weir_generate failing_prompt = { .size = sizeof failing_prompt,
                                                     .prompt = TEXT_OF("!fail no luck") };
static const struct weir_generate long_answer = { .size = sizeof long_answer,
                                                  .prompt = TEXT_OF("!tokens 200 0ms") };
static const struct weir_embed two_images = { .size = sizeof two_images,
                                              .inputs = images,
                                              .count = 2 };
static const struct weir_embed second_image = { .size = sizeof second_image,
                                                .inputs = &images[1],
                                                .count = 1 };
static const struct weir_embed too_many_numbers = {
    .size = sizeof too_many_numbers, .inputs = images, .count = 2, .dimensions = 9999
};
static const struct weir_generate about_an_image = { .size = sizeof about_an_image,
                                                     .messages = asked,
                                                     .messages_count = 1 };
static const struct weir_draw two_boats = {
    .size = sizeof two_boats, .prompt = TEXT_OF("a red boat"), .count = 2, .seeded = true, .seed = 4
};
static const struct weir_draw second_boat = {
    .size = sizeof second_boat, .prompt = TEXT_OF("a red boat"), .seeded = true, .seed = 5
};
static const struct weir_draw failing_picture = { .size = sizeof failing_picture,
                                                  .prompt = TEXT_OF("!fail no luck") };
static const struct weir_draw large_pictures = { .size = sizeof large_pictures,
                                                 .prompt = TEXT_OF("large"),
                                                 .count = 5,
                                                 .width = 256,
                                                 .height = 256 };

struct row {
    enum weir_capability capability;
    enum weir_operation operation;
    const void *good;
    int outputs;
    const char *text;   /* of a text, its answer but for a last word that is a hash */
    const void *second; /* its first answer is the second one of `good`; NULL: it has but one */
    uint64_t tokens_in, tokens_out;
    const void *bad; /* the model fails on it, with this code and words */
    enum weir_code bad_code;
    const char *bad_text;
    /* More than fits the credit, in events or (one picture) in bytes: so many outputs come and
     * then no more; in all. */
    const void *flood;
    int flood_first, flood_all;
};

static const struct row rows[] = {
    {.capability = WEIR_TEXT_EMBEDDING,
     .operation = WEIR_EMBED,
     .good = &two_texts,
     .outputs = 1,
     .second = &second_text,
     .tokens_in = 3,
     .bad = &failing_text,
     .bad_code = WEIR_MODEL_FAILED,
     .bad_text = "no luck"                                         },
    { .capability = WEIR_TEXT_TO_TEXT,
     .operation = WEIR_GENERATE,
     .good = &conversation,
     .outputs = 3,
     .text = "three two one",
     .tokens_in = 5,
     .tokens_out = 3,
     .bad = &failing_prompt,
     .bad_code = WEIR_MODEL_FAILED,
     .bad_text = "no luck",
     .flood = &long_answer,
     .flood_first = 64,
     .flood_all = 200 },
    {                                                 .capability = WEIR_IMAGE_EMBEDDING,
     .operation = WEIR_EMBED,
     .good = &two_images,
     .outputs = 1,
     .second = &second_image,
     .tokens_in = 2,
     .bad = &too_many_numbers,
     .bad_code = WEIR_INVALID,
     .bad_text = "dimensions is 9999"},
    {                                       .capability = WEIR_VISION,
     .operation = WEIR_DESCRIBE,
     .good = &about_an_image,
     .outputs = 4,
     .text = "this is what images=1:",
     .tokens_in = 4,
     .tokens_out = 4,
     .bad = &failing_prompt,
     .bad_code = WEIR_MODEL_FAILED,
     .bad_text = "no luck",
     .flood = &long_answer,
     .flood_first = 64,
     .flood_all = 200 },
    {            .capability = WEIR_TEXT_TO_IMAGE,
     .operation = WEIR_DRAW,
     .good = &two_boats,
     .outputs = 2,
     .second = &second_boat,
     .tokens_in = 3,
     .bad = &failing_picture,
     .bad_code = WEIR_MODEL_FAILED,
     .bad_text = "no luck",
     .flood = &large_pictures,
     .flood_first = 1,
     .flood_all = 5 },
};
_Static_assert(ARRAY_COUNT(rows) == WEIR_CAPABILITY_COUNT, "one row a capability");

/* ---- asking ---- */

struct seen {
    int outputs, steps, ends;
    struct weir_end end;
    uint64_t prints[8]; /* a hash of each vector and image, in order */
    size_t prints_count;
    char text[4096];
};

static void keep_print(struct seen *s, const void *data, size_t bytes)
{
    if (s->prints_count < ARRAY_COUNT(s->prints))
        s->prints[s->prints_count++] = str_hash((struct str){ data, bytes });
}

static void see_output(void *context, uint64_t id, const struct weir_output *o)
{
    struct seen *s = context;
    (void)id;
    CHECK(s->ends == 0);
    s->outputs++;
    for (size_t i = 0; i < o->rows && o->vectors != NULL; i++)
        keep_print(s, o->vectors + i * o->dim, o->dim * sizeof(float));
    if (o->image != NULL) {
        assert_true(o->width % 16 == 0 && o->height % 16 == 0);
        assert_memory_equal(o->image, "\x89PNG\r\n\x1a\n", 8);
        assert_string_equal(o->media_type, "image/png");
        keep_print(s, o->image, o->image_bytes);
    }
    if (o->text != NULL && strlen(s->text) + o->bytes < sizeof s->text)
        strncat(s->text, o->text, o->bytes);
}

static void see_progress(void *context, uint64_t id, uint32_t step, uint32_t steps)
{
    struct seen *s = context;
    (void)id;
    CHECK(s->ends == 0);
    assert_true(step <= steps);
    s->steps++;
}

static void see_end(void *context, uint64_t id, const struct weir_end *end)
{
    struct seen *s = context;
    (void)id;
    s->ends++;
    s->end = *end;
}

static const struct weir_callbacks seers = {
    .size = sizeof seers, .on_output = see_output, .on_progress = see_progress, .on_end = see_end
};

static struct weir_request request(const struct row *r, const void *input, struct seen *s)
{
    *s = (struct seen){ 0 };
    return (struct weir_request){ .size = sizeof(struct weir_request),
                                  .capability = r->capability,
                                  .operation = r->operation,
                                  .model = "m",
                                  .client = "someone",
                                  .id = "a test",
                                  .callbacks = &seers,
                                  .context = s,
                                  .input = input };
}

/* A pool with the model "m" of that capability, which has one worker at most. */
static void open_with(enum weir_capability capability, const char *options)
{
    char path[200];
    snprintf(path, sizeof path, "fake:%s?script=yes&%s", weir_capability_name(capability), options);
    open_pool(WEIR_BIN, (struct weir_options){ .max_workers = 1 });
    add_model("m", path);
}

static void steps(int count)
{
    struct weir_error err;
    for (int i = 0; i < count; i++)
        CHECK(weir_step(pool, 10, &err) == WEIR_OK);
}

/* Until it has ended, once and for all. */
static void wait_end(const struct row *r, const struct seen *s)
{
    for (int i = 0; i < 2000 && s->ends == 0; i++)
        steps(1);
    if (s->ends == 0)
        fprintf(stderr, "%s did not end\n", weir_capability_name(r->capability));
    steps(3);
    assert_int_equal(s->ends, 1);
}

static void ask(const struct row *r, const void *input, struct seen *s)
{
    struct weir_error err;
    const struct weir_request q = request(r, input, s);
    assert_true(weir_submit(pool, &q, &err) != 0);
    wait_end(r, s);
}

static void expect_code(const struct row *r, const struct seen *s, enum weir_code code)
{
    if (s->end.error.code != code)
        fprintf(stderr, "%s: %s\n", weir_capability_name(r->capability), s->end.error.text);
    assert_int_equal(s->end.error.code, code);
}

static void expect_good(const struct row *r, const struct seen *s)
{
    expect_code(r, s, WEIR_OK);
    assert_int_equal(s->outputs, r->outputs);
    assert_int_equal(s->end.input_tokens, r->tokens_in);
    assert_int_equal(s->end.output_tokens, r->tokens_out);
    assert_int_equal(s->end.finish, WEIR_FINISH_STOP);
    if (r->text != NULL)
        assert_memory_equal(s->text, r->text, strlen(r->text));
}

/* ---- the tests ---- */

/* F002 */
static void the_first_request_ever_starts_a_worker_and_is_answered(void **state)
{
    (void)state;
    for (const struct row *r = rows; r < rows + ARRAY_COUNT(rows); r++) {
        struct seen s;
        open_with(r->capability, "dim=16");
        ask(r, r->good, &s);
        expect_good(r, &s);
        assert_non_null(strstr(events, "\"to\":\"Spawning\""));
        weir_close(pool);
    }
}

/* F102 */
static void several_answers_come_in_order(void **state)
{
    (void)state;
    for (const struct row *r = rows; r < rows + ARRAY_COUNT(rows); r++) {
        struct seen both, again, second;
        open_with(r->capability, "dim=16");
        ask(r, r->good, &both);
        ask(r, r->good, &again);
        assert_string_equal(both.text, again.text);
        assert_memory_equal(both.prints, again.prints, sizeof both.prints);
        if (r->second != NULL) {
            ask(r, r->second, &second);
            assert_int_equal(both.prints_count, 2);
            assert_int_equal(second.prints_count, 1);
            assert_true(both.prints[1] == second.prints[0]);
            assert_true(both.prints[0] != second.prints[0]);
        }
        weir_close(pool);
    }
}

static void a_cancel_ends_it_midway(void **state)
{
    (void)state;
    for (const struct row *r = rows; r < rows + ARRAY_COUNT(rows); r++) {
        struct seen s;
        struct weir_error err;
        open_with(r->capability, "step=20ms&steps=500");
        const struct weir_request q = request(r, r->good, &s);
        const uint64_t id = weir_submit(pool, &q, &err);
        assert_true(id != 0);
        run_until_event("\"to\":\"Processing\"", 20);
        steps(10);
        assert_int_equal(s.ends, 0);
        assert_true(weir_cancel(pool, id));
        wait_end(r, &s);
        expect_code(r, &s, WEIR_CANCELLED);
        assert_false(weir_cancel(pool, id));
        /* The worker goes on with the next one. */
        assert_null(strstr(events, "\"to\":\"Dead\""));
        weir_close(pool);
    }
}

static void a_deadline_ends_it_midway(void **state)
{
    (void)state;
    for (const struct row *r = rows; r < rows + ARRAY_COUNT(rows); r++) {
        struct seen s;
        struct weir_error err;
        open_with(r->capability, "step=20ms&steps=500");
        struct weir_request q = request(r, r->good, &s);
        q.deadline_ms = 300;
        assert_true(weir_submit(pool, &q, &err) != 0);
        wait_end(r, &s);
        expect_code(r, &s, WEIR_DEADLINE);
        assert_true(s.end.total_ms >= 300 && s.end.total_ms < 5000);
        weir_close(pool);
    }
}

static void a_request_outlives_one_crash(void **state)
{
    (void)state;
    for (const struct row *r = rows; r < rows + ARRAY_COUNT(rows); r++) {
        struct seen before, s;
        open_with(r->capability, "crash=every:2&dim=16");
        ask(r, r->good, &before);
        expect_good(r, &before);
        ask(r, r->good, &s);
        expect_good(r, &s);
        assert_string_equal(before.text, s.text);
        assert_memory_equal(before.prints, s.prints, sizeof s.prints);
        assert_non_null(strstr(events, "\"to\":\"Dead\""));
        weir_close(pool);
    }
}

static void what_ends_two_workers_is_quarantined(void **state)
{
    (void)state;
    for (const struct row *r = rows; r < rows + ARRAY_COUNT(rows); r++) {
        struct seen s;
        struct weir_error err;
        open_with(r->capability, "crash=step:1");
        ask(r, r->good, &s);
        expect_code(r, &s, WEIR_QUARANTINED);
        assert_int_equal(s.outputs, 0);
        const struct weir_request q = request(r, r->good, &s);
        assert_int_equal(weir_submit(pool, &q, &err), 0);
        assert_int_equal(err.code, WEIR_QUARANTINED);
        weir_close(pool);
    }
}

/* F097: what has begun is not begun anew, and does not end well. */
static void a_crash_within_a_stream_is_told(void **state)
{
    (void)state;
    for (const struct row *r = rows; r < rows + ARRAY_COUNT(rows); r++) {
        struct seen s;
        if (r->flood == NULL)
            continue;
        open_with(r->capability, "crash=step:2&step=50ms");
        ask(r, r->good, &s);
        expect_code(r, &s, WEIR_WORKER_LOST);
        assert_int_equal(s.outputs, 1);
        weir_close(pool);
    }
}

/* F099 */
static void a_failing_model_says_why_and_goes_on(void **state)
{
    (void)state;
    for (const struct row *r = rows; r < rows + ARRAY_COUNT(rows); r++) {
        struct seen s;
        open_with(r->capability, "dim=16");
        ask(r, r->bad, &s);
        expect_code(r, &s, r->bad_code);
        assert_non_null(strstr(s.end.error.text, r->bad_text));
        assert_int_equal(s.outputs, 0);
        ask(r, r->good, &s);
        expect_good(r, &s);
        assert_null(strstr(events, "\"to\":\"Dead\""));
        weir_close(pool);
    }
}

/* F098 */
static void a_text_that_was_cut_says_so(void **state)
{
    (void)state;
    static const char *const stops[] = { "two" };
    for (const struct row *r = rows; r < rows + ARRAY_COUNT(rows); r++) {
        struct seen s;
        if (r->text == NULL)
            continue;
        open_with(r->capability, "dim=16");
        struct weir_generate g = { .size = sizeof g,
                                   .prompt = TEXT_OF("one two three four"),
                                   .tokens_max = 3 };
        ask(r, &g, &s);
        expect_code(r, &s, WEIR_OK);
        assert_string_equal(s.text, "four three two");
        assert_int_equal(s.end.finish, WEIR_FINISH_LENGTH);
        assert_int_equal(s.end.input_tokens, 4);
        assert_int_equal(s.end.output_tokens, 3);
        g.stop = stops;
        g.stop_count = 1;
        ask(r, &g, &s);
        assert_string_equal(s.text, "four three ");
        assert_int_equal(s.end.finish, WEIR_FINISH_STOP);
        weir_close(pool);
    }
}

static void a_stream_without_credit_waits(void **state)
{
    (void)state;
    for (const struct row *r = rows; r < rows + ARRAY_COUNT(rows); r++) {
        struct seen s;
        struct weir_error err;
        if (r->flood == NULL)
            continue;
        open_with(r->capability, "dim=16");
        struct weir_request q = request(r, r->flood, &s);
        q.flags = WEIR_FLAG_OWN_CREDIT;
        const uint64_t id = weir_submit(pool, &q, &err);
        assert_true(id != 0);
        for (int i = 0; i < 2000 && s.outputs < r->flood_first; i++)
            steps(1);
        steps(30);
        assert_int_equal(s.outputs, r->flood_first);
        assert_int_equal(s.ends, 0);
        assert_true(weir_credit(pool, id, 1000, UINT64_C(100) << 20));
        wait_end(r, &s);
        expect_code(r, &s, WEIR_OK);
        assert_int_equal(s.outputs, r->flood_all);
        /* Who leaves it to the library gets all without a word. */
        ask(r, r->flood, &s);
        assert_int_equal(s.outputs, r->flood_all);
        weir_close(pool);
    }
}

/* Operations that are none, or another capability's, and requests to a model that cannot. */
static void what_does_not_belong_is_refused(void **state)
{
    (void)state;
    for (const struct row *r = rows; r < rows + ARRAY_COUNT(rows); r++) {
        struct seen s;
        struct weir_error err;
        open_with(r->capability, "dim=16");
        struct weir_request q = request(r, r->good, &s);
        q.operation = WEIR_OPERATION_COUNT;
        assert_int_equal(weir_submit(pool, &q, &err), 0);
        assert_int_equal(err.code, WEIR_INVALID);
        for (const struct row *other = rows; other < rows + ARRAY_COUNT(rows); other++) {
            if (other == r)
                continue;
            q = request(r, other->good, &s);
            q.operation = other->operation;
            if (other->operation != r->operation) {
                assert_int_equal(weir_submit(pool, &q, &err), 0);
                assert_int_equal(err.code, WEIR_INVALID);
                assert_non_null(strstr(err.text, "does not belong"));
            }
            q.capability = other->capability;
            if (weir_submit(pool, &q, &err) != 0) { /* not inspected yet */
                wait_end(other, &s);
                err = s.end.error;
            }
            assert_int_equal(err.code, WEIR_INVALID);
            assert_int_equal(s.outputs, 0);
        }
        ask(r, r->good, &s);
        expect_good(r, &s);
        weir_close(pool);
    }
}

static void fields_out_of_range_are_named(void **state)
{
    (void)state;
    char name[300];
    struct seen s;
    struct weir_error err;
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    open_with(WEIR_TEXT_EMBEDDING, "dim=16");
    struct weir_request wrong[9];
    static const char *const fields[ARRAY_COUNT(wrong)] = {
        "capability",    "operation", "priority", "flags", "deadline_ms",
        "keep_alive_ms", "client",    "id",       "model"
    };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        wrong[i] = request(&rows[0], rows[0].good, &s);
    wrong[0].capability = WEIR_CAPABILITY_COUNT;
    wrong[1].operation = WEIR_OPERATION_COUNT;
    wrong[2].priority = (enum weir_priority)5;
    wrong[3].flags = 2;
    wrong[4].deadline_ms = -1;
    wrong[5].keep_alive_ms = -3;
    wrong[6].client = name;
    wrong[7].id = name;
    wrong[8].model = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        assert_int_equal(weir_submit(pool, &wrong[i], &err), 0);
        assert_int_equal(err.code, WEIR_INVALID);
        assert_non_null(strstr(err.text, fields[i]));
    }
    weir_close(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_request_ever_starts_a_worker_and_is_answered),
        cmocka_unit_test(several_answers_come_in_order),
        cmocka_unit_test(a_cancel_ends_it_midway),
        cmocka_unit_test(a_deadline_ends_it_midway),
        cmocka_unit_test(a_request_outlives_one_crash),
        cmocka_unit_test(what_ends_two_workers_is_quarantined),
        cmocka_unit_test(a_crash_within_a_stream_is_told),
        cmocka_unit_test(a_failing_model_says_why_and_goes_on),
        cmocka_unit_test(a_text_that_was_cut_says_so),
        cmocka_unit_test(a_stream_without_credit_waits),
        cmocka_unit_test(what_does_not_belong_is_refused),
        cmocka_unit_test(fields_out_of_range_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
