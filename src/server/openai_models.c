#include "base/jsonw.h"
#include "base/size.h"
#include "server/exchange.h"
#include "server/models.h"
#include "server/routes.h"
#include "server/server_state.h"

#define REPLY_BYTES_MAX ((size_t)(64 * MiB))

/* "created" is when this server started: a model's file has no date that would mean more. */
static void write_model(struct jsonw *j, const struct model *model, int64_t created_s)
{
    jsonw_object(j);
    jsonw_key(j, "id"), jsonw_text(j, model->name);
    jsonw_key(j, "object"), jsonw_text(j, "model");
    jsonw_key(j, "created"), jsonw_i64(j, created_s);
    jsonw_key(j, "owned_by"), jsonw_text(j, "weir");
    jsonw_key(j, "capabilities");
    jsonw_array(j);
    for (enum weir_capability c = 0; c < WEIR_CAPABILITY_COUNT; c++)
        if (models_can(model, c))
            jsonw_text(j, weir_capability_name(c));
    jsonw_end(j);
    jsonw_end(j);
}

void openai_models_begin(struct exchange *x)
{
    struct models models;
    struct weir_error err;
    struct buffer body;
    struct jsonw j;
    if (models_read(x->server->pool, NULL, &models, &err) != WEIR_OK) {
        exchange_fail(x, &err, NULL);
        return;
    }
    buffer_init(&body, REPLY_BYTES_MAX);
    jsonw_init(&j, &body);
    jsonw_object(&j);
    jsonw_key(&j, "object"), jsonw_text(&j, "list");
    jsonw_key(&j, "data");
    jsonw_array(&j);
    for (size_t i = 0; i < models.count; i++) {
        struct model model = models_at(&models, i);
        write_model(&j, &model, x->server->started_s);
    }
    jsonw_end(&j);
    jsonw_end(&j);
    models_finish(&models);
    exchange_reply_json(x, 200, &body);
}

void openai_models_one_begin(struct exchange *x)
{
    struct models models;
    struct model model;
    struct weir_error err;
    struct buffer body;
    struct jsonw j;
    if (models_read(x->server->pool, x->rest.data, &models, &err) != WEIR_OK) {
        exchange_fail(x, &err, NULL);
        return;
    }
    bool is_found = models_find(&models, x->rest.data, &model);
    buffer_init(&body, REPLY_BYTES_MAX);
    if (is_found) {
        jsonw_init(&j, &body);
        write_model(&j, &model, x->server->started_s);
    } else {
        weir_fail(&err, WEIR_NO_SUCH_MODEL, "no model is registered as '%.100s'", x->rest.data);
    }
    models_finish(&models);
    if (is_found)
        exchange_reply_json(x, 200, &body);
    else
        exchange_fail(x, &err, "model");
}
