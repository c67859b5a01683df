#include "wire/text_to_text.h"

#include "base/check.h"

#define MESSAGE_BYTES_LEAST 5 /* a role and the number of no parts */

static const char *const roles[] = {
#define X(NAME, name) [WIRE_ROLE_##NAME] = #name,
    WIRE_ROLES(X)
#undef X
};
_Static_assert(ARRAY_COUNT(roles) == WIRE_ROLE_COUNT, "one name a role");

const char *wire_role_name(unsigned role)
{
    return role < WIRE_ROLE_COUNT ? roles[role] : "unknown";
}

bool wire_role_parse(struct str name, enum wire_role *out)
{
    for (unsigned i = 0; i < WIRE_ROLE_COUNT; i++) {
        if (!str_eq(name, str_of(roles[i])))
            continue;
        *out = (enum wire_role)i;
        return true;
    }
    return false;
}

void generate_request_write(struct buffer *out, const struct generate_request *r)
{
    buffer_u32(out, r->tokens_max);
    buffer_f32(out, r->temperature);
    buffer_f32(out, r->top_p);
    buffer_u32(out, r->top_k);
    buffer_u8(out, r->seeded);
    buffer_u64(out, r->seed);
    buffer_u32(out, (uint32_t)r->stop_count);
    for (size_t i = 0; i < r->stop_count; i++)
        buffer_counted(out, r->stop[i]);
    buffer_u32(out, (uint32_t)r->messages_count);
    for (size_t i = 0; i < r->messages_count; i++) {
        buffer_u8(out, r->messages[i].role);
        inputs_write(out, r->messages[i].parts, r->messages[i].count);
    }
    if (r->messages_count == 0)
        inputs_write(out, &r->prompt, 1);
}

/* Written so that what is not a number is refused, too. */
static float read_share(struct reader *in, float most, const char *problem)
{
    const float v = reader_f32(in);
    if (!(v >= 0 && v <= most))
        reader_fail(in, problem);
    return v;
}

static void read_sampling(struct reader *in, struct generate_request *out)
{
    out->tokens_max = reader_u32(in);
    out->temperature = read_share(in, WIRE_TEMPERATURE_MAX, "temperature out of range");
    out->top_p = read_share(in, WIRE_TOP_P_MAX, "top_p out of range");
    out->top_k = reader_u32(in);
    const uint8_t seeded = reader_u8(in);
    if (seeded > 1)
        reader_fail(in, "seeded out of range");
    out->seeded = seeded == 1;
    out->seed = reader_u64(in);
}

static void read_stops(struct reader *in, struct arena *arena, struct generate_request *out)
{
    const size_t count = reader_u32(in);
    if (!reader_ok(in) || count == 0)
        return;
    struct str *stops = count <= WIRE_STOPS_MAX ? arena_try(arena, count, sizeof(*stops)) : NULL;
    if (stops == NULL) {
        reader_fail(in, "number of stop texts out of range");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        stops[i] = reader_str(in);
        if (reader_ok(in) && (stops[i].len == 0 || stops[i].len > WIRE_STOP_BYTES_MAX))
            reader_fail(in, "length of a stop text out of range");
    }
    out->stop = stops;
    out->stop_count = count;
}

static void read_messages(struct reader *in, struct arena *arena, unsigned kinds,
                          struct generate_request *out)
{
    const size_t count = reader_u32(in);
    if (!reader_ok(in) || count == 0)
        return;
    /* A count that the bytes cannot hold is refused before anything is allocated for it. */
    const bool fits = count <= WIRE_MESSAGES_MAX && reader_has(in, count * MESSAGE_BYTES_LEAST);
    struct wire_message *messages = fits ? arena_try(arena, count, sizeof(*messages)) : NULL;
    if (messages == NULL) {
        reader_fail(in, "number of messages out of range");
        return;
    }
    for (size_t i = 0; i < count && reader_ok(in); i++) {
        messages[i].role = reader_u8(in);
        if (messages[i].role >= WIRE_ROLE_COUNT)
            reader_fail(in, "role of a message out of range");
        messages[i].count = inputs_read(in, arena, kinds, WIRE_MESSAGES_MAX, &messages[i].parts);
    }
    out->messages = messages;
    out->messages_count = count;
}

bool generate_request_read_kinds(struct str payload, struct arena *arena, unsigned kinds,
                                 struct generate_request *out, struct weir_error *err)
{
    struct reader r = reader_of(payload.data, payload.len);
    struct generate_request read = { 0 };
    const struct wire_input *prompt = NULL;
    read_sampling(&r, &read);
    read_stops(&r, arena, &read);
    read_messages(&r, arena, kinds, &read);
    if (reader_ok(&r) && read.messages_count == 0) {
        if (inputs_read(&r, arena, WIRE_TEXTS, 1, &prompt) != 1)
            reader_fail(&r, "number of prompts is not one");
        else
            read.prompt = *prompt;
    }
    if (!reader_done(&r, err))
        return false;
    *out = read;
    return true;
}

bool generate_request_read(struct str payload, struct arena *arena, struct generate_request *out,
                           struct weir_error *err)
{
    return generate_request_read_kinds(payload, arena, 1u << WIRE_TEXT, out, err);
}
