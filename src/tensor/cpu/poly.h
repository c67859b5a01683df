/* poly.h — the polynomials behind exp and GELU in all vector kernels, highest power first.
 *
 * exp: 2^f for f in [-½, ½], relative error 2e-9 before rounding to F32.
 *
 * GELU: x · Φ(x) = max(x, 0) − |x| · Φ(−|x|), and log2 Φ(−a) is so smooth that one polynomial in
 * s = 2a/7 − 1 serves all a in [0, 7]; beyond, Φ(−a) stays at its value for 7, which is 1.3e-12. So
 * nothing cancels in the left tail, and with the rounding of F32 |x| · Φ(−|x|) is within 3e-7. */
#ifndef TENSOR_CPU_POLY_H
#define TENSOR_CPU_POLY_H

static const float poly_exp2[] = {
    0x1.41d334p-13f, 0x1.5f456ap-10f, 0x1.3b2dbcp-7f, 0x1.c6aed4p-5f,
    0x1.ebfbdap-3f,  0x1.62e430p-1f,  1.0f,
};

static const float poly_log2_phi[] = {
    0x1.f8d9b4p-9f, 0x1.b023e6p-9f,  -0x1.33e362p-6f, 0x1.9a3baap-6f,  -0x1.b0fabap-5f,
    0x1.f1fb76p-4f, -0x1.f29c5ep-3f, -0x1.0aaed8p+3f, -0x1.2f13cep+4f, -0x1.823aa2p+3f,
};

#define POLY_PHI_END 7.0f

/* log2(e) in two pieces: the F32 next to it, and what is left. */
#define POLY_LOG2E      0x1.715476p+0f
#define POLY_LOG2E_REST 0x1.4ae0c0p-26f

/* exp of less is 0 for our purposes (it would be subnormal). */
#define POLY_EXP_LEAST (-87.3f)

/* −2·√(2/π), and that times 0.044715: the exponent of the tanh form of GELU. */
#define POLY_TANH_LINEAR (-1.5957691216f)
#define POLY_TANH_CUBIC  (-0.0713548163f)

#endif
