#include "server/order.h"

#include "base/buffer.h"
#include "base/jsonw.h"
#include "server/json_read.h"

#include "weir/weir.h"

#define ORDER_BYTES_MAX (64 * 1024) /* a client chooses the name */

static void begin(struct buffer *text, struct jsonw *j, const char *op)
{
    buffer_init(text, ORDER_BYTES_MAX);
    jsonw_init(j, text);
    jsonw_object(j);
    jsonw_key(j, "op"), jsonw_text(j, op);
}

static enum weir_code send(struct weir *pool, struct buffer *text, struct jsonw *j,
                           struct str *answer, struct weir_error *err)
{
    enum weir_code code;
    size_t bytes = 0;
    jsonw_end(j);
    if (text->failed)
        code = weir_fail(err, WEIR_INVALID, "a name of more than %d bytes is no model's",
                         ORDER_BYTES_MAX);
    else
        code = weir_control(pool, (const char *)text->data, text->len, &answer->data, &bytes, err);
    answer->len = bytes;
    buffer_finish(text);
    return code;
}

enum weir_code order_plain(struct weir *pool, const char *op, struct str *answer,
                           struct weir_error *err)
{
    struct buffer text;
    struct jsonw j;
    begin(&text, &j, op);
    return send(pool, &text, &j, answer, err);
}

enum weir_code order_by_name(struct weir *pool, const char *op, const char *name,
                             struct str *answer, struct weir_error *err)
{
    struct buffer text;
    struct jsonw j;
    begin(&text, &j, op);
    jsonw_key(&j, "name"), jsonw_text(&j, name);
    return send(pool, &text, &j, answer, err);
}

enum weir_code order_by_id(struct weir *pool, const char *op, uint64_t id, struct str *answer,
                           struct weir_error *err)
{
    struct buffer text;
    struct jsonw j;
    begin(&text, &j, op);
    jsonw_key(&j, "id"), jsonw_u64(&j, id);
    return send(pool, &text, &j, answer, err);
}

enum weir_code order_able(struct weir *pool, enum weir_capability capability, struct str *answer,
                          struct weir_error *err)
{
    struct buffer text;
    struct jsonw j;
    begin(&text, &j, "able");
    jsonw_key(&j, "capability"), jsonw_text(&j, weir_capability_name(capability));
    return send(pool, &text, &j, answer, err);
}

int64_t order_number(const struct json_value *answer, const char *key)
{
    const struct json_value *v = json_read_field(answer, key);
    return json_read_kind(v) == JSON_IS_INTEGER ? json_read_integer(v) : 0;
}
