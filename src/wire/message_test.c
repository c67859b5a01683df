#include "wire/message.h"

#include "base/check.h"
#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MANY 2000

static const struct plan example_plan = {
    .capabilities = 1, .architecture = "bert", .weights_bytes = 5, .slots = 1
};

static struct weir_error example_error(void)
{
    return (struct weir_error){ .code = WEIR_CONTEXT_LENGTH,
                                .os_errno = 12,
                                .value = 600,
                                .limit = INT64_MAX,
                                .retry_after_ms = 1500,
                                .index = 3,
                                .text = "input 3 is too long" };
}

/* Each message in one shape: made into bytes, and read from them. The read also compares. */
static void write_hello(struct buffer *b)
{
    message_hello_write(b, &(struct message_hello){ 1, STR("0123456789abcdef") });
}
static bool read_hello(const struct frame *f, struct weir_error *err)
{
    struct message_hello m = { 0 };
    return message_hello_read(f, &m, err) && m.version == 1 &&
           str_eq(m.build_id, STR("0123456789abcdef"));
}
static void write_plan(struct buffer *b)
{
    message_plan_write(b, &example_plan);
}
static bool read_plan(const struct frame *f, struct weir_error *err)
{
    struct plan m;
    memset(&m, 0, sizeof(m));
    return message_plan_read(f, &m, err) && memcmp(&m, &example_plan, sizeof(m)) == 0;
}
static void write_load(struct buffer *b)
{
    message_load_write(b, &(struct message_load){ 512, 64, 8, 1, 2, STR("/cache") });
}
static bool read_load(const struct frame *f, struct weir_error *err)
{
    struct message_load m = { 0 };
    return message_load_read(f, &m, err) && m.context == 512 && m.slots == 64 && m.threads == 8 &&
           m.precision == 1 && m.attempt == 2 && str_eq(m.cache, STR("/cache"));
}
static void write_run(struct buffer *b)
{
    message_run_write(
        b, &(struct message_run){ WEIR_TEXT_TO_IMAGE, WEIR_LOAD, 64, 65536, WIRE_PAYLOAD_MAX });
}
static bool read_run(const struct frame *f, struct weir_error *err)
{
    struct message_run m = { 0 };
    return message_run_read(f, &m, err) && m.capability == WEIR_TEXT_TO_IMAGE &&
           m.operation == WEIR_LOAD && m.credit_events == 64 && m.credit_bytes == 65536 &&
           m.payload_bytes == WIRE_PAYLOAD_MAX;
}
static void write_output(struct buffer *b)
{
    message_output_write(b, &(struct message_output){ 77, true });
}
static bool read_output(const struct frame *f, struct weir_error *err)
{
    struct message_output m = { 0 };
    return message_output_read(f, &m, err) && m.payload_bytes == 77 && m.streamed;
}
static void write_progress(struct buffer *b)
{
    message_progress_write(b, &(struct message_progress){ 3, 20 });
}
static bool read_progress(const struct frame *f, struct weir_error *err)
{
    struct message_progress m = { 0 };
    return message_progress_read(f, &m, err) && m.step == 3 && m.steps == 20;
}
static void write_end(struct buffer *b)
{
    message_end_write(b, &(struct message_end){ example_error(), 7, UINT64_MAX, 1 });
}
static bool read_end(const struct frame *f, struct weir_error *err)
{
    struct message_end m;
    const struct weir_error expected = example_error();
    return message_end_read(f, &m, err) && memcmp(&m.error, &expected, sizeof(expected)) == 0 &&
           m.input_tokens == 7 && m.output_tokens == UINT64_MAX && m.finish == 1;
}
static void write_failed(struct buffer *b)
{
    const struct weir_error e = example_error();
    message_failed_write(b, &e);
}
static bool read_failed(const struct frame *f, struct weir_error *err)
{
    struct weir_error m;
    const struct weir_error expected = example_error();
    return message_failed_read(f, &m, err) && memcmp(&m, &expected, sizeof(expected)) == 0;
}
static void write_credit(struct buffer *b)
{
    message_credit_write(b, &(struct message_credit){ 5, 4096 });
}
static bool read_credit(const struct frame *f, struct weir_error *err)
{
    struct message_credit m = { 0 };
    return message_credit_read(f, &m, err) && m.events == 5 && m.bytes == 4096;
}
static void write_ping(struct buffer *b)
{
    message_ping_write(b, UINT64_C(0x123456789abcdef0));
}
static bool read_ping(const struct frame *f, struct weir_error *err)
{
    uint64_t sequence = 0;
    return message_ping_read(f, &sequence, err) && sequence == UINT64_C(0x123456789abcdef0);
}
static void write_inspect(struct buffer *b)
{
    message_inspect_write(b, &(struct message_inspect){ STR("/models/a"), 256 });
}
static bool read_inspect(const struct frame *f, struct weir_error *err)
{
    struct message_inspect m = { 0 };
    return message_inspect_read(f, &m, err) && str_eq(m.path, STR("/models/a")) && m.context == 256;
}
static void write_inspected(struct buffer *b)
{
    message_inspected_write(b, &(struct message_inspected){ { .index = -1 }, example_plan });
}
static bool read_inspected(const struct frame *f, struct weir_error *err)
{
    struct message_inspected m;
    memset(&m, 0, sizeof(m));
    return message_inspected_read(f, &m, err) && m.error.code == WEIR_OK &&
           memcmp(&m.plan, &example_plan, sizeof(m.plan)) == 0;
}
static void write_problem(struct buffer *b)
{
    message_inspected_write(b, &(struct message_inspected){ example_error(), { 0 } });
}
static bool read_problem(const struct frame *f, struct weir_error *err)
{
    struct message_inspected m;
    const struct weir_error expected = example_error();
    return message_inspected_read(f, &m, err) &&
           memcmp(&m.error, &expected, sizeof(expected)) == 0 && m.plan.slots == 0;
}

static void write_prepare(struct buffer *b)
{
    message_prepare_write(b, &(struct message_prepare){ STR("/a"), 256, 1, STR("/cache") });
}
static bool read_prepare(const struct frame *f, struct weir_error *err)
{
    struct message_prepare m = { 0 };
    return message_prepare_read(f, &m, err) && str_eq(m.path, STR("/a")) && m.context == 256 &&
           m.precision == 1 && str_eq(m.cache, STR("/cache"));
}
static void write_prepared(struct buffer *b)
{
    const struct weir_error e = example_error();
    message_prepared_write(b, &e);
}
static bool read_prepared(const struct frame *f, struct weir_error *err)
{
    struct weir_error m;
    const struct weir_error expected = example_error();
    return message_prepared_read(f, &m, err) && memcmp(&m, &expected, sizeof(expected)) == 0;
}

static const struct message {
    enum frame_type type;
    void (*write)(struct buffer *b);
    bool (*read)(const struct frame *f, struct weir_error *err);
} messages[] = {
    {FRAME_HELLO,      write_hello,     read_hello    },
    { FRAME_PLAN,      write_plan,      read_plan     },
    { FRAME_LOAD,      write_load,      read_load     },
    { FRAME_FAILED,    write_failed,    read_failed   },
    { FRAME_RUN,       write_run,       read_run      },
    { FRAME_OUTPUT,    write_output,    read_output   },
    { FRAME_PROGRESS,  write_progress,  read_progress },
    { FRAME_END,       write_end,       read_end      },
    { FRAME_CREDIT,    write_credit,    read_credit   },
    { FRAME_PING,      write_ping,      read_ping     },
    { FRAME_INSPECT,   write_inspect,   read_inspect  },
    { FRAME_INSPECTED, write_inspected, read_inspected},
    { FRAME_INSPECTED, write_problem,   read_problem  },
    { FRAME_PREPARE,   write_prepare,   read_prepare  },
    { FRAME_PREPARED,  write_prepared,  read_prepared },
};

static bool reads(const struct message *m, const void *body, size_t length)
{
    /* Just so many bytes, so that a sanitizer sees a step beyond them. */
    struct buffer exact;
    buffer_init(&exact, length);
    buffer_append(&exact, body, length);
    const struct frame f = { .type = (uint8_t)m->type,
                             .body = exact.data,
                             .length = (uint32_t)length };
    struct weir_error err = { 0 };
    const bool good = m->read(&f, &err);
    if (!good)
        assert_int_equal(err.code, WEIR_INVALID);
    buffer_finish(&exact);
    return good;
}

static void every_message_comes_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        struct buffer b;
        buffer_init(&b, FRAME_BODY_MAX);
        messages[i].write(&b);
        assert_false(b.failed);
        assert_true(reads(&messages[i], b.data, b.len));
        buffer_finish(&b);
    }
}

static void every_cut_and_every_extra_byte_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        struct buffer b;
        buffer_init(&b, FRAME_BODY_MAX);
        messages[i].write(&b);
        for (size_t cut = 0; cut < b.len; cut++)
            assert_false(reads(&messages[i], b.data, cut));
        buffer_u8(&b, 0);
        assert_false(reads(&messages[i], b.data, b.len));
        buffer_finish(&b);
    }
}

/* Changed bytes are read or refused; what the sanitizers watch is that nothing else happens. A read
 * that succeeds on changed bytes is compared in reads() and so mostly says false. */
static void changed_bytes_do_no_harm(void **state)
{
    (void)state;
    struct rng rng;
    rand_seed(&rng, 2);
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        struct buffer b;
        buffer_init(&b, FRAME_BODY_MAX);
        messages[i].write(&b);
        for (int n = 0; n < MANY; n++) {
            uint8_t copy[512];
            assert_true(b.len <= sizeof(copy));
            memcpy(copy, b.data, b.len);
            for (uint64_t k = rand_below(&rng, 4); k < 4; k++)
                copy[rand_below(&rng, b.len)] = (uint8_t)rand_u64(&rng);
            const struct frame f = { .type = (uint8_t)messages[i].type,
                                     .body = copy,
                                     .length = (uint32_t)b.len };
            struct weir_error err = { .code = WEIR_OK };
            if (!messages[i].read(&f, &err) && err.code != WEIR_OK)
                assert_true(err.code == WEIR_INVALID && err.text[0] != '\0');
        }
        buffer_finish(&b);
    }
}

static void refused(const struct message *m, size_t at, uint32_t value, const char *says)
{
    struct buffer b;
    buffer_init(&b, FRAME_BODY_MAX);
    m->write(&b);
    for (size_t i = 0; i < 4; i++)
        b.data[at + i] = (uint8_t)(value >> (8 * i));
    const struct frame f = { .type = (uint8_t)m->type, .body = b.data, .length = (uint32_t)b.len };
    struct weir_error err = { 0 };
    assert_false(m->read(&f, &err));
    assert_int_equal(strncmp(err.text, says, strlen(says)), 0);
    buffer_finish(&b);
}

static void values_out_of_range_are_refused(void **state)
{
    (void)state;
    refused(&messages[2], 4, 0, "frame 'load': slots out of range");
    refused(&messages[2], 4, 65, "frame 'load': slots out of range");
    refused(&messages[2], 12, PLAN_PRECISIONS, "frame 'load': precision out of range");
    refused(&messages[2], 24, 0, "frame 'load': a cache with a NUL");
    refused(&messages[3], 0, WEIR_CODE_COUNT, "frame 'failed': code of an error out of range");
    refused(&messages[3], 0, WEIR_OK, "frame 'failed': code of a failure out of range");
    refused(&messages[3], 32, (uint32_t)-2, "frame 'failed': index");
    refused(&messages[4], 0, WEIR_CAPABILITY_COUNT, "frame 'run': capability out of range");
    refused(&messages[4], 1, WEIR_OPERATION_COUNT, "frame 'run': operation out of range");
    refused(&messages[4], 10, WIRE_PAYLOAD_MAX + 1, "frame 'run': payload_bytes out of range");
    refused(&messages[5], 0, WIRE_PAYLOAD_MAX + 1, "frame 'output': payload_bytes");
    refused(&messages[6], 0, 21, "frame 'progress': step out of range");
    refused(&messages[10], 5, 0, "frame 'inspect': a path that is empty or has a NUL");
    refused(&messages[13], 3, 0, "frame 'prepare': a path that is empty or has a NUL");
    refused(&messages[13], 10, PLAN_PRECISIONS, "frame 'prepare': precision out of range");
    refused(&messages[13], 18, 0, "frame 'prepare': a path that is empty or has a NUL");
    refused(&messages[14], 0, WEIR_CODE_COUNT, "frame 'prepared': code of an error out of range");
}

static void a_part_is_bounded(void **state)
{
    (void)state;
    static uint8_t data[FRAME_PART_MAX + 1];
    static const uint32_t lengths[] = { 0, 1, FRAME_PART_MAX, FRAME_PART_MAX + 1 };
    static const bool good[] = { false, true, true, false };
    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
        const struct frame f = { .type = FRAME_PART, .body = data, .length = lengths[i] };
        struct message_part part = { 0 };
        assert_int_equal(message_part_read(&f, &part, NULL), good[i]);
        assert_int_equal(part.bytes, good[i] ? lengths[i] : 0);
    }
}

/* A tensor may be called anything, and people read of it on terminals. */
static void an_error_text_has_no_control_characters(void **state)
{
    (void)state;
    const struct weir_error e = { .code = WEIR_LOAD_FAILED,
                                  .index = -1,
                                  .text = "tensor '\x1b[2J\nforged\xc2\x9b' is m\xc3\xb6glich" };
    struct weir_error read, err;
    struct buffer b;
    buffer_init(&b, FRAME_BODY_MAX);
    message_failed_write(&b, &e);
    const struct frame f = { .type = FRAME_FAILED, .body = b.data, .length = (uint32_t)b.len };
    assert_true(message_failed_read(&f, &read, &err));
    assert_string_equal(read.text, "tensor ' [2J forged  ' is m\xc3\xb6glich");
    buffer_finish(&b);
}

static void the_longest_error_text_passes(void **state)
{
    (void)state;
    struct weir_error e = { .code = WEIR_INTERNAL, .index = -1 }, read, err;
    memset(e.text, 'x', sizeof(e.text) - 1);
    struct buffer b;
    buffer_init(&b, FRAME_BODY_MAX);
    message_failed_write(&b, &e);
    struct frame f = { .type = FRAME_FAILED, .body = b.data, .length = (uint32_t)b.len };
    assert_true(message_failed_read(&f, &read, &err));
    assert_memory_equal(&read, &e, sizeof(e));
    /* One more has no room for its NUL. */
    b.data[36]++;
    buffer_u8(&b, 'x');
    f = (struct frame){ .type = FRAME_FAILED, .body = b.data, .length = (uint32_t)b.len };
    assert_false(message_failed_read(&f, &read, &err));
    assert_non_null(strstr(err.text, "text of an error out of range"));
    buffer_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_comes_back),
        cmocka_unit_test(every_cut_and_every_extra_byte_is_refused),
        cmocka_unit_test(changed_bytes_do_no_harm),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(a_part_is_bounded),
        cmocka_unit_test(an_error_text_has_no_control_characters),
        cmocka_unit_test(the_longest_error_text_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
