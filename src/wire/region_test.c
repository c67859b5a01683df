#include "wire/region.h"

#include "base/mem.h"
#include "base/rand.h"
#include "wire/control_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WHOLE (REGION_BLOCKS * REGION_BLOCK_BYTES)
#define LARGE (3 * REGION_BLOCK_BYTES + REGION_PART_LEAST)

/* Both ends over the same memory, as two processes have it, and the frames between them. */
struct fixture {
    struct region writer, reader;
    uint8_t *memory;
    _Atomic uint64_t returned;
    struct buffer frames;
    size_t offset;
    uint8_t *data; /* of a payload */
};

static int open_fixture(void **state)
{
    struct fixture *t = mem_new(1, sizeof *t);
    t->memory = mem_new(REGION_BYTES, 1);
    t->data = mem_new(2 * WHOLE, 1);
    for (size_t i = 0; i < 2 * WHOLE; i++)
        t->data[i] = (uint8_t)(i * 13 + i / REGION_BLOCK_BYTES);
    region_init(&t->writer, t->memory, &t->returned);
    region_init(&t->reader, t->memory, &t->returned);
    buffer_init(&t->frames, 4 * REGION_BYTES);
    *state = t;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *t = *state;
    buffer_finish(&t->frames);
    mem_free(t->memory);
    mem_free(t->data);
    mem_free(t);
    return 0;
}

static void write_all(struct fixture *t, size_t bytes)
{
    for (size_t at = 0; at < bytes;)
        at += region_write_part(&t->writer, &t->frames, 7, t->data + at, bytes - at);
    assert_false(t->frames.failed);
}

static bool next_part(struct fixture *t, struct message_part *out)
{
    struct frame f;
    if (frame_take(&t->frames, &t->offset, &f, NULL) != 1)
        return false;
    assert_true(f.type == FRAME_PART && f.job == 7);
    assert_true(region_part_read(&t->reader, &f, out, NULL));
    return true;
}

/* Reads what was written, gives it back, and counts what of it lay in blocks. */
static size_t read_all(struct fixture *t, size_t bytes)
{
    struct message_part part;
    size_t at = 0, in_blocks = 0;
    while (next_part(t, &part)) {
        assert_true(part.bytes > 0 && part.bytes <= bytes - at);
        assert_memory_equal(part.data, t->data + at, part.bytes);
        at += part.bytes;
        in_blocks += part.in_block;
        region_return(&t->reader, &part);
    }
    assert_int_equal(at, bytes);
    return in_blocks;
}

static void large_parts_lie_in_blocks_and_small_ones_in_frames(void **state)
{
    struct fixture *t = *state;
    static const struct {
        size_t bytes, blocks, frame_bytes;
    } cases[] = {
        {1,                       0, FRAME_HEADER + 1                    },
        { REGION_PART_LEAST - 1,  0, FRAME_HEADER + REGION_PART_LEAST - 1},
        { REGION_PART_LEAST,      1, FRAME_HEADER + 8                    },
        { REGION_BLOCK_BYTES,     1, FRAME_HEADER + 8                    },
        { REGION_BLOCK_BYTES + 5, 1, FRAME_HEADER + 8 + FRAME_HEADER + 5 },
        { LARGE,                  4, 4 * (FRAME_HEADER + 8)              },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buffer_clear(&t->frames);
        t->offset = 0;
        write_all(t, cases[i].bytes);
        assert_int_equal(t->frames.len, cases[i].frame_bytes);
        assert_int_equal(read_all(t, cases[i].bytes), cases[i].blocks);
        assert_true(region_collect(&t->writer));
    }
    /* Always the lowest free ones, so that four are all that was ever used. */
    assert_int_equal(region_touched_bytes(&t->writer), 4 * REGION_BLOCK_BYTES);
    assert_int_equal(region_touched_bytes(&t->reader), 4 * REGION_BLOCK_BYTES);
}

static void a_full_region_makes_parts_inline(void **state)
{
    struct fixture *t = *state;
    const size_t bytes = WHOLE + 2 * REGION_BLOCK_BYTES;
    write_all(t, bytes);
    assert_int_equal(t->writer.lent, UINT64_MAX);
    assert_false(region_collect(&t->writer));
    assert_int_equal(read_all(t, bytes), REGION_BLOCKS);
    /* All of it came back. */
    write_all(t, bytes);
    assert_int_equal(read_all(t, bytes), REGION_BLOCKS);
    assert_true(region_collect(&t->writer));
}

static void blocks_come_back_in_any_order(void **state)
{
    struct fixture *t = *state;
    struct message_part parts[4], next;
    write_all(t, 4 * REGION_BLOCK_BYTES);
    for (int i = 0; i < 4; i++)
        assert_true(next_part(t, &parts[i]));
    region_return(&t->reader, &parts[2]);
    region_return(&t->reader, &parts[0]);
    write_all(t, REGION_BLOCK_BYTES);
    assert_true(next_part(t, &next));
    assert_int_equal(next.block, 0);
    write_all(t, 2 * REGION_BLOCK_BYTES);
    assert_true(next_part(t, &next));
    assert_int_equal(next.block, 2);
    assert_true(next_part(t, &next));
    assert_int_equal(next.block, 4);
    assert_int_equal(t->writer.lent, 0x1f);
}

static void what_was_not_lent_cannot_be_given_back(void **state)
{
    struct fixture *t = *state;
    struct message_part part;
    write_all(t, REGION_BLOCK_BYTES);
    atomic_store(&t->returned, 0x80);
    write_all(t, REGION_BLOCK_BYTES);
    assert_true(t->writer.broken);
    /* The second went inline, and so does everything from now on. */
    assert_true(next_part(t, &part) && part.in_block);
    assert_true(next_part(t, &part) && !part.in_block);
    region_collect(&t->writer);
    write_all(t, REGION_BLOCK_BYTES);
    assert_true(next_part(t, &part) && !part.in_block);
    assert_true(t->writer.broken);
}

static void a_block_given_back_twice_is_not_lent_twice(void **state)
{
    struct fixture *t = *state;
    struct message_part part;
    write_all(t, 2 * REGION_BLOCK_BYTES);
    assert_true(next_part(t, &part));
    region_return(&t->reader, &part);
    assert_false(region_collect(&t->writer));
    region_return(&t->reader, &part);
    region_collect(&t->writer);
    assert_true(t->writer.broken);
}

static void blocks_that_never_come_back_cost_nothing_but_themselves(void **state)
{
    struct fixture *t = *state;
    for (int i = 0; i < 3; i++)
        write_all(t, WHOLE);
    assert_int_equal(t->writer.lent, UINT64_MAX);
    assert_int_equal(t->frames.len, REGION_BLOCKS * (FRAME_HEADER + 8) +
                                        2 * REGION_BLOCKS * (FRAME_HEADER + FRAME_PART_MAX));
}

static void names_of_no_block_are_refused(void **state)
{
    struct fixture *t = *state;
    static const struct {
        uint32_t block, bytes;
        const char *says;
    } cases[] = {
        {REGION_BLOCKS, 1,                      "frame 'part' names block 64, there are 64"},
        { UINT32_MAX,   1,                      "names block 4294967295, there are 64"     },
        { 0,            0,                      "bytes of a block out of range"            },
        { 63,           REGION_BLOCK_BYTES + 1, "bytes of a block out of range"            },
        { 0,            UINT32_MAX,             "bytes of a block out of range"            },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct frame f;
        struct weir_error err;
        struct message_part part;
        buffer_clear(&t->frames);
        t->offset = 0;
        frame_write_block(&t->frames, 7, cases[i].block, cases[i].bytes);
        assert_int_equal(frame_take(&t->frames, &t->offset, &f, NULL), 1);
        assert_false(region_part_read(&t->reader, &f, &part, &err));
        assert_int_equal(err.code, WEIR_INVALID);
        assert_non_null(strstr(err.text, cases[i].says));
    }
    assert_int_equal(region_touched_bytes(&t->reader), 0);
}

static void a_body_of_another_length_names_no_block(void **state)
{
    struct fixture *t = *state;
    static const uint8_t body[9] = { 1, 0, 0, 0, 1, 0, 0, 0, 0 };
    for (uint32_t length = 0; length <= sizeof body; length++) {
        const struct frame f = {
            .type = FRAME_PART, .flags = FRAME_IN_BLOCK, .body = body, .length = length
        };
        struct message_part part;
        assert_int_equal(region_part_read(&t->reader, &f, &part, NULL), length == 8);
    }
}

static void without_a_region_all_is_inline(void **state)
{
    struct fixture *t = *state;
    struct message_part part;
    struct weir_error err;
    struct frame f;
    region_init(&t->writer, NULL, NULL);
    region_init(&t->reader, NULL, NULL);
    write_all(t, LARGE);
    assert_int_equal(read_all(t, LARGE), 0);
    frame_write_block(&t->frames, 7, 0, 1);
    assert_int_equal(frame_take(&t->frames, &t->offset, &f, NULL), 1);
    assert_false(region_part_read(&t->reader, &f, &part, &err));
    assert_string_equal(err.text, "frame 'part' names block 0, there are 0");
    assert_false(message_part_read(&f, &part, &err));
    assert_true(region_collect(&t->writer));
}

/* Payloads of any sizes whose parts come back now and then: every byte arrives. */
static void random_traffic_arrives_whole(void **state)
{
    struct fixture *t = *state;
    struct rng rng;
    struct message_part held[REGION_BLOCKS + 1];
    size_t count = 0, in_blocks = 0;
    rand_seed(&rng, 5);
    for (int i = 0; i < 2000; i++) {
        const size_t bytes = 1 + rand_below(&rng, LARGE);
        buffer_clear(&t->frames);
        t->offset = 0;
        write_all(t, bytes);
        for (size_t at = 0; at < bytes;) {
            struct message_part *part = &held[count];
            assert_true(next_part(t, part));
            assert_memory_equal(part->data, t->data + at, part->bytes);
            at += part->bytes;
            count += part->in_block;
            in_blocks += part->in_block;
        }
        while (count > 0 && rand_below(&rng, 8) > 0) {
            const size_t which = rand_below(&rng, count);
            region_return(&t->reader, &held[which]);
            held[which] = held[--count];
        }
    }
    assert_false(t->writer.broken);
    assert_true(in_blocks > 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)
        TEST(large_parts_lie_in_blocks_and_small_ones_in_frames),
        TEST(a_full_region_makes_parts_inline),
        TEST(blocks_come_back_in_any_order),
        TEST(what_was_not_lent_cannot_be_given_back),
        TEST(a_block_given_back_twice_is_not_lent_twice),
        TEST(blocks_that_never_come_back_cost_nothing_but_themselves),
        TEST(names_of_no_block_are_refused),
        TEST(a_body_of_another_length_names_no_block),
        TEST(without_a_region_all_is_inline),
        TEST(random_traffic_arrives_whole),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
