/* weir_metrics.c — GET /metrics: the pool's numbers, the server's own, and the process's. */
#include "base/error.h"
#include "base/mem.h"
#include "base/size.h"
#include "server/exchange.h"
#include "server/http_stats.h"
#include "server/metrics_text.h"
#include "server/order.h"
#include "server/routes.h"
#include "server/server_state.h"

#include <dirent.h>

#define REPLY_BYTES_MAX ((size_t)(256 * MiB))

static void write_one(struct buffer *out, const char *name, const char *help, double value)
{
    metrics_text_family(out, name, "gauge", help);
    metrics_text_sample(out, name, NULL, 0, value);
}

/* Less ".", ".." and the one that reads the folder; 0 where a system has no such folder. */
static size_t open_files(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return 0;
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count > 3 ? count - 3 : 0;
}

static void write_process(struct buffer *out, const struct server *s)
{
    size_t resident = 0;
    size_t files = open_files();
    if (uv_resident_set_memory(&resident) == 0)
        write_one(out, "process_resident_memory_bytes", "Resident memory of the server itself.",
                  (double)resident);
    write_one(out, "weir_heap_bytes", "Bytes that the server holds of its allocator.",
              (double)mem_in_use());
    if (files > 0)
        write_one(out, "weir_open_fds", "Open file descriptors of the server itself.",
                  (double)files);
    write_one(out, "process_start_time_seconds", "Start of the server since 1970.",
              (double)s->started_s);
}

static size_t in_flight(const struct server *s)
{
    size_t count = 0, cursor = 0;
    for (const struct exchange *x; (x = map_next(&s->exchange_ids, &cursor)) != NULL;)
        count += x->connection != NULL;
    return count;
}

void weir_metrics_begin(struct exchange *x)
{
    struct server *s = x->server;
    struct str answer;
    struct weir_error err;
    struct buffer body;
    buffer_init(&body, REPLY_BYTES_MAX);
    if (order_plain(s->pool, "metrics", &answer, &err) != WEIR_OK ||
        metrics_text_pool(&body, answer, &err) != WEIR_OK) {
        buffer_finish(&body);
        exchange_fail(x, &err, NULL);
        return;
    }
    http_stats_write(s->stats, &body);
    write_one(&body, "weir_http_connections", "Open connections of clients.",
              (double)s->connections_count);
    write_one(&body, "weir_http_in_flight", "Requests that have no whole answer yet.",
              (double)in_flight(s));
    write_process(&body, s);
    exchange_reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
}
