/* test_request.h — for the tests beside it: one caller, who insists on exactly one end, the last.
 */
#ifndef SUPERVISOR_TEST_REQUEST_H
#define SUPERVISOR_TEST_REQUEST_H

#include "base/check.h"
#include "supervisor/supervisor.h"

struct test_request {
    uint64_t id;
    bool ended;
    int64_t queued_ms, total_ms;
    uint32_t outputs;
    size_t output_bytes; /* of the last */
    uint32_t progress;
    struct weir_error error;
};

static inline void test_on_output(void *context, uint64_t id, struct str payload)
{
    struct test_request *r = context;
    CHECK(r->id == id && !r->ended && payload.len > 0);
    r->outputs++;
    r->output_bytes = payload.len;
}

static inline void test_on_progress(void *context, uint64_t id, uint32_t step, uint32_t steps)
{
    struct test_request *r = context;
    CHECK(r->id == id && !r->ended && step <= steps);
    r->progress++;
}

static inline void test_on_end(void *context, uint64_t id, const struct request_outcome *outcome)
{
    struct test_request *r = context;
    CHECK(r->id == id && !r->ended && outcome->queued_ms <= outcome->total_ms);
    r->ended = true;
    r->queued_ms = outcome->queued_ms;
    r->total_ms = outcome->total_ms;
    r->error = outcome->error;
}

static const struct request_callbacks test_callbacks = { .on_output = test_on_output,
                                                         .on_progress = test_on_progress,
                                                         .on_end = test_on_end };

#endif
