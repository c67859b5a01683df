#include "base/check.h"
#include "base/jsonw.h"
#include "base/size.h"
#include "server/exchange.h"
#include "server/inputs.h"
#include "server/json_body.h"
#include "server/json_fields.h"
#include "server/models.h"
#include "server/request_fields.h"
#include "server/routes.h"
#include "server/server_state.h"

/* A token is at most its id and its piece: some twenty times the bytes of the longest body. */
#define REPLY_BYTES_MAX ((size_t)(2048 * MiB))

/* Both routes collect their answer in a buffer and send it at the end. */
struct collected {
    struct buffer bytes;
};

/* The capability that reads texts: which of the two a model has decides. A model that is not
 * inspected yet, or unknown, is left to the pool to judge. */
static enum weir_capability text_capability(struct exchange *x, const char *name)
{
    struct models models;
    struct model model;
    struct weir_error err;
    bool only_generates = false;
    if (models_read(x->server->pool, name, &models, &err) != WEIR_OK)
        return WEIR_TEXT_EMBEDDING;
    if (models_find(&models, name, &model))
        only_generates =
            models_can(&model, WEIR_TEXT_TO_TEXT) && !models_can(&model, WEIR_TEXT_EMBEDDING);
    models_finish(&models);
    return only_generates ? WEIR_TEXT_TO_TEXT : WEIR_TEXT_EMBEDDING;
}

static void on_over(struct exchange *x)
{
    struct collected *c = x->state;
    buffer_finish(&c->bytes);
}

/* Comes before the inputs are read, which may fill the arena. */
static void begin_collecting(struct exchange *x)
{
    struct collected *c = arena_try(&x->arena, 1, sizeof(*c));
    CHECK(c != NULL);
    buffer_init(&c->bytes, REPLY_BYTES_MAX);
    x->state = c;
    x->over = on_over;
}

static void submit(struct exchange *x, struct weir_request *request,
                   const struct exchange_calls *calls)
{
    request->capability = text_capability(x, request->model);
    exchange_submit(x, request, calls);
}

/* --- POST /weir/v1/tokenize ------------------------------------------------------------------- */

static void write_rows(struct jsonw *j, const struct weir_output *o, bool pieces)
{
    jsonw_array(j);
    for (size_t row = 0; row < o->rows; row++) {
        jsonw_array(j);
        for (size_t i = o->starts[row]; i < o->starts[row + 1]; i++) {
            if (pieces)
                jsonw_str(j, (struct str){ o->pieces[i].data, o->pieces[i].bytes });
            else
                jsonw_i64(j, o->ids[i]);
        }
        jsonw_end(j);
    }
    jsonw_end(j);
}

static void on_tokens(struct exchange *x, const struct weir_output *output)
{
    struct collected *c = x->state;
    struct jsonw j;
    jsonw_init(&j, &c->bytes);
    jsonw_object(&j);
    jsonw_key(&j, "tokens"), write_rows(&j, output, false);
    jsonw_key(&j, "pieces"), write_rows(&j, output, true);
    jsonw_end(&j);
}

static void on_tokens_ended(struct exchange *x, const struct weir_end *end)
{
    struct collected *c = x->state;
    (void)end;
    exchange_reply_json(x, 200, &c->bytes);
}

static void on_tokenize_json(struct exchange *x)
{
    static const struct exchange_calls calls = { .output = on_tokens, .ended = on_tokens_ended };
    struct json_fields f = json_fields_of(x->json);
    const struct inputs_rules rules = { .name = "input",
                                        .count_max = x->server->limits.inputs,
                                        .takes_empty = true };
    struct weir_tokenize tokenize = { .size = sizeof(tokenize) };
    struct weir_request request = { .operation = WEIR_TOKENIZE, .input = &tokenize };
    begin_collecting(x);
    request_fields_read(x, &f, &request);
    tokenize.inputs = inputs_read(&f, &rules, &x->arena, &tokenize.count);
    tokenize.no_special_tokens = !json_fields_bool(&f, "add_special_tokens", true);
    if (json_fields_ok(&f))
        submit(x, &request, &calls);
    else
        exchange_fail(x, &f.problem, f.param);
}

void weir_tokenize_begin(struct exchange *x)
{
    json_body_read(x, on_tokenize_json);
}

/* --- POST /weir/v1/detokenize ----------------------------------------------------------------- */

static void on_text(struct exchange *x, const struct weir_output *output)
{
    struct collected *c = x->state;
    buffer_append(&c->bytes, output->text, output->bytes);
}

static void on_text_ended(struct exchange *x, const struct weir_end *end)
{
    struct collected *c = x->state;
    struct buffer body;
    struct jsonw j;
    (void)end;
    buffer_init(&body, REPLY_BYTES_MAX);
    body.failed = c->bytes.failed;
    jsonw_init(&j, &body);
    jsonw_object(&j);
    jsonw_key(&j, "text"), jsonw_str(&j, buffer_view(&c->bytes));
    jsonw_end(&j);
    exchange_reply_json(x, 200, &body);
}

static void on_detokenize_json(struct exchange *x)
{
    static const struct exchange_calls calls = { .output = on_text, .ended = on_text_ended };
    struct json_fields f = json_fields_of(x->json);
    struct weir_input ids;
    struct weir_tokenize tokenize = { .size = sizeof(tokenize), .inputs = &ids, .count = 1 };
    struct weir_request request = { .operation = WEIR_DETOKENIZE, .input = &tokenize };
    begin_collecting(x);
    x->input_param = "tokens";
    request_fields_read(x, &f, &request);
    inputs_read_ids(&f, "tokens", &x->arena, &ids);
    if (json_fields_ok(&f))
        submit(x, &request, &calls);
    else
        exchange_fail(x, &f.problem, f.param);
}

void weir_detokenize_begin(struct exchange *x)
{
    json_body_read(x, on_detokenize_json);
}
