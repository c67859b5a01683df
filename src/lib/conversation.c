#include "lib/conversation.h"

#include "base/error.h"
#include "lib/input.h"
#include "wire/vision.h"

_Static_assert((int)WEIR_FINISH_STOP == (int)WIRE_FINISH_STOP &&
                   (int)WEIR_FINISH_LENGTH == (int)WIRE_FINISH_LENGTH,
               "why a text ended is one number all the way");

static enum weir_code take_sampling(const struct weir_generate *g, struct generate_request *out,
                                    struct weir_error *err)
{
    if (input_check_range("temperature", (double)g->temperature, WIRE_TEMPERATURE_MAX, err) !=
            WEIR_OK ||
        input_check_range("top_p", (double)g->top_p, WIRE_TOP_P_MAX, err) != WEIR_OK)
        return WEIR_INVALID;
    out->tokens_max = g->tokens_max;
    out->temperature = g->temperature;
    out->top_p = g->top_p;
    out->top_k = g->top_k;
    out->seeded = g->seeded;
    out->seed = g->seed;
    return WEIR_OK;
}

static enum weir_code take_stops(const struct weir_generate *g, struct arena *arena,
                                 struct generate_request *out, struct weir_error *err)
{
    if (input_check_count("stop texts", g->stop_count, WIRE_STOPS_MAX, err) != WEIR_OK)
        return WEIR_INVALID;
    struct str *stops = arena_try(arena, WIRE_STOPS_MAX, sizeof *stops);
    if (stops == NULL)
        return input_no_memory(g->stop_count, "stop texts", err);
    for (size_t i = 0; i < g->stop_count; i++) {
        if (g->stop == NULL || g->stop[i] == NULL)
            return weir_fail(err, WEIR_INVALID, "stop text %zu is missing", i);
        stops[i] = str_of(g->stop[i]);
        if (stops[i].len == 0 || stops[i].len > WIRE_STOP_BYTES_MAX)
            return weir_fail(err, WEIR_INVALID,
                             "stop text %zu is %zu bytes long, it may be 1 to %d", i, stops[i].len,
                             WIRE_STOP_BYTES_MAX);
        if (str_utf8_valid(stops[i]) < stops[i].len)
            return weir_fail(err, WEIR_INVALID, "stop text %zu is not UTF-8 at byte %zu", i,
                             str_utf8_valid(stops[i]));
    }
    out->stop = stops;
    out->stop_count = g->stop_count;
    return WEIR_OK;
}

static enum weir_code take_message(const struct weir_message *m, unsigned kinds,
                                   struct arena *arena, struct wire_message *out,
                                   struct weir_error *err)
{
    enum wire_role role;
    if (m->size != sizeof *m)
        return weir_fail(err, WEIR_INVALID, "it is not a struct weir_message");
    if (!wire_role_parse(str_of(m->role), &role))
        return weir_fail(err, WEIR_INVALID,
                         "the role is '%.40s', it may be system, user, assistant or tool",
                         m->role != NULL ? m->role : "");
    const enum weir_code code = input_take_list(m->parts, m->count, kinds, arena, &out->parts, err);
    out->role = (uint8_t)role;
    out->count = m->count;
    return code;
}

static enum weir_code take_messages(const struct weir_generate *g, unsigned kinds,
                                    struct arena *arena, struct generate_request *out,
                                    struct weir_error *err)
{
    const size_t count = g->messages_count;
    if (input_check_count("messages", count, WIRE_MESSAGES_MAX, err) != WEIR_OK)
        return WEIR_INVALID;
    if (g->messages == NULL)
        return weir_fail(err, WEIR_INVALID, "%zu messages, but no pointer to them", count);
    struct wire_message *messages = arena_try(arena, count, sizeof *messages);
    if (messages == NULL)
        return input_no_memory(count, "messages", err);
    for (size_t i = 0; i < count; i++) {
        if (take_message(&g->messages[i], kinds, arena, &messages[i], err) == WEIR_OK)
            continue;
        if (err != NULL)
            err->index = (int32_t)i;
        return weir_wrap(err, "message %zu", i);
    }
    out->messages = messages;
    out->messages_count = count;
    return input_check_count("images", describe_request_images(out), WIRE_IMAGES_MAX, err);
}

enum weir_code conversation_write(const struct weir_generate *g, unsigned kinds,
                                  struct arena *arena, struct buffer *out, struct weir_error *err)
{
    struct generate_request w = { 0 };
    enum weir_code code = take_sampling(g, &w, err);
    if (code == WEIR_OK)
        code = take_stops(g, arena, &w, err);
    if (code == WEIR_OK && g->messages_count > 0)
        code = take_messages(g, kinds, arena, &w, err);
    else if (code == WEIR_OK)
        code = input_take(&g->prompt, 0, WIRE_TEXTS, &w.prompt, err);
    if (code == WEIR_OK)
        generate_request_write(out, &w);
    return code;
}
