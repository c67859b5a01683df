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

static int64_t number_of(const struct json_value *answer, const char *key)
{
    const struct json_value *v = json_read_field(answer, key);
    return json_read_kind(v) == JSON_IS_INTEGER ? json_read_integer(v) : 0;
}

void health_ready_begin(struct exchange *x)
{
    struct str answer;
    struct weir_error err;
    if (x->server->is_draining) {
        reply(x, 503, "draining", "the server is shutting down");
        return;
    }
    struct json_value *tree = NULL;
    if (order_plain(x->server->pool, "inspection", &answer, &err) != WEIR_OK ||
        (tree = json_read_parse(answer, &err)) == NULL) {
        exchange_fail(x, &err, NULL);
        return;
    }
    const int64_t waiting = number_of(tree, "models") - number_of(tree, "inspected");
    const struct json_value *first = json_read_field(tree, "first");
    if (waiting > 0)
        weir_fail(&err, WEIR_UNAVAILABLE,
                  "%" PRId64 " of %" PRId64 " models are not inspected yet, first '%.80s'", waiting,
                  number_of(tree, "models"),
                  json_read_kind(first) == JSON_IS_TEXT ? json_read_text(first).data : "");
    json_read_free(tree);
    if (waiting > 0)
        reply(x, 503, "starting", err.text);
    else
        reply(x, 200, "ok", NULL);
}
