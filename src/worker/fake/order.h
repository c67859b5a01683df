/* order.h — what an input tells a fake worker with `script=yes`: `!crash`, `!hang`, `!fail TEXT`,
 * `!garbage`, `!garbage KIND`, `!sleep 200ms`, `!tokens 50 20ms`. */
#ifndef WORKER_FAKE_ORDER_H
#define WORKER_FAKE_ORDER_H

#include "base/error.h"
#include "base/str.h"
#include "worker/fake/misbehave.h"

#include <stdbool.h>
#include <stdint.h>

#define ORDERS(X)                                                                                  \
    X(NONE, none)                                                                                  \
    X(CRASH, crash)                                                                                \
    X(HANG, hang)                                                                                  \
    X(FAIL, fail)                                                                                  \
    X(GARBAGE, garbage)                                                                            \
    X(SLEEP, sleep)                                                                                \
    X(TOKENS, tokens)

enum order_kind {
#define X(NAME, name) ORDER_##NAME,
    ORDERS(X)
#undef X
        ORDER_COUNT
};

struct order {
    enum order_kind kind;
    struct str text; /* FAIL: borrowed from the input */
    uint32_t count;  /* TOKENS */
    enum garbage garbage;
    int64_t duration_ms; /* SLEEP: once; TOKENS: each */
};

/* `input` begins with `!`; WEIR_INVALID when it is no order. */
enum weir_code order_parse(struct str input, struct order *out, struct weir_error *err);

#endif
