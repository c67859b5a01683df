#include "server/http_stats.h"

#include "base/histogram.h"
#include "base/mem.h"
#include "server/http_reply.h"
#include "server/metrics_text.h"
#include "server/router.h"

#include <stdio.h>

struct route_stats {
    struct histogram seconds;
    uint64_t statuses[HTTP_REPLY_STATUS_COUNT]; /* by http_reply_index */
};

struct http_stats {
    size_t count; /* routes; one more is there for requests without one */
    struct route_stats routes[];
};

struct http_stats *http_stats_create(void)
{
    size_t count = router_count();
    struct http_stats *s = mem_new(1, sizeof(*s) + (count + 1) * sizeof(s->routes[0]));
    s->count = count;
    return s;
}

void http_stats_destroy(struct http_stats *s)
{
    mem_free(s);
}

void http_stats_observe(struct http_stats *s, const struct route *route, int status, int64_t ms)
{
    size_t at = route ? (size_t)(route - router_at(0)) : s->count;
    s->routes[at].statuses[http_reply_index(status)]++;
    histogram_observe(&s->routes[at].seconds, ms);
}

static void label_of(const struct http_stats *s, size_t at, char out[96])
{
    if (at == s->count)
        snprintf(out, 96, "none");
    else
        snprintf(out, 96, "%s %s", router_at(at)->method, router_at(at)->path);
}

void http_stats_write(const struct http_stats *s, struct buffer *out)
{
    static const char requests[] = "weir_http_requests_total";
    static const char seconds[] = "weir_http_request_seconds";
    char route[96], status[16];
    metrics_text_family(out, requests, "counter", "Requests by route and status.");
    for (size_t i = 0; i <= s->count; i++) {
        label_of(s, i, route);
        for (size_t n = 0; n < HTTP_REPLY_STATUS_COUNT; n++) {
            if (s->routes[i].statuses[n] == 0)
                continue;
            snprintf(status, sizeof(status), "%d", http_reply_status(n));
            const struct metrics_label labels[] = {
                {"route",   str_of(route) },
                { "status", str_of(status)},
            };
            metrics_text_sample(out, requests, labels, 2, (double)s->routes[i].statuses[n]);
        }
    }
    metrics_text_family(out, seconds, "histogram",
                        "From a request's head to the end of its answer.");
    for (size_t i = 0; i <= s->count; i++) {
        label_of(s, i, route);
        const struct metrics_label label = { "route", str_of(route) };
        if (s->routes[i].seconds.count > 0)
            metrics_text_histogram(out, seconds, &label, &s->routes[i].seconds);
    }
}
