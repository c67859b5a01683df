#include "wire/frame.h"

#include "base/mem.h"
#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MANY 3000

static void names_follow_the_list(void **state)
{
    (void)state;
    assert_string_equal(frame_name(FRAME_HELLO), "hello");
    assert_string_equal(frame_name(FRAME_PREPARED), "prepared");
    assert_string_equal(frame_name(FRAME_TYPES), "unknown");
}

static void frames_come_back_byte_by_byte(void **state)
{
    (void)state;
    struct buffer out, in;
    buffer_init(&out, 10000);
    buffer_init(&in, 10000);
    frame_write(&out, FRAME_PING, 0, "12345678", 8);
    frame_write(&out, FRAME_BYE, 0, NULL, 0);
    frame_write(&out, FRAME_PART, UINT64_MAX, "body", 4);

    static const uint8_t types[] = { FRAME_PING, FRAME_BYE, FRAME_PART };
    static const size_t ends[] = { 24, 40, 60 };
    size_t taken = 0, offset = 0;
    for (size_t i = 0; i < out.len; i++) {
        struct frame f;
        buffer_append(&in, out.data + i, 1);
        const int result = frame_take(&in, &offset, &f, NULL);
        if (i + 1 < ends[taken]) {
            assert_int_equal(result, 0);
            continue;
        }
        assert_int_equal(result, 1);
        assert_int_equal(f.type, types[taken]);
        assert_int_equal(offset, ends[taken]);
        taken++;
        if (taken == 3) {
            assert_true(f.job == UINT64_MAX);
            assert_int_equal(f.length, 4);
            assert_memory_equal(f.body, "body", 4);
        }
    }
    assert_int_equal(taken, 3);
    buffer_finish(&out);
    buffer_finish(&in);
}

static void a_wrong_header_is_refused_before_its_body(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
        const char *says;
    } cases[] = {
        {0,  WIRE_VERSION + 1, "a frame has version 2, this build speaks version 1"    },
        { 1, FRAME_TYPES,      "a frame has type 20, there are 20"                     },
        { 2, 1,                "a frame 'end' has flags 1, 0 are known"                },
        { 3, 1,                "a frame 'end' has flags 256, 0 are known"              },
        { 7, 0x80,             "a frame 'end' has 2147483651 bytes, the limit is 65600"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buffer b;
        buffer_init(&b, 1000);
        frame_write(&b, FRAME_END, 7, "abc", 3);
        b.data[cases[i].at] = cases[i].value;
        b.len = FRAME_HEADER;
        size_t offset = 0;
        struct frame f;
        struct weir_error err;
        assert_int_equal(frame_take(&b, &offset, &f, &err), -1);
        assert_int_equal(err.code, WEIR_INVALID);
        assert_string_equal(err.text, cases[i].says);
        assert_int_equal(offset, 0);
        buffer_finish(&b);
    }
}

static void the_longest_body_passes_and_one_more_does_not(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, FRAME_HEADER + FRAME_BODY_MAX);
    uint8_t *body = mem_new(FRAME_BODY_MAX, 1);
    frame_write(&b, FRAME_PART, 1, body, FRAME_BODY_MAX);
    assert_false(b.failed);
    size_t offset = 0;
    struct frame f;
    assert_int_equal(frame_take(&b, &offset, &f, NULL), 1);
    assert_int_equal(f.length, FRAME_BODY_MAX);
    b.data[4]++;
    offset = 0;
    assert_int_equal(frame_take(&b, &offset, &f, NULL), -1);
    mem_free(body);
    buffer_finish(&b);
}

static void a_full_buffer_holds_no_half_frame(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 2 * FRAME_HEADER + 3);
    frame_write(&b, FRAME_PING, 0, "1234", 4);
    frame_write(&b, FRAME_PING, 0, "1234", 4);
    assert_true(b.failed);
    assert_int_equal(b.len, FRAME_HEADER + 4);
    buffer_finish(&b);
}

static void a_payload_becomes_parts(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, FRAME_PART_MAX, FRAME_PART_MAX + 1, 3 * FRAME_PART_MAX };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct buffer b, all;
        buffer_init(&b, 1 << 20);
        buffer_init(&all, 1 << 20);
        uint8_t *data = mem_new(sizes[i] + 1, 1);
        for (size_t at = 0; at < sizes[i]; at++)
            data[at] = (uint8_t)(at * 7 + at / 256);
        frame_write_parts(&b, 9, data, sizes[i]);
        struct frame f;
        size_t offset = 0, parts = 0;
        while (frame_take(&b, &offset, &f, NULL) == 1) {
            assert_int_equal(f.type, FRAME_PART);
            assert_true(f.job == 9 && f.length > 0 && f.length <= FRAME_PART_MAX);
            buffer_append(&all, f.body, f.length);
            parts++;
        }
        assert_int_equal(offset, b.len);
        assert_int_equal(parts, (sizes[i] + FRAME_PART_MAX - 1) / FRAME_PART_MAX);
        assert_int_equal(all.len, sizes[i]);
        if (sizes[i] > 0)
            assert_memory_equal(all.data, data, sizes[i]);
        mem_free(data);
        buffer_finish(&b);
        buffer_finish(&all);
    }
}

/* Whatever the bytes, a frame that is taken lies within them and the offset only grows. */
static void random_bytes_never_lead_outside(void **state)
{
    (void)state;
    struct rng rng;
    rand_seed(&rng, 1);
    size_t whole = 0;
    for (int i = 0; i < MANY; i++) {
        uint8_t bytes[200];
        for (size_t at = 0; at < sizeof(bytes); at++)
            bytes[at] = (uint8_t)rand_u64(&rng);
        bytes[0] = WIRE_VERSION;
        bytes[1] = (uint8_t)rand_below(&rng, FRAME_TYPES + 1);
        bytes[2] = bytes[3] = bytes[5] = bytes[6] = bytes[7] = 0;
        const struct buffer in = { .data = bytes, .len = rand_below(&rng, sizeof(bytes) + 1) };
        size_t offset = 0;
        struct frame f;
        int result;
        while ((result = frame_take(&in, &offset, &f, NULL)) == 1) {
            assert_true(offset <= in.len && f.body + f.length == bytes + offset);
            assert_true(f.type < FRAME_TYPES);
            whole++;
        }
        assert_in_range(result + 1, 0, 1);
    }
    assert_true(whole > MANY / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_follow_the_list),
        cmocka_unit_test(frames_come_back_byte_by_byte),
        cmocka_unit_test(a_wrong_header_is_refused_before_its_body),
        cmocka_unit_test(the_longest_body_passes_and_one_more_does_not),
        cmocka_unit_test(a_full_buffer_holds_no_half_frame),
        cmocka_unit_test(a_payload_becomes_parts),
        cmocka_unit_test(random_bytes_never_lead_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
