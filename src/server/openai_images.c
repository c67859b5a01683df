/* openai_images.c — POST /v1/images/generations, plain and streamed. */
#include "base/check.h"
#include "base/clock.h"
#include "base/jsonw.h"
#include "base/size.h"
#include "server/draw_request.h"
#include "server/exchange.h"
#include "server/json_body.h"
#include "server/request_fields.h"
#include "server/routes.h"
#include "server/server_state.h"
#include "server/sse.h"

/* Ten images of 2048 x 2048, which as files are at most some 12 MiB each, in base64. */
#define IMAGE_BYTES_MAX ((size_t)(64 * MiB))
#define REPLY_BYTES_MAX ((size_t)(256 * MiB))

struct drawing {
    struct buffer data;  /* plain: the elements of "data" so far */
    struct buffer image; /* streamed: the image whose event is not out yet */
    size_t images;
    uint32_t width, height; /* of the last image */
    int64_t created_s;
};

static void write_usage(struct jsonw *j, const struct weir_end *end)
{
    jsonw_key(j, "usage");
    jsonw_object(j);
    jsonw_key(j, "input_tokens"), jsonw_u64(j, end->input_tokens);
    jsonw_key(j, "output_tokens"), jsonw_u64(j, end->output_tokens);
    jsonw_key(j, "total_tokens"), jsonw_u64(j, end->input_tokens + end->output_tokens);
    jsonw_key(j, "input_tokens_details");
    jsonw_object(j);
    jsonw_key(j, "text_tokens"), jsonw_u64(j, end->input_tokens);
    jsonw_key(j, "image_tokens"), jsonw_u64(j, 0);
    jsonw_end(j);
    jsonw_end(j);
}

static void write_format(struct jsonw *j, const struct drawing *d)
{
    char size[32];
    str_print(size, sizeof(size), "%ux%u", (unsigned)d->width, (unsigned)d->height);
    jsonw_key(j, "size"), jsonw_text(j, size);
    jsonw_key(j, "output_format"), jsonw_text(j, "png");
}

/* --- a plain answer --------------------------------------------------------------------------- */

static void on_output(struct exchange *x, const struct weir_output *output)
{
    struct drawing *d = x->state;
    struct jsonw j;
    if (d->images++ > 0)
        buffer_text(&d->data, ",");
    jsonw_init(&j, &d->data);
    jsonw_object(&j);
    jsonw_key(&j, "b64_json"), jsonw_base64(&j, output->image, output->image_bytes);
    jsonw_end(&j);
    d->width = output->width;
    d->height = output->height;
}

static void on_ended(struct exchange *x, const struct weir_end *end)
{
    struct drawing *d = x->state;
    struct buffer body, data;
    struct jsonw j;
    buffer_init(&data, REPLY_BYTES_MAX);
    buffer_text(&data, "[");
    buffer_str(&data, buffer_view(&d->data));
    buffer_text(&data, "]");
    buffer_init(&body, REPLY_BYTES_MAX);
    body.failed = d->data.failed || data.failed;
    jsonw_init(&j, &body);
    jsonw_object(&j);
    jsonw_key(&j, "created"), jsonw_i64(&j, d->created_s);
    jsonw_key(&j, "data"), jsonw_raw(&j, buffer_view(&data));
    write_format(&j, d);
    write_usage(&j, end);
    jsonw_end(&j);
    buffer_finish(&data);
    exchange_reply_json(x, 200, &body);
}

static const struct exchange_calls plain_calls = { .output = on_output, .ended = on_ended };

/* --- a stream --------------------------------------------------------------------------------- */

/* The event of the image that is held; the last one, and only that, says the usage. */
static bool send_held(struct exchange *x, const struct weir_end *end)
{
    struct drawing *d = x->state;
    struct buffer *event = sse_open(x, "image_generation.completed");
    struct jsonw j;
    event->failed = event->failed || d->image.failed;
    jsonw_init(&j, event);
    jsonw_object(&j);
    jsonw_key(&j, "type"), jsonw_text(&j, "image_generation.completed");
    jsonw_key(&j, "index"), jsonw_u64(&j, d->images - 1);
    jsonw_key(&j, "b64_json"), jsonw_base64(&j, d->image.data, d->image.len);
    jsonw_key(&j, "created_at"), jsonw_i64(&j, d->created_s);
    write_format(&j, d);
    if (end)
        write_usage(&j, end);
    jsonw_end(&j);
    buffer_finish(&d->image);
    return sse_send(x);
}

static void on_image(struct exchange *x, const struct weir_output *output)
{
    struct drawing *d = x->state;
    if (!x->is_streaming)
        sse_begin(x);
    if (d->images > 0 && !send_held(x, NULL))
        return;
    d->images++;
    buffer_append(&d->image, output->image, output->image_bytes);
    d->width = output->width;
    d->height = output->height;
}

static void on_progress(struct exchange *x, uint32_t step, uint32_t steps)
{
    struct jsonw j;
    if (!x->is_streaming)
        sse_begin(x);
    jsonw_init(&j, sse_open(x, "image_generation.progress"));
    jsonw_object(&j);
    jsonw_key(&j, "type"), jsonw_text(&j, "image_generation.progress");
    jsonw_key(&j, "step"), jsonw_u64(&j, step);
    jsonw_key(&j, "steps"), jsonw_u64(&j, steps);
    jsonw_end(&j);
    sse_send(x);
}

static void on_stream_ended(struct exchange *x, const struct weir_end *end)
{
    struct drawing *d = x->state;
    if (!x->is_streaming)
        sse_begin(x);
    if (d->images == 0 || send_held(x, end))
        exchange_stream_end(x);
}

static const struct exchange_calls stream_calls = { .output = on_image,
                                                    .ended = on_stream_ended,
                                                    .progress = on_progress };

/* --- the request ------------------------------------------------------------------------------ */

static void on_over(struct exchange *x)
{
    struct drawing *d = x->state;
    buffer_finish(&d->data);
    buffer_finish(&d->image);
}

static void on_json(struct exchange *x)
{
    struct json_fields f = json_fields_of(x->json);
    struct weir_request request = { .capability = WEIR_TEXT_TO_IMAGE, .operation = WEIR_DRAW };
    struct drawing *d = arena_try(&x->arena, 1, sizeof(*d));
    CHECK(d != NULL);
    request_fields_read(x, &f, &request);
    const struct draw_request draw = draw_request_read(&f);
    if (!json_fields_ok(&f)) {
        exchange_fail(x, &f.problem, f.param);
        return;
    }
    buffer_init(&d->data, REPLY_BYTES_MAX);
    buffer_init(&d->image, IMAGE_BYTES_MAX);
    d->created_s = clock_wall_ms() / 1000;
    x->state = d;
    x->over = on_over;
    x->input_param = "prompt";
    request.input = &draw.draw;
    request.flags = draw.streams ? WEIR_FLAG_OWN_CREDIT : 0;
    exchange_submit(x, &request, draw.streams ? &stream_calls : &plain_calls);
}

void openai_images_begin(struct exchange *x)
{
    json_body_read(x, on_json);
}
