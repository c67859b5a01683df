/* quarantine.c — the inputs that ended two workers: refused for a while, the oldest forgotten when
 * there are too many. */
#include "supervisor/state.h"

bool quarantine_holds(const struct supervisor *s, uint64_t hash)
{
    if (s->now_ms >= s->quarantine_until_ms) /* nearly always: no row is alive */
        return false;
    for (size_t i = 0; i < QUARANTINE_ROWS; i++)
        if (s->quarantine[i].hash == hash && s->quarantine[i].until_ms > s->now_ms)
            return true;
    return false;
}

void quarantine_add(struct supervisor *s, const struct job *j)
{
    s->quarantine_until_ms = s->now_ms + s->options.limits.quarantine_ms;
    s->quarantine[s->quarantine_next] =
        (struct quarantine_row){ .hash = j->hash, .until_ms = s->quarantine_until_ms };
    s->quarantine_next = (s->quarantine_next + 1) % QUARANTINE_ROWS;
}
