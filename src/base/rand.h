/* rand.h — a small seeded generator (xoshiro256**, seeded by splitmix64; Blackman and Vigna 2018).
 * Same seed, same numbers, on every machine. Not for secrets. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rand_seed(struct rng *r, uint64_t seed);
uint64_t rand_u64(struct rng *r);
uint64_t rand_below(struct rng *r, uint64_t n); /* 0 … n-1, unbiased; n > 0 */
double rand_unit(struct rng *r);                /* [0, 1) with 53 bits */

#endif
