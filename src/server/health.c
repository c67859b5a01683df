#include "base/jsonw.h"
#include "base/size.h"
#include "server/exchange.h"
#include "server/models.h"
#include "server/routes.h"
#include "server/server_state.h"

static void reply(struct exchange *x, int status, const char *state, const char *reason)
{
    struct buffer body;
    struct jsonw j;
    buffer_init(&body, 64 * KiB);
    jsonw_init(&j, &body);
    jsonw_object(&j);
    jsonw_key(&j, "status"), jsonw_text(&j, state);
    if (reason)
        jsonw_key(&j, "reason"), jsonw_text(&j, reason);
    jsonw_end(&j);
    if (status == 503)
        exchange_field(x, "Retry-After", STR("1"));
    exchange_reply_json(x, status, &body);
}

/* The loop turns: that is all there is to say. */
void health_live_begin(struct exchange *x)
{
    reply(x, 200, "ok", NULL);
}

void health_ready_begin(struct exchange *x)
{
    struct models models;
    struct weir_error err;
    if (x->server->is_draining) {
        reply(x, 503, "draining", "the server is shutting down");
        return;
    }
    if (models_read(x->server->pool, NULL, &models, &err) != WEIR_OK) {
        exchange_fail(x, &err, NULL);
        return;
    }
    size_t waiting = 0;
    for (size_t i = models.count; i-- > 0;) {
        struct model model = models_at(&models, i);
        if (model.is_inspected)
            continue;
        waiting++;
        weir_fail(&err, WEIR_UNAVAILABLE, "%zu of %zu models are not inspected yet, first '%.80s'",
                  waiting, models.count, model.name);
    }
    models_finish(&models);
    if (waiting > 0)
        reply(x, 503, "starting", err.text);
    else
        reply(x, 200, "ok", NULL);
}
