/* evict.c — the one path on which workers leave for memory, whoever needs it: a claim, pressure or
 * a smaller budget. Each departure is logged and told with for whom, how much and why. */
#include "supervisor/state.h"

#include "base/check.h"
#include "base/size.h"

#include <stdio.h>

static void tell(struct supervisor *s, const struct child *c, const struct judgement *j,
                 const char *for_whom)
{
    struct size_text need, leased, budget, freed;
    char reason[320];
    snprintf(reason, sizeof reason,
             "for %.90s: needs %s, leased %s of %s%s, the %zu that leave free %s", for_whom,
             size_format(j->need_bytes, &need), size_format(s->leased_bytes, &leased),
             size_format(s->budget_bytes, &budget),
             s->withheld_bytes > 0 ? ", part of which pressure withholds" : "", j->victims_count,
             size_format(j->freed_bytes, &freed));
    log_write(s->options.log, LOG_INFO, "governor", "evict %s worker %u: %s", c->model->name, c->id,
              reason);
    event_emit(s, &(struct pool_event){ .kind = verdict_name(VERDICT_EVICT),
                                        .model = c->model->name,
                                        .worker = c->id,
                                        .reason = reason });
}

void evict_victims(struct supervisor *s, const struct pool_view *view, const struct judgement *j,
                   enum eviction why, const char *for_whom)
{
    char reason[160];
    snprintf(reason, sizeof reason, "evicted for %.120s", for_whom);
    for (size_t i = 0; i < j->victims_count; i++) {
        const struct resident *r = &view->residents[view->victims[i]];
        uint64_t key = r->id;
        struct child *c = map_get(&s->children, map_id(&key));
        CHECK(c != NULL && r->may_leave && child_state_may_be_victim(c->state) &&
              c->jobs_count == 0);
        tell(s, c, j, for_whom);
        c->model->second_due = false;
        child_retire(s, c, why, reason);
    }
}
