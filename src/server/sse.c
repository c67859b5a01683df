#include "server/sse.h"

#include "base/error.h"
#include "base/size.h"
#include "server/exchange.h"

/* The largest event is an image in base64. */
#define EVENT_BYTES_MAX ((size_t)(256 * MiB))

void sse_begin(struct exchange *x)
{
    exchange_field(x, "Cache-Control", STR("no-cache"));
    exchange_field(x, "X-Accel-Buffering", STR("no"));
    exchange_stream_begin(x, "text/event-stream");
}

void sse_open(struct buffer *event, const char *name)
{
    buffer_init(event, EVENT_BYTES_MAX);
    if (name)
        buffer_printf(event, "event: %s\n", name);
    buffer_text(event, "data: ");
}

bool sse_send(struct exchange *x, struct buffer *event)
{
    struct weir_error err;
    buffer_text(event, "\n\n");
    bool is_whole = !event->failed;
    bool goes_on = is_whole && exchange_stream_write(x, buffer_view(event));
    buffer_finish(event);
    if (!is_whole) {
        weir_fail(&err, WEIR_INTERNAL, "an event of the answer finds no memory");
        exchange_fail(x, &err, NULL);
    }
    return goes_on;
}
