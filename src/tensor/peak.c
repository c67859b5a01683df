#include "tensor/peak.h"

#include "base/clock.h"
#include "tensor/team.h"

enum { N = 1024, TURNS = 100000 };

struct sums {
    const struct kernels *k;
    float x[TEAM_THREADS_MAX];
};

static void turn(void *context, uint32_t task, uint32_t thread)
{
    struct sums *s = context;
    static const float numbers[N];
    (void)thread;
    for (int i = 0; i < TURNS; i++)
        s->x[task] += s->k->dot(numbers, numbers, N);
}

void peak_measure(const struct kernels *k, struct team *team, struct peak *out)
{
    struct sums s = { .k = k };
    const uint32_t threads = team_threads(team);
    const int64_t began = clock_ns();
    team_run(team, turn, &s, threads);
    const double rate = 2.0 * N * TURNS * threads / (double)(clock_ns() - began);
    *out = (struct peak){ .f32_gflops = rate, .bf16_gflops = rate, .read_gbs = rate };
}
