#include "server/chat_reply.h"

#include "base/jsonw.h"

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

/* `key` and `text` are the delta; `finish` is NULL in all chunks but one. */
static void write_chunk(struct buffer *out, const struct chat_reply *r, const char *key,
                        struct str text, const char *finish)
{
    struct jsonw j;
    begin(&j, out, r, "chat.completion.chunk");
    jsonw_object(&j);
    jsonw_key(&j, "index"), jsonw_u64(&j, 0);
    jsonw_key(&j, "delta");
    jsonw_object(&j);
    if (key)
        jsonw_key(&j, key), jsonw_str(&j, text);
    if (key && key[0] == 'r') /* the role comes with an empty beginning of the text */
        jsonw_key(&j, "content"), jsonw_text(&j, "");
    jsonw_end(&j);
    jsonw_key(&j, "logprobs"), jsonw_null(&j);
    jsonw_key(&j, "finish_reason"), jsonw_text(&j, finish);
    jsonw_end(&j);
    jsonw_end(&j);
    if (r->wants_usage)
        jsonw_key(&j, "usage"), jsonw_null(&j);
    jsonw_end(&j);
}

void chat_reply_role(struct buffer *out, const struct chat_reply *r)
{
    write_chunk(out, r, "role", STR("assistant"), NULL);
}

void chat_reply_text(struct buffer *out, const struct chat_reply *r, struct str text)
{
    write_chunk(out, r, "content", text, NULL);
}

void chat_reply_finish(struct buffer *out, const struct chat_reply *r, enum weir_finish finish)
{
    write_chunk(out, r, NULL, STR(""), finish_name(finish));
}

void chat_reply_usage(struct buffer *out, const struct chat_reply *r, const struct weir_end *end)
{
    struct jsonw j;
    begin(&j, out, r, "chat.completion.chunk");
    jsonw_end(&j);
    write_usage(&j, end);
    jsonw_end(&j);
}
