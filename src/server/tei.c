#include "server/tei.h"

#include "base/check.h"
#include "base/jsonw.h"
#include "server/exchange.h"
#include "server/http_head.h"
#include "server/json_read.h"
#include "server/order.h"
#include "server/percent.h"
#include "server/server_state.h"

#include <inttypes.h>
#include <string.h>

/* Inspection takes milliseconds a model. */
#define INSPECTION_RETRY_MS 1000

/* --- errors ----------------------------------------------------------------------------------- */

/* Whether what is wrong with the inputs is that there is nothing: no input, or one without text. */
static bool is_of_nothing(const struct exchange *x, const struct weir_error *err)
{
    const struct json_value *v = json_read_field(x->json, "inputs");
    if (err->index >= 0 && json_read_kind(v) == JSON_IS_ARRAY)
        v = json_read_item(v, (size_t)err->index);
    if (json_read_kind(v) == JSON_IS_ARRAY)
        return json_read_count(v) == 0;
    return json_read_kind(v) == JSON_IS_TEXT && json_read_text(v).len == 0;
}

static const char *error_type(const struct exchange *x, const struct weir_error *err,
                              const char *param)
{
    switch (err->code) {
    case WEIR_QUEUE_FULL:
    case WEIR_NO_MEMORY: return "Overloaded";
    case WEIR_SHUTTING_DOWN:
    case WEIR_UNAVAILABLE: return "Unhealthy";
    case WEIR_QUARANTINED: return "Backend";
    default: break;
    }
    if (error_http_status(err->code) >= 499) /* the client's own cancel is no mistake of it */
        return "Backend";
    if (param && strcmp(param, "inputs") == 0 && is_of_nothing(x, err))
        return "Empty";
    return "Validation";
}

void tei_error_write(const struct exchange *x, struct buffer *out, const struct weir_error *err,
                     const char *param)
{
    struct jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j);
    jsonw_key(&j, "error"), jsonw_text(&j, err->text[0] ? err->text : error_says(err->code));
    jsonw_key(&j, "error_type"), jsonw_text(&j, error_type(x, err, param));
    jsonw_end(&j);
}

/* --- the model -------------------------------------------------------------------------------- */

/* Whether {"models","inspected","able"} leaves but one model that can be meant. Of a single one,
 * whatever is wrong with it, the pool says it. */
static enum weir_code judge(const struct json_value *answer, struct weir_error *err)
{
    const int64_t models = order_number(answer, "models"), able = order_number(answer, "able");
    const int64_t waiting = models - order_number(answer, "inspected");
    if (models == 1 || (able == 1 && waiting == 0))
        return WEIR_OK;
    if (able > 1)
        return weir_fail(err, WEIR_INVALID,
                         "'model' must say which of %" PRId64 " embedding models", able);
    if (waiting == 0)
        return weir_fail(err, WEIR_INVALID, "none of %" PRId64 " models embeds texts", models);
    weir_fail(err, WEIR_UNAVAILABLE,
              "%" PRId64 " of %" PRId64
              " models are not inspected yet, and 'model' does not say which is meant",
              waiting, models);
    err->retry_after_ms = INSPECTION_RETRY_MS;
    return WEIR_UNAVAILABLE;
}

enum weir_code tei_model_find(struct exchange *x, const char **out, struct weir_error *err)
{
    struct str asked;
    struct str answer;
    struct json_value *tree;
    if (!percent_query(x->request->query, STR("model"), &x->arena, &asked))
        return weir_fail(err, WEIR_INVALID, "the query is not valid percent-encoded UTF-8");
    if (asked.len > 0) {
        *out = asked.data;
        return WEIR_OK;
    }
    if (order_able(x->server->pool, WEIR_TEXT_EMBEDDING, &answer, err) != WEIR_OK ||
        (tree = json_read_parse(answer, err)) == NULL)
        return err->code;
    const enum weir_code code = judge(tree, err);
    if (code == WEIR_OK) {
        *out = arena_str(&x->arena, json_read_text(json_read_field(tree, "name"))).data;
        CHECK(*out != NULL); /* nothing large is in the arena yet */
    }
    json_read_free(tree);
    return code;
}
