#include "server/openai_embeddings.h"

#include "base/check.h"
#include "base/jsonw.h"
#include "base/size.h"
#include "server/embed_fields.h"
#include "server/exchange.h"
#include "server/images.h"
#include "server/inputs.h"
#include "server/json_body.h"
#include "server/json_fields.h"
#include "server/request_fields.h"
#include "server/routes.h"
#include "server/server_state.h"

#include <stdio.h>
#include <string.h>

/* 2048 vectors of 4096 numbers in decimal are about 100 MiB. */
#define REPLY_BYTES_MAX ((size_t)(1024 * MiB))

/* What stands around the vectors, and around one of them; about. */
#define REPLY_BYTES_AROUND ((size_t)256)
#define ROW_BYTES_AROUND   ((size_t)64)

struct embeddings {
    const char *model;
    bool is_base64;
    struct buffer reply;
    struct weir_embed embed;
    struct weir_request request;
    struct images images; /* none for an embedding of texts */
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
    if (is_base64) /* its room at once, instead of ever larger ones */
        buffer_reserve(out, REPLY_BYTES_AROUND +
                                output->rows * (ROW_BYTES_AROUND + output->dim * 16 / 3));
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
    images_cancel(&e->images);
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

/* Images are objects, and in a request that says so also texts. */
static bool holds_images(struct json_fields *f)
{
    struct str modality = json_fields_text(f, "modality", STR("text"));
    const struct json_value *v = json_fields_ok(f) ? json_read_field(f->object, "input") : NULL;
    if (json_read_kind(v) == JSON_IS_ARRAY && json_read_count(v) > 0)
        v = json_read_item(v, 0);
    if (!str_eq(modality, STR("image")) && !str_eq(modality, STR("text")))
        json_fields_fail(f, "modality", "'modality' must be 'text' or 'image', not '%.*s'",
                         (int)(modality.len < 40 ? modality.len : 40), modality.data);
    return json_fields_ok(f) &&
           (json_read_kind(v) == JSON_IS_OBJECT || (v && str_eq(modality, STR("image"))));
}

/* {"image"}, {"type":"image_url","image_url"}, {"path"}, or what images.h takes for an image. */
static const struct weir_input *read_images(struct exchange *x, struct json_fields *f,
                                            size_t *count)
{
    struct embeddings *e = x->state;
    const struct json_value *list = json_read_field(f->object, "input");
    bool is_array = json_read_kind(list) == JSON_IS_ARRAY;
    *count = is_array ? json_read_count(list) : 1;
    int64_t limit = x->server->limits.images;
    if (*count == 0 || *count > (size_t)limit) {
        json_fields_fail(f, "input", "'input' has %zu images, the limit images is %lld", *count,
                         (long long)limit);
        return NULL;
    }
    struct weir_input *inputs = arena_try(&x->arena, *count, sizeof(*inputs));
    if (inputs == NULL)
        json_fields_fail(f, "input", "there is no memory for %zu images", *count);
    for (size_t i = 0; i < *count && json_fields_ok(f); i++) {
        const struct json_value *item = is_array ? json_read_item(list, i) : list;
        const struct json_value *image = json_read_field(item, "image");
        char where[48];
        snprintf(where, sizeof(where), "'input[%zu]'", i);
        if (image == NULL)
            image = json_read_field(item, "image_url");
        if (!images_add(&e->images, f, image ? image : item, where, &inputs[i]))
            f->problem.index = (int32_t)i;
    }
    return inputs;
}

static void on_images(struct exchange *x)
{
    struct embeddings *e = x->state;
    struct weir_error err;
    if (images_late(&e->images, &e->request, &err))
        exchange_fail(x, &err, NULL);
    else
        exchange_submit(x, &e->request, &calls);
}

static void on_json(struct exchange *x)
{
    struct json_fields f = json_fields_of(x->json);
    const struct inputs_rules rules = { .name = "input",
                                        .count_max = x->server->limits.inputs,
                                        .takes_ids = true };
    struct embeddings *e = arena_try(&x->arena, 1, sizeof(*e));
    CHECK(e != NULL);
    *e = (struct embeddings){ .embed = { .size = sizeof(e->embed) } };
    buffer_init(&e->reply, REPLY_BYTES_MAX);
    images_init(&e->images, x, "input");
    x->state = e;
    x->over = on_over;
    request_fields_read(x, &f, &e->request);
    const char *model = e->request.model;
    e->model = model ? arena_str(&x->arena, str_of(model)).data : NULL;
    CHECK(model == NULL || e->model != NULL); /* the inputs, which may fill the arena, come later */
    bool has_images = holds_images(&f);
    e->embed.inputs = has_images ? read_images(x, &f, &e->embed.count)
                                 : inputs_read(&f, &rules, &x->arena, &e->embed.count);
    embed_fields_read(&f, &x->arena, &e->embed);
    e->is_base64 = read_encoding(&f);
    e->request.capability = has_images ? WEIR_IMAGE_EMBEDDING : WEIR_TEXT_EMBEDDING;
    e->request.operation = WEIR_EMBED;
    e->request.input = &e->embed;
    if (json_fields_ok(&f))
        images_load(&e->images, on_images);
    else
        exchange_fail(x, &f.problem, f.param);
}

void openai_embeddings_begin(struct exchange *x)
{
    json_body_read(x, on_json);
}
