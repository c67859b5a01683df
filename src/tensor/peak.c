#include "tensor/peak.h"

#include "base/clock.h"
#include "base/mem.h"
#include "tensor/team.h"

#include <stdint.h>
#include <unistd.h>

enum { RUNS = 5, TASKS_PER_THREAD = 8 };

/* A task takes about a millisecond, so that a thread which lost its core delays little. */
enum { TASK_NS = 1000 * 1000, FIRST_ROUNDS = 1000, STREAMS = 8 };

#define CHUNK_BYTES  ((size_t)2 << 20)
#define BUFFER_LEAST ((size_t)64 << 20)
#define BUFFER_MOST  ((size_t)256 << 20)

struct burn {
    uint64_t (*burn)(uint64_t rounds);
    uint64_t rounds;
};

static void burn_task(void *context, uint32_t task, uint32_t thread)
{
    const struct burn *b = context;
    (void)task;
    (void)thread;
    b->burn(b->rounds);
}

/* As many rounds as take about TASK_NS. */
static uint64_t rounds_of(uint64_t (*burn)(uint64_t rounds))
{
    uint64_t rounds = FIRST_ROUNDS;
    for (;;) {
        int64_t start_ns = clock_ns();
        burn(rounds);
        if (clock_ns() - start_ns >= TASK_NS / 2)
            return rounds;
        rounds *= 2;
    }
}

static double gflops_of(const struct matmul_kernel *kernel, struct team *team)
{
    struct burn b = { .burn = kernel->burn, .rounds = rounds_of(kernel->burn) };
    const double operations = (double)kernel->burn(b.rounds);
    double best = 0;
    for (int i = 0; i < RUNS; i++) {
        const uint32_t tasks = TASKS_PER_THREAD * team_share(team);
        int64_t start_ns = clock_ns();
        team_run(team, burn_task, &b, tasks);
        double rate = operations * tasks / (double)(clock_ns() - start_ns);
        best = rate > best ? rate : best;
    }
    return best;
}

/* The streams of one chunk side by side, 64 bytes of each at a time. */
static void read_task(void *context, uint32_t task, uint32_t thread)
{
    enum { WORDS = 8, APART = CHUNK_BYTES / STREAMS / sizeof(uint64_t) };
    const uint64_t *chunk = (const void *)((const char *)context + task * CHUNK_BYTES);
    uint64_t sums[WORDS] = { 0 };
    (void)thread;
    for (size_t at = 0; at < APART; at += WORDS) {
        for (size_t stream = 0; stream < STREAMS; stream++) {
            for (size_t i = 0; i < WORDS; i++)
                sums[i] += chunk[stream * APART + at + i];
        }
    }
    for (size_t i = 1; i < WORDS; i++)
        sums[0] += sums[i];
    volatile uint64_t use = sums[0]; /* or nothing would have to be read */
    (void)use;
}

/* Memory that was never written may be one page of zeros, many times over. */
static void touch_task(void *context, uint32_t task, uint32_t thread)
{
    char *chunk = (char *)context + task * CHUNK_BYTES;
    (void)thread;
    for (size_t at = 0; at < CHUNK_BYTES; at += 4096)
        chunk[at] = (char)(at >> 12 | 1);
}

static size_t buffer_bytes(void)
{
    size_t bytes = BUFFER_LEAST;
#ifdef _SC_LEVEL3_CACHE_SIZE
    long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    while (cache > 0 && bytes < 4 * (size_t)cache && bytes < BUFFER_MOST)
        bytes *= 2;
#endif
    return bytes;
}

static double read_gbs_of(struct team *team)
{
    const size_t bytes = buffer_bytes();
    char *buffer = mem_try_aligned(bytes, 4096);
    double best = 0;
    if (buffer == NULL)
        return 0;
    team_run(team, touch_task, buffer, (uint32_t)(bytes / CHUNK_BYTES));
    for (int i = 0; i < RUNS; i++) {
        int64_t start_ns = clock_ns();
        team_run(team, read_task, buffer, (uint32_t)(bytes / CHUNK_BYTES));
        double rate = (double)bytes / (double)(clock_ns() - start_ns);
        best = rate > best ? rate : best;
    }
    mem_free(buffer);
    return best;
}

void peak_measure(const struct kernels *k, struct team *team, struct peak *out)
{
    *out = (struct peak){
        .f32_gflops = gflops_of(&k->matmul[PRECISION_F32], team),
        .bf16_gflops = gflops_of(&k->matmul[PRECISION_BF16], team),
        .read_gbs = read_gbs_of(team),
    };
}
