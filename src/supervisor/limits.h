/* limits.h — the bounds of the pool as one struct; their list is the public weir/limits.h. */
#ifndef SUPERVISOR_LIMITS_H
#define SUPERVISOR_LIMITS_H

#include "base/error.h"

#include "weir/limits.h"

#include <stdint.h>

#define POOL_LIMITS(X) WEIR_LIMITS(X)

struct limits {
#define X(name, value, least, says) int64_t name;
    POOL_LIMITS(X)
#undef X
};

extern const struct limits limits_default;

/* WEIR_INVALID names an unknown limit, or the value and the least allowed. */
enum weir_code limits_set(struct limits *limits, const char *name, int64_t value,
                          struct weir_error *err);

#endif
