#include "base/capability.h"

static const char *const capabilities[WEIR_CAPABILITY_COUNT] = {
#define X(NAME, name) [WEIR_##NAME] = #name,
    WEIR_CAPABILITIES(X)
#undef X
};

static const char *const operations[WEIR_OPERATION_COUNT] = {
#define X(NAME, name) [WEIR_##NAME] = #name,
    WEIR_OPERATIONS(X)
#undef X
};

const char *capability_name(unsigned capability)
{
    return capability < WEIR_CAPABILITY_COUNT ? capabilities[capability] : "unknown";
}

const char *operation_name(unsigned operation)
{
    return operation < WEIR_OPERATION_COUNT ? operations[operation] : "unknown";
}

bool capability_parse(struct str name, enum weir_capability *out)
{
    for (unsigned i = 0; i < WEIR_CAPABILITY_COUNT; i++) {
        if (!str_eq(name, str_of(capabilities[i])))
            continue;
        *out = (enum weir_capability)i;
        return true;
    }
    return false;
}
