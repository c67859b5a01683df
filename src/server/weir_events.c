#include "server/weir_events.h"

#include "base/check.h"
#include "base/list.h"
#include "server/exchange.h"
#include "server/routes.h"
#include "server/server_state.h"
#include "server/sse.h"

#define KEEP_ALIVE_MS 15000

struct reader {
    struct link link; /* in server.readers */
    struct exchange *exchange;
};

static struct reader *take_first(struct link *list)
{
    struct link *first = list_first(list);
    list_remove(first);
    return CONTAINER_OF(first, struct reader, link);
}

static void on_over(struct exchange *x)
{
    struct reader *r = x->state;
    list_remove(&r->link);
}

/* A write may drop its reader, so each goes back on the server's list before it is written to. */
static void write_all(struct server *s, struct str text)
{
    struct link all;
    list_move(&all, &s->readers);
    while (!list_empty(&all)) {
        struct reader *r = take_first(&all);
        list_push_back(&s->readers, &r->link);
        exchange_stream_write(r->exchange, text);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct server *s = timer->data;
    if (list_empty(&s->readers))
        uv_timer_stop(timer);
    else
        write_all(s, STR(": keep-alive\n\n"));
}

void weir_events_send(struct server *s, struct str json)
{
    struct buffer text;
    if (list_empty(&s->readers))
        return;
    buffer_init(&text, json.len + 32);
    buffer_text(&text, "data: ");
    buffer_str(&text, json);
    buffer_text(&text, "\n\n");
    if (!text.failed)
        write_all(s, buffer_view(&text));
    buffer_finish(&text);
}

void weir_events_end(struct server *s)
{
    while (!list_empty(&s->readers)) {
        struct reader *r = take_first(&s->readers);
        exchange_stream_end(r->exchange);
    }
}

void weir_events_begin(struct exchange *x)
{
    struct server *s = x->server;
    struct reader *r = arena_try(&x->arena, 1, sizeof(*r));
    CHECK(r != NULL);
    sse_begin(x);
    if (x->is_head_only || s->is_closing) {
        exchange_stream_end(x);
        return;
    }
    r->exchange = x;
    x->state = r;
    x->over = on_over;
    list_push_back(&s->readers, &r->link);
    if (!uv_is_active((uv_handle_t *)&s->readers_timer))
        uv_timer_start(&s->readers_timer, on_timer, KEEP_ALIVE_MS, KEEP_ALIVE_MS);
    /* Says at once that whatever happens from here on will be seen. */
    exchange_stream_write(x, STR(": weir events\n\n"));
}
