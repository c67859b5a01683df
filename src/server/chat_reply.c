#include "server/chat_reply.h"

#include "base/jsonw.h"
#include "base/size.h"

#define COMMON_BYTES_MAX ((size_t)(64 * KiB)) /* the name of a model is most of it */

static void begin(struct jsonw *j, struct buffer *out, const struct chat_reply *r,
                  const char *object)
{
    char id[160];
    str_print(id, sizeof(id), "chatcmpl-%s", r->id);
    jsonw_init(j, out);
    jsonw_object(j);
    jsonw_key(j, "id"), jsonw_text(j, id);
    jsonw_key(j, "object"), jsonw_text(j, object);
    jsonw_key(j, "created"), jsonw_i64(j, r->created_s);
    jsonw_key(j, "model"), jsonw_text(j, r->model);
    jsonw_key(j, "choices");
    jsonw_array(j);
}

static void write_usage(struct jsonw *j, const struct weir_end *end)
{
    jsonw_key(j, "usage");
    jsonw_object(j);
    jsonw_key(j, "prompt_tokens"), jsonw_u64(j, end->input_tokens);
    jsonw_key(j, "completion_tokens"), jsonw_u64(j, end->output_tokens);
    jsonw_key(j, "total_tokens"), jsonw_u64(j, end->input_tokens + end->output_tokens);
    jsonw_end(j);
}

static const char *finish_name(enum weir_finish finish)
{
    return finish == WEIR_FINISH_LENGTH ? "length" : "stop";
}

void chat_reply_whole(struct buffer *out, const struct chat_reply *r, struct str text,
                      const struct weir_end *end)
{
    struct jsonw j;
    begin(&j, out, r, "chat.completion");
    jsonw_object(&j);
    jsonw_key(&j, "index"), jsonw_u64(&j, 0);
    jsonw_key(&j, "message");
    jsonw_object(&j);
    jsonw_key(&j, "role"), jsonw_text(&j, "assistant");
    jsonw_key(&j, "content"), jsonw_str(&j, text);
    jsonw_key(&j, "refusal"), jsonw_null(&j);
    jsonw_end(&j);
    jsonw_key(&j, "logprobs"), jsonw_null(&j);
    jsonw_key(&j, "finish_reason"), jsonw_text(&j, finish_name(end->finish));
    jsonw_end(&j);
    jsonw_end(&j);
    write_usage(&j, end);
    jsonw_end(&j);
}

/* A chunk up to the members of its delta. */
static void open_chunk(struct jsonw *j, struct buffer *out, const struct chat_reply *r)
{
    begin(j, out, r, "chat.completion.chunk");
    jsonw_object(j);
    jsonw_key(j, "index"), jsonw_u64(j, 0);
    jsonw_key(j, "delta");
    jsonw_object(j);
}

/* `finish` is NULL in all chunks but one. */
static void close_chunk(struct jsonw *j, const struct chat_reply *r, const char *finish)
{
    jsonw_end(j);
    jsonw_key(j, "logprobs"), jsonw_null(j);
    jsonw_key(j, "finish_reason"), jsonw_text(j, finish);
    jsonw_end(j);
    jsonw_end(j);
    if (r->wants_usage)
        jsonw_key(j, "usage"), jsonw_null(j);
    jsonw_end(j);
}

void chat_reply_role(struct buffer *out, const struct chat_reply *r)
{
    struct jsonw j;
    open_chunk(&j, out, r);
    jsonw_key(&j, "role"), jsonw_text(&j, "assistant");
    jsonw_key(&j, "content"), jsonw_text(&j, "");
    close_chunk(&j, r, NULL);
}

void chat_reply_prepare(struct chat_reply *r)
{
    struct jsonw j;
    buffer_init(&r->common, COMMON_BYTES_MAX);
    open_chunk(&j, &r->common, r);
    jsonw_key(&j, "content");
    r->front = r->common.len;
    jsonw_null(&j);
    r->common.len = r->front; /* a text will stand in its place */
    close_chunk(&j, r, NULL);
}

void chat_reply_unprepare(struct chat_reply *r)
{
    buffer_finish(&r->common);
}

void chat_reply_text(struct buffer *out, const struct chat_reply *r, struct str text)
{
    struct jsonw j;
    const struct str common = buffer_view(&r->common);
    out->failed = out->failed || r->common.failed;
    buffer_append(out, common.data, r->front);
    jsonw_init(&j, out);
    jsonw_str(&j, text);
    buffer_append(out, common.data + r->front, common.len - r->front);
}

void chat_reply_finish(struct buffer *out, const struct chat_reply *r, enum weir_finish finish)
{
    struct jsonw j;
    open_chunk(&j, out, r);
    close_chunk(&j, r, finish_name(finish));
}

void chat_reply_usage(struct buffer *out, const struct chat_reply *r, const struct weir_end *end)
{
    struct jsonw j;
    begin(&j, out, r, "chat.completion.chunk");
    jsonw_end(&j);
    write_usage(&j, end);
    jsonw_end(&j);
}
