#include "server/openai_embeddings.h"

#include "base/check.h"
#include "base/jsonw.h"
#include "base/size.h"
#include "server/exchange.h"
#include "server/inputs.h"
#include "server/json_body.h"
#include "server/json_fields.h"
#include "server/request_fields.h"
#include "server/routes.h"
#include "server/server_state.h"

#include <string.h>

/* 2048 vectors of 4096 numbers in decimal are about 100 MiB. */
#define REPLY_BYTES_MAX ((size_t)(1024 * MiB))

struct embeddings {
    const char *model;
    bool is_base64;
    struct buffer reply;
};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "vectors are sent as they lie in memory, and must be little-endian");

static void write_vector(struct jsonw *j, const float *vector, size_t dim, bool is_base64)
{
    if (is_base64) {
        jsonw_base64(j, vector, dim * sizeof(*vector));
        return;
    }
    jsonw_array(j);
    for (size_t i = 0; i < dim; i++)
        jsonw_float(j, vector[i]);
    jsonw_end(j);
}

void openai_embeddings_reply(struct buffer *out, const struct weir_output *output,
                             const char *model, bool is_base64)
{
    struct jsonw j;
    uint64_t tokens = 0;
    jsonw_init(&j, out);
    jsonw_object(&j);
    jsonw_key(&j, "object"), jsonw_text(&j, "list");
    jsonw_key(&j, "data");
    jsonw_array(&j);
    for (size_t row = 0; row < output->rows; row++) {
        tokens += output->tokens[row];
        jsonw_object(&j);
        jsonw_key(&j, "object"), jsonw_text(&j, "embedding");
        jsonw_key(&j, "index"), jsonw_u64(&j, row);
        jsonw_key(&j, "embedding");
        write_vector(&j, output->vectors + row * output->dim, output->dim, is_base64);
        jsonw_end(&j);
    }
    jsonw_end(&j);
    jsonw_key(&j, "model"), jsonw_text(&j, model);
    jsonw_key(&j, "usage");
    jsonw_object(&j);
    jsonw_key(&j, "prompt_tokens"), jsonw_u64(&j, tokens);
    jsonw_key(&j, "total_tokens"), jsonw_u64(&j, tokens);
    jsonw_end(&j);
    if (output->truncated_count > 0) {
        jsonw_key(&j, "truncated");
        jsonw_array(&j);
        for (size_t i = 0; i < output->truncated_count; i++)
            jsonw_u64(&j, output->truncated[i]);
        jsonw_end(&j);
    }
    jsonw_end(&j);
}

/* The vectors are borrowed for the call, so the answer is written now and sent at the end. */
static void on_output(struct exchange *x, const struct weir_output *output)
{
    struct embeddings *e = x->state;
    openai_embeddings_reply(&e->reply, output, e->model, e->is_base64);
}

static void on_ended(struct exchange *x, const struct weir_end *end)
{
    struct embeddings *e = x->state;
    (void)end;
    exchange_reply_json(x, 200, &e->reply);
}

static void on_over(struct exchange *x)
{
    struct embeddings *e = x->state;
    buffer_finish(&e->reply);
}

static const struct exchange_calls calls = { .output = on_output, .ended = on_ended };

static bool read_encoding(struct json_fields *f)
{
    struct str encoding = json_fields_text(f, "encoding_format", STR("float"));
    bool is_base64 = str_eq(encoding, STR("base64"));
    if (!is_base64 && !str_eq(encoding, STR("float")))
        json_fields_fail(f, "encoding_format",
                         "'encoding_format' must be 'float' or 'base64', not '%.*s'",
                         (int)(encoding.len < 40 ? encoding.len : 40), encoding.data);
    return is_base64;
}

static void on_json(struct exchange *x)
{
    struct json_fields f = json_fields_of(x->json);
    const struct inputs_rules rules = { .name = "input",
                                        .count_max = x->server->limits.inputs,
                                        .takes_ids = true };
    struct weir_embed embed = { .size = sizeof(embed) };
    struct embeddings *e = arena_try(&x->arena, 1, sizeof(*e));
    CHECK(e != NULL);
    const char *model = json_fields_model(&f);
    e->model = model ? arena_str(&x->arena, str_of(model)).data : NULL;
    CHECK(model == NULL || e->model != NULL); /* the inputs, which may fill the arena, come later */
    embed.inputs = inputs_read(&f, &rules, &x->arena, &embed.count);
    embed.truncate = json_fields_bool(&f, "truncate", false);
    embed.dimensions = (uint32_t)json_fields_integer(&f, "dimensions", 1, UINT32_MAX, 0);
    json_fields_text(&f, "user", STR("")); /* of the right type, and of no meaning here */
    e->is_base64 = read_encoding(&f);
    struct weir_request request = {
        .capability = WEIR_TEXT_EMBEDDING, .operation = WEIR_EMBED, .model = model, .input = &embed
    };
    request_fields_read(x, &f, &request);
    if (!json_fields_ok(&f)) {
        exchange_fail(x, &f.problem, f.param);
        return;
    }
    buffer_init(&e->reply, REPLY_BYTES_MAX);
    x->state = e;
    x->over = on_over;
    exchange_submit(x, &request, &calls);
}

void openai_embeddings_begin(struct exchange *x)
{
    json_body_read(x, on_json);
}
