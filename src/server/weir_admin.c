#include "base/jsonw.h"
#include "base/size.h"
#include "server/exchange.h"
#include "server/http_head.h"
#include "server/json_body.h"
#include "server/json_fields.h"
#include "server/order.h"
#include "server/percent.h"
#include "server/request_fields.h"
#include "server/routes.h"
#include "server/server_state.h"

#define REPLY_BYTES_MAX ((size_t)(1 * MiB))

/* {"model":NAME,"what":is} */
static void begin_reply(struct buffer *body, struct jsonw *j, const char *model, const char *what,
                        bool is)
{
    buffer_init(body, REPLY_BYTES_MAX);
    jsonw_init(j, body);
    jsonw_object(j);
    jsonw_key(j, "model"), jsonw_text(j, model);
    jsonw_key(j, what), jsonw_bool(j, is);
}

/* --- POST /weir/v1/load: answers when the model is READY -------------------------------------- */

static void on_loaded(struct exchange *x, const struct weir_end *end)
{
    struct buffer body;
    struct jsonw j;
    begin_reply(&body, &j, x->model, "loaded", true);
    jsonw_key(&j, "total_ms"), jsonw_i64(&j, end->total_ms);
    jsonw_end(&j);
    exchange_reply_json(x, 200, &body);
}

static void on_load_json(struct exchange *x)
{
    static const struct exchange_calls calls = { .ended = on_loaded }; /* it has no outputs */
    struct json_fields f = json_fields_of(x->json);
    struct weir_request request = { .operation = WEIR_LOAD };
    request_fields_read(x, &f, &request);
    if (json_fields_ok(&f))
        exchange_submit(x, &request, &calls);
    else
        exchange_fail(x, &f.problem, f.param);
}

void weir_load_begin(struct exchange *x)
{
    json_body_read(x, on_load_json);
}

/* --- POST /weir/v1/pin and unpin -------------------------------------------------------------- */

static void pin(struct exchange *x, const char *op, bool is_pinned)
{
    struct json_fields f = json_fields_of(x->json);
    const char *model = json_fields_model(&f);
    struct buffer body;
    struct jsonw j;
    struct str answer;
    struct weir_error err;
    if (!json_fields_ok(&f)) {
        exchange_fail(x, &f.problem, f.param);
    } else if (order_by_name(x->server->pool, op, model, &answer, &err) != WEIR_OK) {
        exchange_fail(x, &err, NULL);
    } else {
        begin_reply(&body, &j, model, "pinned", is_pinned);
        jsonw_end(&j);
        exchange_reply_json(x, 200, &body);
    }
}

static void on_pin_json(struct exchange *x)
{
    pin(x, "pin", true);
}

static void on_unpin_json(struct exchange *x)
{
    pin(x, "unpin", false);
}

void weir_pin_begin(struct exchange *x)
{
    json_body_read(x, on_pin_json);
}

void weir_unpin_begin(struct exchange *x)
{
    json_body_read(x, on_unpin_json);
}

/* --- GET /weir/v1/plan?model=NAME: the pool's own answer, as it is ---------------------------- */

void weir_plan_begin(struct exchange *x)
{
    struct str model, answer;
    struct weir_error err;
    struct buffer body;
    if (!percent_query(x->request->query, STR("model"), &x->arena, &model))
        weir_fail(&err, WEIR_INVALID, "the query is not valid percent-encoded UTF-8");
    else if (model.len == 0)
        weir_fail(&err, WEIR_INVALID, "the query must name a model: /weir/v1/plan?model=NAME");
    else if (order_by_name(x->server->pool, "plan", model.data, &answer, &err) == WEIR_OK) {
        buffer_init(&body, REPLY_BYTES_MAX);
        buffer_str(&body, answer);
        exchange_reply_json(x, 200, &body);
        return;
    }
    exchange_fail(x, &err, err.code == WEIR_INVALID ? "model" : NULL);
}
