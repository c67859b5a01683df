/* spec.h — reads `fake:CAPABILITY?option=value&option=value`: what a fake model states and how it
 * behaves. docs/fake-models.md lists the options. A capability, an option or a value that is not
 * known is refused by name, so that no test runs with a misspelt order. */
#ifndef WORKER_FAKE_SPEC_H
#define WORKER_FAKE_SPEC_H

#include "base/error.h"
#include "base/str.h"
#include "wire/plan.h"

#include "weir/capability.h"

#include <stdbool.h>
#include <stdint.h>

#define SPEC_TEXT_MAX        200
#define SPEC_TOKENS_MAX      (1u << 20) /* words of one input */
#define SPEC_DURATION_MAX_MS (INT64_C(24) * 3600 * 1000)

/* Where it misbehaves. A job's steps count from 1; `every` counts jobs instead. */
#define SPEC_PLACES(X)                                                                             \
    X(NEVER, never)                                                                                \
    X(START, start)                                                                                \
    X(LOAD, load)                                                                                  \
    X(STEP, step)                                                                                  \
    X(EVERY, every)                                                                                \
    X(HELLO, hello)                                                                                \
    X(PLAN, plan)                                                                                  \
    X(RESULT, result)

enum spec_place {
#define X(NAME, name) SPEC_##NAME,
    SPEC_PLACES(X)
#undef X
        SPEC_PLACE_COUNT
};

struct spec_fault {
    enum spec_place place;
    uint32_t number; /* of STEP and EVERY */
};

struct spec {
    enum weir_capability capability;
    uint64_t weights_bytes, packed_bytes, context_bytes, scratch_bytes;
    bool touch;
    int64_t prepare_ms, load_ms, step_ms;
    uint32_t steps, slots, dim;
    /* Empty: it does not. */
    char plan_fail[SPEC_TEXT_MAX], prepare_fail[SPEC_TEXT_MAX], load_fail[SPEC_TEXT_MAX];
    uint32_t load_fail_times;
    struct spec_fault crash, hang, garbage;
    bool ignore_term, probe;
    uint64_t leak_bytes;
    bool script;
};

enum weir_code spec_parse(const char *text, struct spec *out, struct weir_error *err);

/* What it states of itself; `text` is what was parsed. */
void spec_plan(const struct spec *s, const char *text, struct plan *out);

/* "200ms", "2s" or a number of milliseconds, at most a day. */
bool spec_duration(struct str value, int64_t *out_ms);

#endif
