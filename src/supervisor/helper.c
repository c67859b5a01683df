/* helper.c — what processes have in common that work for the pool: their start and their end. */
#include "supervisor/helper.h"

#include "supervisor/state.h"

#include "base/check.h"
#include "wire/build_id.h"

enum weir_code helper_start(struct supervisor *s, struct helper *h, enum spawn_kind kind,
                            const struct spawn_spec *spec, struct weir_error *err)
{
    *h = (struct helper){ .id = ++s->last_child, .since_ms = s->now_ms };
    s->totals.decisions++;
    s->totals.children++;
    return s->world->spawn(s->world->context, kind, h->id, spec, err);
}

void helper_ask(struct supervisor *s, struct helper *h, enum frame_type type, uint32_t number,
                const struct buffer *body)
{
    h->asked = number;
    h->since_ms = s->now_ms;
    s->totals.decisions++;
    s->world->send(s->world->context, h->id, type, number, buffer_view(body), (struct str){ 0 });
}

void helper_bye(struct supervisor *s, struct helper *h)
{
    h->leaving = true;
    h->since_ms = s->now_ms;
    s->totals.decisions++;
    s->world->send(s->world->context, h->id, FRAME_BYE, 0, (struct str){ 0 }, (struct str){ 0 });
}

void helper_kill(struct supervisor *s, struct helper *h)
{
    if (h->killed)
        return;
    h->killed = true;
    s->totals.decisions++;
    s->world->kill(s->world->context, h->id, WORLD_KILL);
}

void helper_reaped(struct supervisor *s, struct helper *h)
{
    CHECK(s->totals.children > 0);
    s->totals.children--;
    *h = (struct helper){ 0 };
}

bool helper_is_free(const struct helper *h)
{
    return h->id != 0 && h->hello && h->asked == 0 && !h->leaving && !h->killed;
}

bool helper_is_waited_for(const struct helper *h)
{
    return h->id != 0 && !h->killed && (!h->hello || h->asked != 0 || h->leaving);
}

int64_t helper_until(const struct supervisor *s, const struct helper *h, int64_t answer_ms)
{
    if (!helper_is_waited_for(h))
        return TIMER_NEVER;
    return h->since_ms + (h->hello && !h->leaving ? answer_ms : s->options.limits.hello_ms);
}

bool helper_greet(struct helper *h, const struct frame *f)
{
    struct message_hello m;
    struct weir_error err;
    h->hello = message_hello_read(f, &m, &err) && m.version == WIRE_VERSION &&
               str_eq(m.build_id, str_of(build_id));
    return h->hello;
}
