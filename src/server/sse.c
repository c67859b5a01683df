#include "server/sse.h"

#include "base/error.h"
#include "server/exchange.h"
#include "server/server_state.h"

void sse_begin(struct exchange *x)
{
    exchange_field(x, "Cache-Control", STR("no-cache"));
    exchange_field(x, "X-Accel-Buffering", STR("no"));
    exchange_stream_begin(x, "text/event-stream");
}

struct buffer *sse_open(struct exchange *x, const char *name)
{
    struct buffer *event = &x->server->event;
    buffer_clear(event);
    if (name)
        buffer_printf(event, "event: %s\n", name);
    buffer_text(event, "data: ");
    return event;
}

bool sse_send(struct exchange *x)
{
    struct buffer *event = &x->server->event;
    struct weir_error err;
    buffer_text(event, "\n\n");
    bool is_whole = !event->failed;
    bool goes_on = is_whole && exchange_stream_write(x, buffer_view(event));
    buffer_reuse(event, SERVER_EVENT_BYTES_KEPT);
    if (!is_whole) {
        weir_fail(&err, WEIR_INTERNAL, "an event of the answer finds no memory");
        exchange_fail(x, &err, NULL);
    }
    return goes_on;
}
