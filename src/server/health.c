#include "server/health.h"

#include "base/error.h"
#include "base/jsonw.h"
#include "base/size.h"
#include "server/exchange.h"
#include "server/json_read.h"
#include "server/order.h"
#include "server/routes.h"
#include "server/server_state.h"

#include <inttypes.h>

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

enum weir_code health_check(const struct server *s, struct weir_error *err)
{
    struct str answer;
    struct json_value *tree;
    if (s->is_draining)
        return weir_fail(err, WEIR_SHUTTING_DOWN, "the server is shutting down");
    if (order_plain(s->pool, "inspection", &answer, err) != WEIR_OK ||
        (tree = json_read_parse(answer, err)) == NULL)
        return err->code;
    const int64_t waiting = order_number(tree, "models") - order_number(tree, "inspected");
    const struct json_value *first = json_read_field(tree, "first");
    if (waiting > 0)
        weir_fail(err, WEIR_UNAVAILABLE,
                  "%" PRId64 " of %" PRId64 " models are not inspected yet, first '%.80s'", waiting,
                  order_number(tree, "models"),
                  json_read_kind(first) == JSON_IS_TEXT ? json_read_text(first).data : "");
    json_read_free(tree);
    return waiting > 0 ? WEIR_UNAVAILABLE : WEIR_OK;
}

void health_ready_begin(struct exchange *x)
{
    struct weir_error err;
    switch (health_check(x->server, &err)) {
    case WEIR_OK: reply(x, 200, "ok", NULL); break;
    case WEIR_SHUTTING_DOWN: reply(x, 503, "draining", err.text); break;
    case WEIR_UNAVAILABLE: reply(x, 503, "starting", err.text); break;
    default: exchange_fail(x, &err, NULL); break;
    }
}
