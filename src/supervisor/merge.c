/* merge.c — equal work is done once: a request joins the job of an equal one that waits or runs.
 *
 * Jobs are found by their hash and compared in full. One hash stands for one job, the last offered:
 * where two different ones share a hash, the other simply is not joined. */
#include "supervisor/state.h"

#include <string.h>

void merge_offer(struct supervisor *s, struct job *j)
{
    map_put(&s->mergeable, map_id(&j->hash), j);
}

void merge_withdraw(struct supervisor *s, struct job *j)
{
    if (map_get(&s->mergeable, map_id(&j->hash)) == j)
        map_remove(&s->mergeable, map_id(&j->hash));
}

/* Nobody has had any of its answer, everybody can still get all of it, and it killed nothing. */
static bool is_open(const struct job *j)
{
    return !j->output_seen && !j->cancel_sent && !j->alone && !list_empty(&j->requests);
}

struct job *merge_find(const struct supervisor *s, const struct model *m,
                       const struct submission *r, uint64_t hash)
{
    if (!r->mergeable || r->own_credit)
        return NULL;
    struct job *j = map_get(&s->mergeable, map_id(&hash));
    if (j == NULL || j->model != m || !is_open(j) || j->capability != r->capability ||
        j->operation != r->operation || j->payload_bytes != r->payload_bytes)
        return NULL;
    const bool equal =
        j->payload_bytes == 0 || memcmp(j->payload, r->payload, r->payload_bytes) == 0;
    return equal ? j : NULL;
}
