/* peak.h — what this machine could do at best, measured: the limits that a figure is a share of.
 *
 * Arithmetic is the kernels' own multiply-add on registers, on all threads of the team together;
 * memory is read in several streams a thread from a buffer far larger than the last cache. Each is
 * the best of a few short runs, all together some hundred milliseconds. Other programs make the
 * figures smaller, nothing makes them larger. */
#ifndef TENSOR_PEAK_H
#define TENSOR_PEAK_H

#include "tensor/cpu/kernels.h"

struct team;

struct peak {
    double f32_gflops; /* a multiplication and an addition are two operations */
    double bf16_gflops;
    double read_gbs; /* 10^9 bytes a second; 0 where there was no memory for the buffer */
};

void peak_measure(const struct kernels *k, struct team *team, struct peak *out);

#endif
