/* peak.h — stand-in until the compute room's own lands: the interface that limits.c is written for. */
#ifndef TENSOR_PEAK_H
#define TENSOR_PEAK_H

#include "tensor/cpu/kernels.h"

struct team;

struct peak {
    double f32_gflops, bf16_gflops, read_gbs;
};

void peak_measure(const struct kernels *k, struct team *team, struct peak *out);

#endif
