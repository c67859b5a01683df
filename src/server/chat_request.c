#include "server/chat_request.h"

#include "base/check.h"
#include "server/exchange.h"

#include <stdio.h>
#include <string.h>

#define PARAM "messages"

struct reading {
    struct chat_request *out;
    struct exchange *exchange;
    struct json_fields *fields;
    size_t message; /* the index of the one that is being read */
};

/* --- messages --------------------------------------------------------------------------------- */

static const char *role_of(struct reading *r, const struct json_value *message)
{
    static const char *const roles[][2] = {
        {"system",     "system"   },
        { "developer", "system"   },
        { "user",      "user"     },
        { "assistant", "assistant"},
        { "tool",      "tool"     },
    };
    const struct json_value *v = json_read_field(message, "role");
    struct str role = json_read_kind(v) == JSON_IS_TEXT ? json_read_text(v) : STR("");
    for (size_t i = 0; i < ARRAY_COUNT(roles); i++)
        if (str_eq(role, str_of(roles[i][0])))
            return roles[i][1];
    json_fields_fail(r->fields, PARAM,
                     "'messages[%zu].role' must be system, developer, user, assistant or tool",
                     r->message);
    return NULL;
}

static struct weir_input text_input(struct str text)
{
    return (struct weir_input){ .size = sizeof(struct weir_input),
                                .data = text.data,
                                .bytes = text.len };
}

/* {"type":"text","text"}, {"type":"image_url","image_url"}, {"type":"image","image"} or "path". */
static bool read_part(struct reading *r, const struct json_value *part, size_t index,
                      struct weir_input *out)
{
    const struct json_value *type_value = json_read_field(part, "type");
    struct str type =
        json_read_kind(type_value) == JSON_IS_TEXT ? json_read_text(type_value) : STR("");
    const struct json_value *text = json_read_field(part, "text");
    const struct json_value *image = NULL;
    char where[96];
    snprintf(where, sizeof(where), "'messages[%zu].content[%zu]'", r->message, index);
    if (str_eq(type, STR("text")) && json_read_kind(text) == JSON_IS_TEXT) {
        *out = text_input(json_read_text(text));
        return true;
    }
    if (str_eq(type, STR("image_url")))
        image = json_read_field(part, "image_url");
    else if (str_eq(type, STR("image")))
        image = json_read_field(part, "image") ? json_read_field(part, "image") : part;
    if (image)
        return images_add(&r->out->images, r->fields, image, where, out);
    json_fields_fail(r->fields, PARAM,
                     "%s must be {\"type\":\"text\",\"text\"} or "
                     "{\"type\":\"image_url\",\"image_url\"}",
                     where);
    return false;
}

/* A text is one part; null, which assistants may have said, is none. */
static bool read_content(struct reading *r, const struct json_value *content,
                         struct weir_message *out)
{
    enum json_kind kind = json_read_kind(content);
    size_t count = kind == JSON_IS_ARRAY ? json_read_count(content) : kind == JSON_IS_TEXT ? 1 : 0;
    if (kind != JSON_IS_TEXT && count == 0 &&
        (kind != JSON_IS_NULL || strcmp(out->role, "assistant") != 0)) {
        json_fields_fail(r->fields, PARAM,
                         "'messages[%zu].content' must be a string or an array of parts",
                         r->message);
        return false;
    }
    struct weir_input *parts = arena_try(&r->exchange->arena, count + 1, sizeof(*parts));
    if (parts == NULL) {
        json_fields_fail(r->fields, PARAM, "'messages[%zu]' has %zu parts, too many for memory",
                         r->message, count);
        return false;
    }
    out->parts = parts;
    out->count = count;
    if (kind == JSON_IS_TEXT)
        parts[0] = text_input(json_read_text(content));
    for (size_t i = 0; kind == JSON_IS_ARRAY && i < count; i++)
        if (!read_part(r, json_read_item(content, i), i, &parts[i]))
            return false;
    return true;
}

static bool read_message(struct reading *r, const struct json_value *v, struct weir_message *out)
{
    const char *role = role_of(r, v);
    const struct json_value *calls = json_read_field(v, "tool_calls");
    if (role == NULL)
        return false;
    if (json_read_kind(calls) == JSON_IS_ARRAY && json_read_count(calls) > 0) {
        json_fields_fail(r->fields, PARAM, "'messages[%zu].tool_calls' is not supported",
                         r->message);
        return false;
    }
    *out = (struct weir_message){ .size = sizeof(*out), .role = role };
    return read_content(r, json_read_field(v, "content"), out);
}

static void read_messages(struct reading *r)
{
    const struct json_value *list =
        json_fields_ok(r->fields) ? json_read_field(r->fields->object, PARAM) : NULL;
    if (json_read_kind(list) != JSON_IS_ARRAY || json_read_count(list) == 0) {
        json_fields_fail(r->fields, PARAM, "'messages' must be an array of at least one message");
        return;
    }
    size_t count = json_read_count(list);
    struct weir_message *messages = arena_try(&r->exchange->arena, count, sizeof(*messages));
    if (messages == NULL) {
        json_fields_fail(r->fields, PARAM, "'messages' has %zu elements, too many for memory",
                         count);
        return;
    }
    for (r->message = 0; r->message < count; r->message++)
        if (!read_message(r, json_read_item(list, r->message), &messages[r->message]))
            return;
    r->out->generate.messages = messages;
    r->out->generate.messages_count = count;
}

/* What stays the same from turn to turn of one conversation. */
static uint64_t hash_beginning(const struct weir_generate *g, struct str model)
{
    uint64_t hash = str_hash(model);
    for (size_t i = 0; i < g->messages_count; i++) {
        const struct weir_message *m = &g->messages[i];
        for (size_t k = 0; k < m->count; k++)
            if (m->parts[k].kind == WEIR_INPUT_TEXT)
                hash = hash * 0x9e3779b97f4a7c15u +
                       str_hash((struct str){ m->parts[k].data, m->parts[k].bytes });
        if (strcmp(m->role, "user") == 0)
            break;
    }
    return hash != 0 ? hash : 1;
}

/* --- the rest --------------------------------------------------------------------------------- */

static void read_stops(struct chat_request *out, struct exchange *x, struct json_fields *f)
{
    const struct json_value *v = json_fields_ok(f) ? json_read_field(f->object, "stop") : NULL;
    enum json_kind kind = json_read_kind(v);
    size_t count = kind == JSON_IS_ARRAY ? json_read_count(v) : kind == JSON_IS_TEXT ? 1 : 0;
    if (v == NULL)
        return;
    if ((kind != JSON_IS_ARRAY && kind != JSON_IS_TEXT) || count > CHAT_STOPS_MAX) {
        json_fields_fail(f, "stop", "'stop' must be a string or an array of at most %d",
                         CHAT_STOPS_MAX);
        return;
    }
    const char **stops = arena_try(&x->arena, CHAT_STOPS_MAX, sizeof(*stops));
    CHECK(stops != NULL); /* what may fill the arena comes later */
    for (size_t i = 0; i < count; i++) {
        const struct json_value *one = kind == JSON_IS_ARRAY ? json_read_item(v, i) : v;
        struct str text = json_read_kind(one) == JSON_IS_TEXT ? json_read_text(one) : STR("");
        if (text.len == 0 || strlen(text.data) != text.len) {
            json_fields_fail(f, "stop", "'stop' has what is no text, or an empty one, at %zu", i);
            return;
        }
        stops[i] = text.data;
    }
    out->generate.stop = stops;
    out->generate.stop_count = count;
}

static void read_sampling(struct weir_generate *g, struct json_fields *f)
{
    bool has_top_p = json_read_field(f->object, "top_p") != NULL;
    int64_t tokens_max = json_fields_integer(f, "max_tokens", 1, UINT32_MAX, 0);
    tokens_max = json_fields_integer(f, "max_completion_tokens", 1, UINT32_MAX, tokens_max);
    g->tokens_max = (uint32_t)tokens_max;
    g->temperature = (float)json_fields_number(f, "temperature", 0, 2, 1);
    g->top_p = (float)json_fields_number(f, "top_p", 0, 1, 1);
    if (has_top_p && g->top_p <= 0) /* to the pool 0 means all tokens; here it means the first */
        g->top_p = 1e-6f;
    g->top_k = (uint32_t)json_fields_integer(f, "top_k", 0, UINT32_MAX, 0);
    g->seeded = json_read_field(f->object, "seed") != NULL;
    g->seed = (uint64_t)json_fields_integer(f, "seed", INT64_MIN, INT64_MAX, 0);
}

static void read_stream(struct chat_request *out, struct json_fields *f)
{
    const struct json_value *v =
        json_fields_ok(f) ? json_read_field(f->object, "stream_options") : NULL;
    out->streams = json_fields_bool(f, "stream", false);
    if (v == NULL)
        return;
    const struct json_value *usage = json_read_field(v, "include_usage");
    enum json_kind kind = json_read_kind(usage);
    if (json_read_kind(v) != JSON_IS_OBJECT || (usage && kind != JSON_IS_BOOL))
        json_fields_fail(f, "stream_options", "'stream_options' must be {\"include_usage\":bool}");
    else
        out->wants_usage = usage && json_read_bool(usage);
}

/* Taking these and answering as if they were absent would be a wrong answer. */
static void refuse_others(struct json_fields *f)
{
    static const char *const lists[] = { "tools", "functions" };
    const struct json_value *format = json_read_field(f->object, "response_format");
    const struct json_value *type = json_read_field(format, "type");
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        const struct json_value *v = json_read_field(f->object, lists[i]);
        if (v && (json_read_kind(v) != JSON_IS_ARRAY || json_read_count(v) > 0))
            json_fields_fail(f, lists[i], "'%s' is not supported", lists[i]);
    }
    if (format &&
        (json_read_kind(type) != JSON_IS_TEXT || !str_eq(json_read_text(type), STR("text"))))
        json_fields_fail(f, "response_format", "'response_format' can only be of type 'text'");
    if (json_fields_bool(f, "logprobs", false))
        json_fields_fail(f, "logprobs", "'logprobs' is not supported");
    if (json_fields_integer(f, "n", 1, 128, 1) > 1)
        json_fields_fail(f, "n", "'n' can only be 1");
}

void chat_request_read(struct chat_request *out, struct exchange *x, struct json_fields *f)
{
    struct reading r = { .out = out, .exchange = x, .fields = f };
    *out = (struct chat_request){ .generate = { .size = sizeof(out->generate) } };
    images_init(&out->images, x, PARAM);
    struct str model = json_fields_text(f, "model", STR(""));
    if (json_fields_ok(f)) /* only then it is an object */
        refuse_others(f);
    if (json_fields_ok(f))
        read_sampling(&out->generate, f);
    read_stream(out, f);
    read_stops(out, x, f);
    read_messages(&r);
    out->affinity = hash_beginning(&out->generate, model);
}
