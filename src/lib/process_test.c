/* What a process is started with, and what its payloads do. This program is its own worker: its
 * argument says what it looks at, and its exit status what it found. */
#define _DEFAULT_SOURCE /* madvise and mincore */
#include "lib/process.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "lib/machine.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { CHANNEL_FD = 3, PAGE_FD, REQUESTS_FD, REPLIES_FD, FDS_LOOKED_AT = 64 };

#define LARGE (5 * REGION_BLOCK_BYTES)

/* ---- the worker ---- */

static bool can_be_resized(int fd)
{
    return ftruncate(fd, 0) == 0 || ftruncate(fd, 4 * (off_t)REGION_BYTES) == 0;
}

/* Everything up to that descriptor is open, nothing behind it is. */
static int look_at_descriptors(int last)
{
    for (int fd = 0; fd < FDS_LOOKED_AT; fd++)
        if ((fcntl(fd, F_GETFD) >= 0) != (fd <= last))
            return 1;
    for (int fd = PAGE_FD; fd <= last; fd++)
        if (can_be_resized(fd))
            return 2;
    return 0;
}

static struct region map_region(int fd, enum control_region which)
{
    struct region r;
    struct control_page *page =
        mmap(NULL, CONTROL_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, PAGE_FD, 0);
    void *memory = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(page != MAP_FAILED && memory != MAP_FAILED);
    region_init(&r, memory, &page->returned[which]);
    return r;
}

static void hear(struct buffer *in, size_t *offset, struct frame *f)
{
    struct weir_error err;
    while (frame_take(in, offset, f, &err) == 0) {
        uint8_t *room = buffer_reserve(in, 65536);
        const ssize_t n = recv(CHANNEL_FD, room, 65536, 0);
        if (n <= 0)
            _exit(n < 0 ? 1 : 0);
        in->len += (size_t)n;
    }
}

/* Sends every part back through its own region. */
static void answer(struct region *replies, const struct frame *f, const struct message_part *part)
{
    struct buffer out;
    buffer_init(&out, FRAME_HEADER + FRAME_BODY_MAX);
    region_write_part(replies, &out, f->job, part->data, part->bytes);
    CHECK(send(CHANNEL_FD, out.data, out.len, MSG_NOSIGNAL) == (ssize_t)out.len);
    buffer_finish(&out);
}

static void say_end(uint64_t job)
{
    struct buffer out;
    buffer_init(&out, FRAME_HEADER);
    frame_write(&out, FRAME_END, job, NULL, 0);
    CHECK(send(CHANNEL_FD, out.data, out.len, MSG_NOSIGNAL) == (ssize_t)out.len);
    buffer_finish(&out);
}

/* `how`: "echo"; "keep" gives no block back; "punch" takes the memory out of what it has lent. */
static int echo(const char *how)
{
    struct region requests = map_region(REQUESTS_FD, CONTROL_REQUESTS);
    struct region replies = map_region(REPLIES_FD, CONTROL_REPLIES);
    struct buffer in;
    size_t offset = 0, bytes = 0;
    buffer_init(&in, 64 * REGION_BLOCK_BYTES);
    for (struct frame f;;) {
        struct message_part part;
        hear(&in, &offset, &f);
        if (f.type != FRAME_PART)
            continue;
        CHECK(region_part_read(&requests, &f, &part, NULL));
        answer(&replies, &f, &part);
        bytes += part.bytes;
        if (strcmp(how, "punch") == 0)
            CHECK(madvise(replies.memory, REGION_BYTES, MADV_REMOVE) == 0);
        if (strcmp(how, "keep") != 0)
            region_return(&requests, &part);
        if (bytes % LARGE == 0)
            say_end(f.job);
    }
}

static int be_a_worker(const char *order)
{
    if (strncmp(order, "fds:", 4) == 0)
        return look_at_descriptors(order[4] - '0');
    return echo(order);
}

/* ---- the tests ---- */

static struct process *start(const char *order, bool with_page, bool with_regions)
{
    static char self[512];
    struct weir_error err;
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    const struct process_spec spec = { .program = self,
                                       .title = "weir:test",
                                       .argument = order,
                                       .with_page = with_page,
                                       .with_regions = with_regions,
                                       .words_max = 100 };
    struct process *p = process_start(1, &spec, &err);
    assert_non_null(p);
    return p;
}

static void stop(struct process *p)
{
    char status[64];
    process_kill(p, true);
    process_reap(p, true, status);
    process_free(p);
}

static void a_process_has_what_its_kind_needs_and_cannot_resize_it(void **state)
{
    (void)state;
    static const struct {
        const char *order;
        bool with_page, with_regions;
    } kinds[] = {
        {"fds:3",  false, false}, /* an inspector */
        { "fds:4", true,  false}, /* a preparer */
        { "fds:6", true,  true }, /* a worker */
    };
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        char status[64];
        struct process *p = start(kinds[i].order, kinds[i].with_page, kinds[i].with_regions);
        assert_true(process_reap(p, true, status));
        assert_string_equal(status, "exit status 0");
        assert_int_equal(p->requests.memory != NULL, kinds[i].with_regions);
        process_free(p);
    }
}

/* Sends a payload as a job and collects what comes back until its end. */
static void run(struct process *p, uint64_t job, struct str payload, struct buffer *out)
{
    const int64_t until_ms = clock_ms() + 20000;
    bool ended = false;
    buffer_clear(out);
    process_send(p, FRAME_RUN, job, (struct str){ 0 }, payload);
    while (!ended && p->problem[0] == '\0') {
        size_t offset = 0;
        struct frame f;
        assert_true(clock_ms() < until_ms);
        process_flush(p);
        if (process_read(p) == 0)
            clock_sleep_ms(1);
        while (frame_take(&p->in, &offset, &f, NULL) == 1) {
            struct message_part part;
            struct weir_error err;
            assert_true(process_open(p, &f, &part, &err));
            ended = ended || f.type == FRAME_END;
            if (f.type == FRAME_PART)
                buffer_append(out, f.body, f.length);
            region_return(&p->replies, &part);
        }
        buffer_drop(&p->in, offset);
    }
}

static char *some_payload(void)
{
    char *data = mem_new(LARGE, 1);
    for (size_t i = 0; i < LARGE; i++)
        data[i] = (char)(i * 7 + i / 1000);
    return data;
}

static void large_payloads_go_and_come_through_the_regions(void **state)
{
    (void)state;
    struct buffer out;
    struct process *p = start("echo", true, true);
    char *data = some_payload();
    buffer_init(&out, LARGE);
    for (uint64_t job = 1; job < 50; job++) {
        run(p, job, (struct str){ data, LARGE }, &out);
        assert_int_equal(out.len, LARGE);
        assert_memory_equal(out.data, data, LARGE);
        assert_true(region_collect(&p->requests));
    }
    /* Of the replies a block may have come back before the next part was written. */
    assert_int_equal(region_touched_bytes(&p->requests), LARGE);
    assert_in_range(region_touched_bytes(&p->replies), 1, LARGE);
    assert_string_equal(p->problem, "");
    assert_int_equal(p->jobs, 0);
    stop(p);
    buffer_finish(&out);
    mem_free(data);
}

/* What it keeps it keeps from itself: the next parts are inline. */
static void blocks_that_are_kept_are_not_waited_for(void **state)
{
    (void)state;
    struct buffer out;
    struct process *p = start("keep", true, true);
    char *data = some_payload();
    buffer_init(&out, LARGE);
    for (uint64_t job = 1; job < 20; job++) {
        run(p, job, (struct str){ data, LARGE }, &out);
        assert_memory_equal(out.data, data, LARGE);
    }
    assert_int_equal(p->requests.lent, UINT64_MAX);
    assert_string_equal(p->problem, "");
    stop(p);
    buffer_finish(&out);
    mem_free(data);
}

/* The memory is gone, not the region: zeros are read, and nothing faults. */
static void memory_taken_out_of_a_region_reads_as_zeros(void **state)
{
    (void)state;
    struct buffer out;
    struct process *p = start("punch", true, true);
    char *data = some_payload();
    buffer_init(&out, LARGE);
    run(p, 1, (struct str){ data, LARGE }, &out);
    assert_int_equal(out.len, LARGE);
    assert_string_equal(p->problem, "");
    stop(p);
    buffer_finish(&out);
    mem_free(data);
}

static void who_gives_back_what_was_not_lent_is_lost(void **state)
{
    (void)state;
    struct buffer out;
    struct process *p = start("keep", true, true);
    char *data = some_payload();
    buffer_init(&out, LARGE);
    run(p, 1, (struct str){ data, LARGE }, &out);
    atomic_store(&p->page->returned[CONTROL_REQUESTS], UINT64_C(1) << 63);
    process_send(p, FRAME_RUN, 2, (struct str){ 0 }, (struct str){ data, LARGE });
    assert_string_equal(p->problem, "it gave back a block that it was not lent");
    stop(p);
    buffer_finish(&out);
    mem_free(data);
}

static void an_idle_region_gives_its_memory_back(void **state)
{
    (void)state;
    struct buffer out;
    unsigned char resident[REGION_BYTES / 4096];
    struct process *p = start("echo", true, true);
    char *data = some_payload();
    buffer_init(&out, LARGE);
    run(p, 1, (struct str){ data, LARGE }, &out);
    process_trim(p);
    const size_t used = process_region_bytes(p);
    assert_int_equal(region_touched_bytes(&p->requests), LARGE);
    assert_in_range(used, LARGE + 1, 2 * LARGE); /* it was too soon */
    p->busy_ms -= 60000;
    p->jobs = 1;
    process_trim(p);
    assert_int_equal(process_region_bytes(p), used); /* busy */
    p->jobs = 0;
    process_trim(p);
    assert_int_equal(process_region_bytes(p), 0);
    assert_int_equal(mincore(p->replies.memory, REGION_BYTES, resident), 0);
    for (size_t i = 0; i < sizeof resident; i++)
        assert_int_equal(resident[i] & 1, 0);
    run(p, 2, (struct str){ data, LARGE }, &out);
    assert_memory_equal(out.data, data, LARGE);
    stop(p);
    buffer_finish(&out);
    mem_free(data);
}

/* The figure of the process rises with its payloads; without the regions it does not. */
static void a_region_is_no_memory_of_the_model(void **state)
{
    (void)state;
#ifndef WEIR_SANITIZED
    struct buffer out;
    struct process *p = start("echo", true, true);
    char *data = some_payload();
    buffer_init(&out, LARGE);
    run(p, 1, (struct str){ data, LARGE }, &out);
    const uint64_t before = machine_private_bytes(p->pid, process_region_bytes(p));
    for (uint64_t job = 2; job < 5; job++)
        run(p, job, (struct str){ data, LARGE }, &out);
    const uint64_t all = machine_private_bytes(p->pid, 0);
    const uint64_t own = machine_private_bytes(p->pid, process_region_bytes(p));
    assert_true(all > own + LARGE);
    assert_true(own < before + REGION_BLOCK_BYTES * 4);
    stop(p);
    buffer_finish(&out);
    mem_free(data);
#endif
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[0], "weir:test") == 0)
        return be_a_worker(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_has_what_its_kind_needs_and_cannot_resize_it),
        cmocka_unit_test(large_payloads_go_and_come_through_the_regions),
        cmocka_unit_test(blocks_that_are_kept_are_not_waited_for),
        cmocka_unit_test(memory_taken_out_of_a_region_reads_as_zeros),
        cmocka_unit_test(who_gives_back_what_was_not_lent_is_lost),
        cmocka_unit_test(an_idle_region_gives_its_memory_back),
        cmocka_unit_test(a_region_is_no_memory_of_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
