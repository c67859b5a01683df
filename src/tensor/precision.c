#include "tensor/precision.h"

#include <stddef.h>

static const char *const names[PRECISION_COUNT] = {
#define X(ID, name) [PRECISION_##ID] = #name,
    PRECISIONS(X)
#undef X
};

const char *precision_name(enum precision precision)
{
    return names[precision];
}

bool precision_parse(struct str name, enum precision *out)
{
    for (size_t i = 0; i < PRECISION_COUNT; i++) {
        if (str_eq(name, str_of(names[i]))) {
            *out = (enum precision)i;
            return true;
        }
    }
    return false;
}
