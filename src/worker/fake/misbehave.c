#include "worker/fake/misbehave.h"

#include "base/check.h"
#include "base/clock.h"
#include "wire/region.h"
#include "worker/worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FLOOD_PARTS = 100000 };

static const char *const names[] = {
#define X(NAME, name) [GARBAGE_##NAME] = #name,
    GARBAGES(X)
#undef X
};
_Static_assert(ARRAY_COUNT(names) == GARBAGE_COUNT, "one name a kind of garbage");

bool garbage_parse(struct str name, enum garbage *out)
{
    for (unsigned i = 0; i < GARBAGE_COUNT; i++) {
        if (!str_eq(name, str_of(names[i])))
            continue;
        *out = (enum garbage)i;
        return true;
    }
    return false;
}

void misbehave_crash(void)
{
    fprintf(stderr, "weir-worker-fake: crashes, as it was told to\n");
    /* Without a sanitizer's report, which would take seconds to write. */
    signal(SIGABRT, SIG_DFL);
    abort();
}

void misbehave_hang(void)
{
    for (;;)
        clock_sleep_ms(1000);
}

static bool say(const struct buffer *frames)
{
    return send(WORKER_CHANNEL_FD, frames->data, frames->len, MSG_NOSIGNAL) == (ssize_t)frames->len;
}

static void say_nonsense(void)
{
    static const char nonsense[] = "\xff\xfe this is no frame of any version of the wire \xff";
    (void)send(WORKER_CHANNEL_FD, nonsense, sizeof(nonsense), MSG_NOSIGNAL);
}

/* An output of `announced` bytes, and `parts` times that block. */
static void say_blocks(uint64_t job, uint32_t announced, uint32_t block, uint32_t bytes,
                       uint32_t parts)
{
    struct buffer body, frames;
    buffer_init(&body, FRAME_BODY_MAX);
    buffer_init(&frames, 2 * (FRAME_HEADER + FRAME_BODY_MAX));
    message_output_write(&body, &(struct message_output){ .payload_bytes = announced });
    frame_write(&frames, FRAME_OUTPUT, job, body.data, body.len);
    for (uint32_t i = 0; i < parts; i++) {
        frame_write_block(&frames, job, block, bytes);
        if (!say(&frames))
            break;
        buffer_clear(&frames);
    }
    buffer_finish(&frames);
    buffer_finish(&body);
}

static void give_all_back(void)
{
    struct control_page *page =
        mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, WORKER_PAGE_FD, 0);
    CHECK(page != MAP_FAILED);
    atomic_store(&page->returned[CONTROL_REQUESTS], UINT64_MAX);
    munmap(page, sizeof(*page));
}

/* True when any of it could be done: the supervisor would die at its next look. */
static bool take_memory_away(void)
{
    bool done = false;
    for (int fd = WORKER_PAGE_FD; fd <= WORKER_REPLIES_FD; fd++)
        done |= ftruncate(fd, 0) == 0 || ftruncate(fd, 2 * REGION_BYTES) == 0;
    return done;
}

bool misbehave_garbage(enum garbage what, uint64_t job)
{
    const uint32_t block = REGION_BLOCK_BYTES;
    switch (what) {
    case GARBAGE_OUTSIDE: say_blocks(job, block, REGION_BLOCKS, block, 1); return true;
    case GARBAGE_LENGTH: say_blocks(job, 2 * block, REGION_BLOCKS - 1, block + 1, 1); return true;
    case GARBAGE_FOREIGN: say_blocks(job, block, REGION_BLOCKS - 1, block, 1); return false;
    case GARBAGE_FLOOD: say_blocks(job, block, 0, block - 1, FLOOD_PARTS); return true;
    case GARBAGE_RETURN: give_all_back(); return false;
    case GARBAGE_SHRINK:
        if (!take_memory_away())
            return false;
        break;
    default: break;
    }
    say_nonsense();
    return true;
}
