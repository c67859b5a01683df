#include "server/request_fields.h"

#include "base/check.h"
#include "base/size.h"
#include "server/exchange.h"

#include <string.h>

/* Beyond some time it is for ever in all but name. */
#define KEEP_ALIVE_S_MAX (10.0 * 365 * 24 * 3600)

static const struct {
    struct str name;
    enum weir_priority priority;
} words[] = {
#define WORD(text, value)                                                                          \
    {                                                                                              \
        { text, sizeof(text) - 1 }, value                                                          \
    }
    WORD("normal", WEIR_PRIORITY_NORMAL), WORD("critical", WEIR_PRIORITY_CRITICAL),
    WORD("high", WEIR_PRIORITY_HIGH),     WORD("low", WEIR_PRIORITY_LOW),
    WORD("batch", WEIR_PRIORITY_BATCH),
#undef WORD
};

enum weir_priority request_fields_priority(struct json_fields *f, struct str header)
{
    struct str text = json_fields_text(f, "priority", header);
    if (text.len == 0 && text.data == header.data)
        return WEIR_PRIORITY_NORMAL;
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (str_eq_ignore_case(text, words[i].name))
            return words[i].priority;
    const bool is_header = text.data == header.data;
    json_fields_fail(f, is_header ? "x-weir-priority" : "priority",
                     "%s must be critical, high, normal, low or batch, not '%.*s'",
                     is_header ? "the header x-weir-priority" : "'priority'",
                     (int)(text.len < 40 ? text.len : 40), text.data);
    return WEIR_PRIORITY_NORMAL;
}

static int64_t keep_alive_of_seconds(double seconds)
{
    if (seconds < 0 || seconds > KEEP_ALIVE_S_MAX)
        return WEIR_KEEP_ALIVE_FOREVER;
    if (seconds == 0)
        return WEIR_KEEP_ALIVE_NONE;
    int64_t ms = (int64_t)(seconds * 1000);
    return ms > 0 ? ms : 1; /* 0 would mean the model's own */
}

int64_t request_fields_keep_alive(struct json_fields *f)
{
    const struct json_value *v =
        json_fields_ok(f) ? json_read_field(f->object, "keep_alive") : NULL;
    enum json_kind kind = json_read_kind(v);
    double seconds;
    int64_t ms = 0;
    if (v == NULL)
        return 0;
    if (kind == JSON_IS_INTEGER || kind == JSON_IS_REAL)
        return keep_alive_of_seconds(json_read_number(v));
    if (kind != JSON_IS_TEXT) {
        json_fields_fail(f, "keep_alive", "'keep_alive' must be a duration or seconds, not %s",
                         json_read_kind_name(v));
        return 0;
    }
    struct str text = json_read_text(v);
    struct weir_error err;
    if (str_to_double(text, &seconds))
        return keep_alive_of_seconds(seconds);
    if (strlen(text.data) != text.len) {
        json_fields_fail(f, "keep_alive", "'keep_alive' has a NUL in it");
        return 0;
    }
    if (str_starts(text, STR("-")) && /* "-1m" is how some say for ever */
        size_parse_duration(text.data + 1, 1000, &ms, &err) == WEIR_OK)
        return WEIR_KEEP_ALIVE_FOREVER;
    if (size_parse_duration(text.data, 1000, &ms, &err) == WEIR_OK)
        return keep_alive_of_seconds((double)ms / 1000);
    json_fields_fail(f, "keep_alive", "'keep_alive': %.120s", err.text);
    return 0;
}

void request_fields_handling(const struct exchange *x, struct json_fields *f,
                             struct weir_request *request)
{
    request->deadline_ms = exchange_deadline(x, f);
    request->keep_alive_ms = request_fields_keep_alive(f);
    request->priority = request_fields_priority(f, exchange_header(x, STR("x-weir-priority")));
    json_fields_text(f, "user", STR("")); /* of the right type, and of no meaning here */
}

void request_fields_read(const struct exchange *x, struct json_fields *f,
                         struct weir_request *request)
{
    request->model = json_fields_model(f);
    request_fields_handling(x, f, request);
}
