#include "server/access_log.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "server/connection.h"
#include "server/exchange.h"
#include "server/http_head.h"
#include "server/router.h"
#include "server/server_state.h"

#define LINE_BYTES_MAX 2048
#define PATH_BYTES_MAX 256

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

void access_log_write(const struct exchange *x)
{
    struct str method = x->request ? x->request->method : STR("-");
    struct str path = x->request ? x->request->path : STR("-");
    struct buffer line;
    if (level_of(x) < x->server->log.least)
        return;
    buffer_init(&line, LINE_BYTES_MAX);
    buffer_printf(&line, "%.*s %.*s id=%s route=%s model=%s client=%s status=%d", STR_ARG(method),
                  (int)(path.len < PATH_BYTES_MAX ? path.len : PATH_BYTES_MAX), path.data, x->id,
                  x->route ? x->route->path : "-", x->model ? x->model : "-",
                  connection_peer(x->connection), x->status);
    write_usage(&line, x);
    buffer_printf(&line, " bytes=%llu", (unsigned long long)x->sent_bytes);
    if (x->problem)
        buffer_printf(&line, " problem=%s", x->problem);
    struct str text = buffer_view(&line);
    log_write(&x->server->log, level_of(x), "http", "%.*s", STR_ARG(text));
    buffer_finish(&line);
}
