#include "worker/refuse.h"

#include "base/capability.h"

static enum weir_code at_input(size_t index, enum weir_code code, struct weir_error *err)
{
    if (err)
        err->index = (int32_t)index;
    return code;
}

enum weir_code refuse_operation(unsigned capability, unsigned operation, struct weir_error *err)
{
    return weir_fail(err, WEIR_UNSUPPORTED, "this model does not offer '%s' of '%s'",
                     operation_name(operation), capability_name(capability));
}

enum weir_code refuse_empty(size_t index, struct weir_error *err)
{
    return at_input(index, weir_fail(err, WEIR_INVALID, "input %zu is empty", index), err);
}

enum weir_code refuse_too_long(size_t index, size_t tokens, size_t limit, struct weir_error *err)
{
    weir_fail(err, WEIR_CONTEXT_LENGTH,
              "input %zu has %zu tokens and exceeds the available context size of %zu tokens",
              index, tokens, limit);
    if (err) {
        err->value = (int64_t)tokens;
        err->limit = (int64_t)limit;
    }
    return at_input(index, WEIR_CONTEXT_LENGTH, err);
}

enum weir_code refuse_dimensions(uint32_t dimensions, uint32_t dim, struct weir_error *err)
{
    weir_fail(err, WEIR_INVALID, "dimensions is %u, the vectors of this model have 1 to %u",
              (unsigned)dimensions, (unsigned)dim);
    if (err) {
        err->value = dimensions;
        err->limit = dim;
    }
    return WEIR_INVALID;
}

enum weir_code refuse_kind(size_t index, const char *wanted, struct weir_error *err)
{
    return at_input(index, weir_fail(err, WEIR_INVALID, "input %zu must be %s", index, wanted),
                    err);
}

enum weir_code refuse_cancelled(struct weir_error *err)
{
    return weir_fail(err, WEIR_CANCELLED, "the request was cancelled while it ran");
}
