/* tei_info.c — GET /info: what is known of the model. Of what that server says we leave out what
 * would not be true of this one, as how it pools or how many threads tokenize. */
#include "base/jsonw.h"
#include "base/size.h"
#include "server/exchange.h"
#include "server/models.h"
#include "server/routes.h"
#include "server/server_state.h"
#include "server/tei.h"

#include <string.h>

static const char *dtype(const char *precision)
{
    return precision && strcmp(precision, "bf16") == 0 ? "bfloat16" : "float32";
}

static void write_info(struct jsonw *j, const struct server *s, const struct model *model)
{
    jsonw_object(j);
    jsonw_key(j, "model_id"), jsonw_text(j, model->name);
    jsonw_key(j, "model_sha"), jsonw_null(j);
    jsonw_key(j, "model_dtype"), jsonw_text(j, dtype(model->precision));
    jsonw_key(j, "served_model_name"), jsonw_text(j, model->name);
    jsonw_key(j, "model_type");
    jsonw_object(j);
    jsonw_key(j, "embedding");
    jsonw_object(j);
    jsonw_end(j);
    jsonw_end(j);
    jsonw_key(j, "max_input_length"), jsonw_i64(j, model->tokens_max);
    jsonw_key(j, "max_client_batch_size"), jsonw_i64(j, s->limits.inputs);
    jsonw_key(j, "auto_truncate"), jsonw_bool(j, model->truncates);
    jsonw_key(j, "version"), jsonw_text(j, weir_version());
    jsonw_end(j);
}

/* Whether there is something to say of it. */
static enum weir_code judge(const struct models *models, const char *name, struct model *out,
                            struct weir_error *err)
{
    if (!models_find(models, name, out))
        return weir_fail(err, WEIR_NO_SUCH_MODEL, "no model is registered as '%.100s'", name);
    if (out->problem)
        return weir_fail(err, WEIR_LOAD_FAILED, "%s", out->problem);
    if (!out->is_inspected)
        return weir_fail(err, WEIR_UNAVAILABLE, "'%.100s' is not inspected yet", name);
    if (!models_can(out, WEIR_TEXT_EMBEDDING))
        return weir_fail(err, WEIR_INVALID, "'%.100s' does not embed texts", name);
    return WEIR_OK;
}

void tei_info_begin(struct exchange *x)
{
    const char *name;
    struct models models;
    struct model model;
    struct weir_error err;
    struct buffer body;
    struct jsonw j;
    if (tei_model_find(x, &name, &err) != WEIR_OK ||
        models_read(x->server->pool, name, &models, &err) != WEIR_OK) {
        exchange_fail(x, &err, "model");
        return;
    }
    buffer_init(&body, (size_t)(64 * KiB));
    jsonw_init(&j, &body);
    const enum weir_code code = judge(&models, name, &model, &err);
    if (code == WEIR_OK)
        write_info(&j, x->server, &model);
    models_finish(&models);
    if (code == WEIR_OK)
        exchange_reply_json(x, 200, &body);
    else
        exchange_fail(x, &err, "model");
}
