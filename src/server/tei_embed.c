/* tei_embed.c — POST /embed: inputs to vectors, bare. */
#include "base/check.h"
#include "base/clock.h"
#include "base/jsonw.h"
#include "base/size.h"
#include "server/embed_fields.h"
#include "server/exchange.h"
#include "server/inputs.h"
#include "server/json_body.h"
#include "server/json_fields.h"
#include "server/request_fields.h"
#include "server/routes.h"
#include "server/server_state.h"
#include "server/tei.h"

#include <stdio.h>

#define REPLY_BYTES_MAX ((size_t)(1024 * MiB))

struct tei_embed {
    struct weir_embed embed;
    struct weir_request request;
    uint64_t characters; /* of all texts */
    size_t truncated;    /* inputs that were cut */
    struct buffer reply;
};

/* --- the answer ------------------------------------------------------------------------------- */

static void on_output(struct exchange *x, const struct weir_output *output)
{
    struct tei_embed *e = x->state;
    struct jsonw j;
    e->truncated = output->truncated_count;
    jsonw_init(&j, &e->reply);
    jsonw_array(&j);
    for (size_t row = 0; row < output->rows; row++) {
        const float *vector = output->vectors + row * output->dim;
        jsonw_array(&j);
        for (size_t i = 0; i < output->dim; i++)
            jsonw_float(&j, vector[i]);
        jsonw_end(&j);
    }
    jsonw_end(&j);
}

static void add_number(struct exchange *x, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    exchange_field(x, name, str_of(text));
}

static uint64_t ms_or_0(int64_t ms)
{
    return ms > 0 ? (uint64_t)ms : 0;
}

/* A worker tokenizes and computes in turns, so that there is one time for both. */
static void add_fields(struct exchange *x, const struct tei_embed *e, const struct weir_end *end)
{
    const uint64_t working_ms = ms_or_0(end->total_ms - end->queued_ms);
    exchange_field(x, "x-compute-type", STR("cpu"));
    add_number(x, "x-compute-time", working_ms);
    add_number(x, "x-compute-characters", e->characters);
    add_number(x, "x-compute-tokens", end->input_tokens);
    add_number(x, "x-total-time", ms_or_0(clock_ms() - x->began_ms));
    add_number(x, "x-queue-time", ms_or_0(end->queued_ms));
    add_number(x, "x-inference-time", working_ms);
    if (e->truncated > 0)
        add_number(x, "x-weir-truncated", e->truncated);
}

static void on_ended(struct exchange *x, const struct weir_end *end)
{
    struct tei_embed *e = x->state;
    add_fields(x, e, end);
    exchange_reply_json(x, 200, &e->reply);
}

static void on_over(struct exchange *x)
{
    struct tei_embed *e = x->state;
    buffer_finish(&e->reply);
}

/* --- the request ------------------------------------------------------------------------------ */

static const char *read_model(struct exchange *x, struct json_fields *f)
{
    const char *name = NULL;
    struct weir_error err;
    if (json_fields_text(f, "model", (struct str){ NULL, 0 }).data)
        return json_fields_model(f);
    if (!json_fields_ok(f))
        return NULL;
    if (tei_model_find(x, &name, &err) == WEIR_OK)
        return name;
    f->problem = err;
    f->param = "model";
    return NULL;
}

static bool read_front(struct json_fields *f)
{
    struct str direction = json_fields_text(f, "truncation_direction", STR("Right"));
    bool is_left = str_eq_ignore_case(direction, STR("left"));
    if (!is_left && !str_eq_ignore_case(direction, STR("right")))
        json_fields_fail(f, "truncation_direction",
                         "'truncation_direction' must be 'Left' or 'Right', not '%.*s'",
                         (int)(direction.len < 40 ? direction.len : 40), direction.data);
    return is_left;
}

static uint64_t count_characters(const struct weir_embed *embed)
{
    uint64_t count = 0;
    for (size_t i = 0; i < embed->count; i++) {
        const struct weir_input *input = &embed->inputs[i];
        const unsigned char *bytes = input->data;
        for (size_t at = 0; input->kind == WEIR_INPUT_TEXT && at < input->bytes; at++)
            count += (bytes[at] & 0xc0) != 0x80; /* not the middle of one */
    }
    return count;
}

static void on_json(struct exchange *x)
{
    static const struct exchange_calls calls = { .output = on_output, .ended = on_ended };
    struct json_fields f = json_fields_of(x->json);
    const struct inputs_rules rules = { .name = "inputs",
                                        .count_max = x->server->limits.inputs,
                                        .takes_ids = true,
                                        .takes_mixed = true };
    struct tei_embed *e = arena_try(&x->arena, 1, sizeof(*e));
    CHECK(e != NULL);
    *e = (struct tei_embed){
        .embed = {.size = sizeof(e->embed)},
        .request = { .capability = WEIR_TEXT_EMBEDDING,
                  .operation = WEIR_EMBED,
                  .input = &e->embed }
    };
    buffer_init(&e->reply, REPLY_BYTES_MAX);
    x->state = e;
    x->over = on_over;
    x->input_param = "inputs";
    request_fields_handling(x, &f, &e->request);
    embed_fields_read(&f, &x->arena, &e->embed);
    e->embed.truncate_front = read_front(&f);
    e->embed.normalize =
        json_fields_bool(&f, "normalize", true) ? WEIR_NORMALIZE_YES : WEIR_NORMALIZE_NO;
    e->request.model = read_model(x, &f);
    e->embed.inputs = inputs_read(&f, &rules, &x->arena, &e->embed.count);
    if (!json_fields_ok(&f)) {
        exchange_fail(x, &f.problem, f.param);
        return;
    }
    e->characters = count_characters(&e->embed);
    exchange_submit(x, &e->request, &calls);
}

void tei_embed_begin(struct exchange *x)
{
    json_body_read(x, on_json);
}
