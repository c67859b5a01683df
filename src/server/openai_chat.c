/* openai_chat.c — POST /v1/chat/completions, plain and streamed. */
#include "base/check.h"
#include "base/clock.h"
#include "base/size.h"
#include "server/chat_reply.h"
#include "server/chat_request.h"
#include "server/exchange.h"
#include "server/json_body.h"
#include "server/models.h"
#include "server/request_fields.h"
#include "server/routes.h"
#include "server/server_state.h"
#include "server/sse.h"

#define TEXT_BYTES_MAX  ((size_t)(64 * MiB))
#define REPLY_BYTES_MAX (8 * TEXT_BYTES_MAX) /* a control character becomes six */

struct chat {
    struct chat_request chat;
    struct weir_request request;
    struct chat_reply reply;
    struct buffer text; /* of a plain answer */
};

/* --- a plain answer --------------------------------------------------------------------------- */

static void on_output(struct exchange *x, const struct weir_output *output)
{
    struct chat *c = x->state;
    buffer_append(&c->text, output->text, output->bytes);
}

static void on_ended(struct exchange *x, const struct weir_end *end)
{
    struct chat *c = x->state;
    struct buffer body;
    buffer_init(&body, REPLY_BYTES_MAX);
    body.failed = c->text.failed;
    chat_reply_whole(&body, &c->reply, buffer_view(&c->text), end);
    exchange_reply_json(x, 200, &body);
}

static const struct exchange_calls plain_calls = { .output = on_output, .ended = on_ended };

/* --- a stream --------------------------------------------------------------------------------- */

/* The head waits for the first output: what fails before has an honest status. */
static bool begin_stream(struct exchange *x)
{
    struct chat *c = x->state;
    if (x->is_streaming)
        return true;
    chat_reply_prepare(&c->reply);
    sse_begin(x);
    chat_reply_role(sse_open(x, NULL), &c->reply);
    return sse_send(x);
}

static void on_piece(struct exchange *x, const struct weir_output *output)
{
    struct chat *c = x->state;
    if (!begin_stream(x) || output->bytes == 0)
        return;
    chat_reply_text(sse_open(x, NULL), &c->reply, (struct str){ output->text, output->bytes });
    sse_send(x);
}

static void on_stream_ended(struct exchange *x, const struct weir_end *end)
{
    struct chat *c = x->state;
    if (!begin_stream(x))
        return;
    chat_reply_finish(sse_open(x, NULL), &c->reply, end->finish);
    if (!sse_send(x))
        return;
    if (c->chat.wants_usage) {
        chat_reply_usage(sse_open(x, NULL), &c->reply, end);
        if (!sse_send(x))
            return;
    }
    if (exchange_stream_write(x, STR("data: [DONE]\n\n")))
        exchange_stream_end(x);
}

static const struct exchange_calls stream_calls = { .output = on_piece, .ended = on_stream_ended };

/* --- the request ------------------------------------------------------------------------------ */

static void on_over(struct exchange *x)
{
    struct chat *c = x->state;
    images_cancel(&c->chat.images);
    chat_reply_unprepare(&c->reply);
    buffer_finish(&c->text);
}

/* What is asked of the model. One that is not inspected yet, unknown, or of other capabilities is
 * left to the pool to judge. */
static bool choose_operation(struct exchange *x, struct chat *c, struct weir_error *err)
{
    struct models models;
    struct model model;
    bool describes = c->chat.images.count > 0, is_refused = false;
    if (models_read(x->server->pool, c->request.model, &models, err) == WEIR_OK) {
        if (models_find(&models, c->request.model, &model)) {
            bool sees = models_can(&model, WEIR_VISION);
            bool reads = models_can(&model, WEIR_TEXT_TO_TEXT);
            is_refused = describes && reads && !sees;
            describes = describes || (sees && !reads);
        }
        models_finish(&models);
    }
    c->request.capability = describes ? WEIR_VISION : WEIR_TEXT_TO_TEXT;
    c->request.operation = describes ? WEIR_DESCRIBE : WEIR_GENERATE;
    if (is_refused)
        weir_fail(err, WEIR_INVALID, "the model '%.100s' takes no images", c->request.model);
    return !is_refused;
}

static void on_images(struct exchange *x)
{
    struct chat *c = x->state;
    struct weir_error err;
    if (images_late(&c->chat.images, &c->request, &err))
        exchange_fail(x, &err, NULL);
    else
        exchange_submit(x, &c->request, c->chat.streams ? &stream_calls : &plain_calls);
}

static void on_json(struct exchange *x)
{
    struct json_fields f = json_fields_of(x->json);
    struct weir_error err;
    struct chat *c = arena_try(&x->arena, 1, sizeof(*c));
    CHECK(c != NULL);
    request_fields_read(x, &f, &c->request);
    struct str model = arena_str(&x->arena, str_of(c->request.model));
    chat_request_read(&c->chat, x, &f);
    buffer_init(&c->text, TEXT_BYTES_MAX);
    x->state = c;
    x->over = on_over;
    x->input_param = "messages";
    if (!json_fields_ok(&f)) {
        exchange_fail(x, &f.problem, f.param);
        return;
    }
    if (!choose_operation(x, c, &err)) {
        exchange_fail(x, &err, "messages");
        return;
    }
    c->request.affinity = c->chat.affinity;
    c->request.input = &c->chat.generate;
    c->request.flags = c->chat.streams ? WEIR_FLAG_OWN_CREDIT : 0;
    c->reply = (struct chat_reply){ .id = x->id,
                                    .model = model.data,
                                    .created_s = clock_wall_ms() / 1000,
                                    .wants_usage = c->chat.wants_usage };
    images_load(&c->chat.images, on_images);
}

void openai_chat_begin(struct exchange *x)
{
    json_body_read(x, on_json);
}
