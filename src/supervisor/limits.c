#include "supervisor/limits.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

const struct limits limits_default = {
#define X(name, value, least, says) .name = value,
    POOL_LIMITS(X)
#undef X
};

static const struct {
    const char *name;
    size_t offset;
    int64_t least;
} rows[] = {
#define X(name, value, least, says) { #name, offsetof(struct limits, name), least },
    POOL_LIMITS(X)
#undef X
};

enum weir_code limits_set(struct limits *limits, const char *name, int64_t value,
                          struct weir_error *err)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, name) != 0)
            continue;
        if (value < rows[i].least)
            return weir_fail(err, WEIR_INVALID, "limit %s is %" PRId64 ", the least is %" PRId64,
                             name, value, rows[i].least);
        memcpy((char *)limits + rows[i].offset, &value, sizeof value);
        return WEIR_OK;
    }
    return weir_fail(err, WEIR_INVALID, "there is no limit named '%s'", name);
}
