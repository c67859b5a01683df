#include "supervisor/breaker.h"

const char *breaker_name(enum breaker_state state)
{
    static const char *const names[] = { "closed", "open", "half_open" };
    return names[state];
}

bool breaker_allows(struct breaker *b, const struct breaker_limits *l, int64_t now_ms, bool *probe)
{
    *probe = false;
    if (b->state == BREAKER_CLOSED)
        return true;
    if (b->state == BREAKER_OPEN) {
        if (now_ms < b->open_until_ms)
            return false;
        b->state = BREAKER_HALF_OPEN;
        b->successes = 0;
    }
    if (b->probing >= l->probes)
        return false;
    b->probing++;
    *probe = true;
    return true;
}

void breaker_probe_ended(struct breaker *b)
{
    if (b->probing > 0)
        b->probing--;
}

void breaker_success(struct breaker *b, const struct breaker_limits *l)
{
    if (b->state == BREAKER_CLOSED) {
        b->failures = 0;
    } else if (b->state == BREAKER_HALF_OPEN && ++b->successes >= l->probes) {
        b->state = BREAKER_CLOSED;
        b->failures = 0;
    }
}

void breaker_failure(struct breaker *b, const struct breaker_limits *l, int64_t now_ms)
{
    if (b->state == BREAKER_OPEN)
        return;
    if (b->state == BREAKER_CLOSED && ++b->failures < l->failures)
        return;
    b->state = BREAKER_OPEN;
    b->open_until_ms = now_ms + l->open_ms;
}
