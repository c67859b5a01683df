#include "base/rand.h"

#include "base/check.h"

static uint64_t rotate_left(uint64_t v, unsigned by)
{
    return (v << by) | (v >> (64 - by));
}

/* splitmix64: any seed, also 0, gives four words that are not all zero. */
void rand_seed(struct rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t v = seed;
        v = (v ^ (v >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        v = (v ^ (v >> 27)) * UINT64_C(0x94d049bb133111eb);
        r->s[i] = v ^ (v >> 31);
    }
}

uint64_t rand_u64(struct rng *r)
{
    uint64_t *const s = r->s;
    const uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    const uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

/* The lowest 2^64 mod n numbers are thrown away; what is left is a multiple of n. */
uint64_t rand_below(struct rng *r, uint64_t n)
{
    CHECK(n > 0);
    const uint64_t surplus = (0 - n) % n;
    uint64_t v;
    do
        v = rand_u64(r);
    while (v < surplus);
    return v % n;
}

double rand_unit(struct rng *r)
{
    return (double)(rand_u64(r) >> 11) * 0x1p-53;
}
