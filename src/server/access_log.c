#include "server/access_log.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "server/exchange.h"
#include "server/http_head.h"
#include "server/router.h"
#include "server/server_state.h"

#define LINE_BYTES_MAX  2048
#define SHOWN_BYTES_MAX 256

static enum log_level level_of(const struct exchange *x)
{
    if (x->problem)
        return LOG_WARN;
    return x->model ? LOG_INFO : LOG_DEBUG;
}

static void write_usage(struct buffer *line, const struct exchange *x)
{
    const struct exchange_usage *u = &x->usage;
    if (u->is_known)
        buffer_printf(line, " queued_ms=%lld", (long long)u->queued_ms);
    else
        buffer_text(line, " queued_ms=-");
    buffer_printf(line, " total_ms=%lld", (long long)(clock_ms() - x->began_ms));
    if (u->is_known)
        buffer_printf(line, " tokens_in=%llu tokens_out=%llu", (unsigned long long)u->input_tokens,
                      (unsigned long long)u->output_tokens);
    else
        buffer_text(line, " tokens_in=- tokens_out=-");
}

/* What a client chose must not look like further fields of the line, and its length must not leave
 * no room for them. */
static void write_shown(struct buffer *line, struct str text)
{
    for (size_t i = 0; i < text.len && i < SHOWN_BYTES_MAX; i++) {
        char b = text.data[i];
        buffer_u8(line, b > ' ' && b <= '~' ? (uint8_t)b : '?');
    }
}

void access_log_write(const struct exchange *x)
{
    struct str method = x->request ? x->request->method : STR("-");
    struct str path = x->request ? x->request->path : STR("-");
    struct buffer line;
    if (level_of(x) < x->server->log.least)
        return;
    buffer_init(&line, LINE_BYTES_MAX);
    write_shown(&line, method);
    buffer_text(&line, " ");
    write_shown(&line, path);
    buffer_printf(&line, " id=%s route=%s model=", x->id, x->route ? x->route->path : "-");
    write_shown(&line, str_of(x->model ? x->model : "-"));
    buffer_printf(&line, " client=%s status=%d", exchange_client(x), x->status);
    write_usage(&line, x);
    buffer_printf(&line, " bytes=%llu", (unsigned long long)x->sent_bytes);
    if (x->problem)
        buffer_printf(&line, " problem=%s", x->problem);
    struct str text = buffer_view(&line);
    log_write(&x->server->log, level_of(x), "http", "%.*s", STR_ARG(text));
    buffer_finish(&line);
}
