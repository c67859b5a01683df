#include "server/tei.h"

#include "base/check.h"
#include "base/jsonw.h"
#include "server/exchange.h"
#include "server/http_head.h"
#include "server/json_read.h"
#include "server/models.h"
#include "server/percent.h"
#include "server/server_state.h"

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

static enum weir_code find_only(const struct models *models, const char **out,
                                struct weir_error *err)
{
    size_t waiting = 0, able = 0;
    if (models->count == 1) { /* whatever is wrong with it, the pool says it */
        *out = models_at(models, 0).name;
        return WEIR_OK;
    }
    for (size_t i = 0; i < models->count; i++) {
        struct model model = models_at(models, i);
        waiting += !model.is_inspected;
        if (!models_can(&model, WEIR_TEXT_EMBEDDING))
            continue;
        able++;
        *out = model.name;
    }
    if (able == 1 && waiting == 0)
        return WEIR_OK;
    if (able > 1)
        return weir_fail(err, WEIR_INVALID, "'model' must say which of %zu embedding models", able);
    if (waiting == 0)
        return weir_fail(err, WEIR_INVALID, "none of %zu models embeds texts", models->count);
    weir_fail(err, WEIR_UNAVAILABLE,
              "%zu of %zu models are not inspected yet, and 'model' does not say which is meant",
              waiting, models->count);
    err->retry_after_ms = INSPECTION_RETRY_MS;
    return WEIR_UNAVAILABLE;
}

enum weir_code tei_model_find(struct exchange *x, const char **out, struct weir_error *err)
{
    struct str asked;
    struct models models;
    const char *only = NULL;
    if (!percent_query(x->request->query, STR("model"), &x->arena, &asked))
        return weir_fail(err, WEIR_INVALID, "the query is not valid percent-encoded UTF-8");
    if (asked.len > 0) {
        *out = asked.data;
        return WEIR_OK;
    }
    if (models_read(x->server->pool, NULL, &models, err) != WEIR_OK)
        return err->code;
    const enum weir_code code = find_only(&models, &only, err);
    if (code == WEIR_OK) {
        *out = arena_str(&x->arena, str_of(only)).data;
        CHECK(*out != NULL); /* nothing large is in the arena yet */
    }
    models_finish(&models);
    return code;
}
