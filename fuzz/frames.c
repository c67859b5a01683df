/* What the other end of a worker's channel may say: a stream of frames, parts of payloads that lie
 * in its region, and the payloads that they make. Each message that is taken is written again to
 * the same bytes; a part lies within its frame or its block; all parts together go to every reader
 * of payloads. */
#include "fuzz/fuzz.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"
#include "wire/control_page.h"
#include "wire/image_embedding.h"
#include "wire/message.h"
#include "wire/region.h"
#include "wire/text_embedding.h"
#include "wire/text_to_image.h"
#include "wire/text_to_text.h"
#include "wire/tokens.h"
#include "wire/vision.h"

#include <string.h>

enum { ARENA_BYTES = 1 << 20, PAYLOAD_BYTES = 1 << 20 };

static struct region ours, theirs; /* what they write and we read, and the other way round */
static _Atomic uint64_t returned[CONTROL_REGIONS];

/* ---- messages ---- */

/* The second reading of what the first was written as; both bodies are the same bytes. */
#define SAME(name)                                                                                 \
    static bool same_##name(const struct frame *f, struct buffer *again, struct weir_error *err)   \
    {                                                                                              \
        struct message_##name m;                                                                   \
        if (!message_##name##_read(f, &m, err))                                                    \
            return false;                                                                          \
        message_##name##_write(again, &m);                                                         \
        return true;                                                                               \
    }
SAME(hello)
SAME(load)
SAME(run)
SAME(output)
SAME(progress)
SAME(end)
SAME(credit)
SAME(inspect)
SAME(inspected)
SAME(prepare)
#undef SAME

static bool same_plan(const struct frame *f, struct buffer *again, struct weir_error *err)
{
    struct plan m;
    if (!message_plan_read(f, &m, err))
        return false;
    message_plan_write(again, &m);
    return true;
}

static bool same_failed(const struct frame *f, struct buffer *again, struct weir_error *err)
{
    struct weir_error m;
    if (!message_failed_read(f, &m, err))
        return false;
    CHECK(m.code != WEIR_OK && memchr(m.text, '\0', sizeof(m.text)) != NULL);
    message_failed_write(again, &m);
    return true;
}

static bool same_prepared(const struct frame *f, struct buffer *again, struct weir_error *err)
{
    struct weir_error m;
    if (!message_prepared_read(f, &m, err))
        return false;
    message_prepared_write(again, &m);
    return true;
}

static bool same_ping(const struct frame *f, struct buffer *again, struct weir_error *err)
{
    uint64_t sequence;
    if (!message_ping_read(f, &sequence, err))
        return false;
    message_ping_write(again, sequence);
    return true;
}

static bool (*const readers[FRAME_TYPES])(const struct frame *f, struct buffer *again,
                                          struct weir_error *err) = {
    [FRAME_HELLO] = same_hello,       [FRAME_PLAN] = same_plan,
    [FRAME_LOAD] = same_load,         [FRAME_FAILED] = same_failed,
    [FRAME_RUN] = same_run,           [FRAME_OUTPUT] = same_output,
    [FRAME_PROGRESS] = same_progress, [FRAME_END] = same_end,
    [FRAME_CREDIT] = same_credit,     [FRAME_PING] = same_ping,
    [FRAME_PONG] = same_ping,         [FRAME_INSPECT] = same_inspect,
    [FRAME_PREPARE] = same_prepare,   [FRAME_INSPECTED] = same_inspected,
    [FRAME_PREPARED] = same_prepared,
};

/* Texts of errors are read without their control characters (str_blank_controls); nothing else may
 * differ. */
static bool is_same(const struct frame *f, const uint8_t *again)
{
    for (size_t i = 0; i < f->length; i++) {
        const uint8_t was = f->body[i];
        const bool is_blanked = was < 0x20 || was == 0x7f || was == 0xc2 || (was & 0xe0) == 0x80;
        if (again[i] != was && (again[i] != ' ' || !is_blanked))
            return false;
    }
    return true;
}

static void check_message(const struct frame *f)
{
    struct buffer again;
    struct weir_error err;
    memset(&err, 0, sizeof(err));
    if (readers[f->type] == NULL)
        return;
    buffer_init(&again, FRAME_BODY_MAX);
    if (readers[f->type](f, &again, &err)) {
        CHECK(!again.failed && again.len == f->length);
        CHECK(again.len == 0 || is_same(f, again.data));
    } else {
        fuzz_check_error(&err, WEIR_INVALID, frame_name(f->type));
    }
    buffer_finish(&again);
}

/* ---- parts and the payloads that they make ---- */

static void take_part(const struct frame *f, struct buffer *payload)
{
    struct message_part part;
    struct weir_error err;
    memset(&err, 0, sizeof(err));
    if (!region_part_read(&theirs, f, &part, &err)) {
        fuzz_check_error(&err, WEIR_INVALID, "part");
        return;
    }
    const uint8_t *from = part.in_block ? theirs.memory : f->body;
    const size_t room = part.in_block ? REGION_BYTES : f->length;
    CHECK(part.bytes > 0 && part.bytes <= FRAME_PART_MAX);
    CHECK(part.data >= from && part.data + part.bytes <= from + room);
    buffer_append(payload, part.data, part.bytes);
    region_return(&theirs, &part);
}

/* What they returned of ours is what they say; a payload of ours still gets all of its parts. */
static void lend(uint64_t job)
{
    static const uint8_t data[3 * REGION_BLOCK_BYTES];
    struct buffer frames;
    buffer_init(&frames, 4 * FRAME_BODY_MAX);
    atomic_fetch_xor(&returned[CONTROL_REQUESTS], job);
    for (size_t at = 0; at < sizeof(data);) {
        const size_t part = region_write_part(&ours, &frames, job, data + at, sizeof(data) - at);
        CHECK(part > 0 && part <= sizeof(data) - at);
        at += part;
    }
    CHECK(!frames.failed && region_touched_bytes(&ours) <= REGION_BYTES);
    buffer_finish(&frames);
}

static void read_replies(struct str payload, struct arena *arena)
{
    struct text_embedding_reply vectors;
    struct tokens_reply tokens;
    struct draw_reply picture;
    if (text_embedding_reply_read(payload, arena, &vectors, NULL)) {
        CHECK((uint64_t)vectors.rows * vectors.dim * sizeof(float) <= payload.len);
        for (uint32_t i = 0; i < vectors.truncated_count; i++)
            CHECK(vectors.truncated[i] < vectors.rows);
    }
    if (tokens_reply_read(payload, arena, &tokens, NULL))
        CHECK(tokens.starts[0] == 0 && tokens.starts[tokens.rows] <= payload.len);
    if (draw_reply_read(payload, &picture, NULL))
        CHECK(picture.image.len <= payload.len && picture.media_type.len <= payload.len);
}

static void read_requests(struct str payload, struct arena *arena)
{
    struct text_embedding_request texts;
    struct image_embedding_request images;
    struct tokens_request tokens;
    struct generate_request text;
    struct draw_request picture;
    if (text_embedding_request_read(payload, arena, &texts, NULL))
        for (size_t i = 0; i < texts.count; i++)
            CHECK(texts.inputs[i].data.len <= payload.len);
    if (image_embedding_request_read(payload, arena, &images, NULL))
        CHECK(images.count <= payload.len);
    if (tokens_request_read(payload, arena, &tokens, NULL))
        CHECK(tokens.count <= payload.len);
    if (generate_request_read(payload, arena, &text, NULL))
        CHECK(text.messages_count <= payload.len && text.stop_count <= payload.len);
    if (describe_request_read(payload, arena, &text, NULL))
        CHECK(describe_request_images(&text) <= WIRE_IMAGES_MAX);
    if (draw_request_read(payload, arena, &picture, NULL))
        CHECK(picture.prompt.len <= payload.len);
}

/* In memory of its own size, so that any look beyond it is seen. */
static void check_payload(const struct buffer *payload)
{
    struct arena arena;
    char *copy = mem_new(payload->len + (payload->len == 0), 1);
    if (payload->len > 0)
        memcpy(copy, payload->data, payload->len);
    arena_init(&arena, ARENA_BYTES);
    read_replies((struct str){ copy, payload->len }, &arena);
    read_requests((struct str){ copy, payload->len }, &arena);
    arena_finish(&arena);
    mem_free(copy);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static uint8_t memory[CONTROL_REGIONS][REGION_BYTES];
    (void)argc;
    (void)argv;
    region_init(&ours, memory[0], &returned[CONTROL_REQUESTS]);
    region_init(&theirs, memory[1], &returned[CONTROL_REPLIES]);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer in, payload;
    struct frame f;
    struct weir_error err;
    size_t offset = 0;
    int taken;
    region_init(&ours, ours.memory, ours.returned);
    atomic_store(&returned[CONTROL_REQUESTS], 0);
    memset(&err, 0, sizeof(err));
    buffer_init(&in, size);
    buffer_init(&payload, PAYLOAD_BYTES);
    buffer_append(&in, data, size);
    while ((taken = frame_take(&in, &offset, &f, &err)) == 1) {
        CHECK(offset <= size && f.type < FRAME_TYPES && f.length <= FRAME_BODY_MAX);
        CHECK(f.body + f.length == in.data + offset);
        if (f.type == FRAME_PART)
            take_part(&f, &payload);
        else if (f.type == FRAME_ACCEPTED)
            lend(f.job);
        else
            check_message(&f);
    }
    if (taken < 0)
        fuzz_check_error(&err, WEIR_INVALID, "frame");
    check_payload(&payload);
    buffer_finish(&in);
    buffer_finish(&payload);
    return 0;
}
