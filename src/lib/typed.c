#include "lib/typed.h"

#include "base/capability.h"
#include "base/check.h"
#include "base/error.h"
#include "base/size.h"
#include "lib/conversation.h"
#include "lib/input.h"
#include "wire/frame.h"
#include "wire/image_embedding.h"
#include "wire/text_embedding.h"
#include "wire/text_to_image.h"
#include "wire/text_to_text.h"
#include "wire/tokens.h"

#include <math.h>
#include <string.h>

#define LISTS_BYTES_MAX ((size_t)64 * 1024 * 1024) /* of inputs and messages while they are taken */

/* ---- embed ---- */

_Static_assert((int)WEIR_NORMALIZE_YES == (int)WIRE_NORMALIZE_YES &&
                   (int)WEIR_NORMALIZE_NO == (int)WIRE_NORMALIZE_NO,
               "the wire says it by the same numbers");

static enum weir_code write_embed_texts(const void *input, struct arena *arena, struct buffer *out,
                                        struct weir_error *err)
{
    const struct weir_embed *e = input;
    struct text_embedding_request w = { .truncate = e->truncate == WEIR_TRUNCATE_CUT,
                                        .truncate_front = e->truncate_front,
                                        .normalize = (enum text_embedding_normalize)e->normalize,
                                        .dimensions = e->dimensions,
                                        .prompt_name =
                                            str_of(e->prompt_name != NULL ? e->prompt_name : ""),
                                        .count = e->count };
    if ((unsigned)e->truncate > WEIR_TRUNCATE_REFUSE)
        return weir_fail(err, WEIR_INVALID, "truncate is %u, it may be one of enum weir_truncate",
                         (unsigned)e->truncate);
    if ((unsigned)e->normalize > WEIR_NORMALIZE_NO)
        return weir_fail(err, WEIR_INVALID, "normalize is %u, it may be one of enum weir_normalize",
                         (unsigned)e->normalize);
    if (w.prompt_name.len > WIRE_PROMPT_NAME_MAX)
        return weir_fail(err, WEIR_INVALID, "prompt_name has %zu bytes, the limit is %d",
                         w.prompt_name.len, WIRE_PROMPT_NAME_MAX);
    const enum weir_code code =
        input_take_list(e->inputs, e->count, WIRE_TEXTS, arena, &w.inputs, err);
    if (code == WEIR_OK)
        text_embedding_request_write(out, &w);
    return code;
}

static enum weir_code write_embed_images(const void *input, struct arena *arena, struct buffer *out,
                                         struct weir_error *err)
{
    const struct weir_embed *e = input;
    struct image_embedding_request w = { .dimensions = e->dimensions, .count = e->count };
    if (e->prompt_name != NULL)
        return weir_fail(err, WEIR_INVALID, "prompt_name is for texts, not for images");
    if (e->normalize != WEIR_NORMALIZE_AS_MODEL)
        return weir_fail(err, WEIR_INVALID, "normalize is for texts, not for images");
    const enum weir_code code =
        input_take_list(e->inputs, e->count, 1u << WIRE_IMAGE, arena, &w.inputs, err);
    if (code == WEIR_OK)
        image_embedding_request_write(out, &w);
    return code;
}

static struct typed_expected expect_embed(const void *input)
{
    const struct weir_embed *e = input;
    return (struct typed_expected){ .outputs = 1, .rows = e->count, .dim = e->dimensions };
}

/* JSON knows no other numbers, and nobody could compare them. */
static bool are_vectors(const struct text_embedding_reply *e, struct weir_error *err)
{
    const size_t count = (size_t)e->rows * e->dim;
    if (e->rows > 0 && e->dim == 0) {
        weir_fail(err, WEIR_MODEL_FAILED, "its worker answered vectors without numbers");
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(e->vectors[i])) {
            weir_fail(err, WEIR_MODEL_FAILED,
                      "its worker answered a vector of input %zu whose numbers are not finite",
                      i / e->dim);
            err->index = (int32_t)(i / e->dim);
            return false;
        }
    }
    return true;
}

static bool read_embed(struct str payload, struct arena *arena, struct weir_output *out,
                       struct weir_error *err)
{
    struct text_embedding_reply e;
    if (!text_embedding_reply_read(payload, arena, &e, err) || !are_vectors(&e, err))
        return false;
    out->vectors = e.vectors;
    out->rows = e.rows;
    out->dim = e.dim;
    out->tokens = e.tokens;
    out->truncated = e.truncated;
    out->truncated_count = e.truncated_count;
    return true;
}

/* ---- tokenize, detokenize ---- */

static enum weir_code write_tokens(const void *input, struct arena *arena, struct buffer *out,
                                   struct weir_error *err)
{
    const struct weir_tokenize *t = input;
    struct tokens_request w = { .add_special_tokens = !t->no_special_tokens, .count = t->count };
    const enum weir_code code =
        input_take_list(t->inputs, t->count, WIRE_TEXTS, arena, &w.inputs, err);
    if (code == WEIR_OK)
        tokens_request_write(out, &w);
    return code;
}

static struct typed_expected expect_tokenize(const void *input)
{
    const struct weir_tokenize *t = input;
    return (struct typed_expected){ .outputs = 1, .rows = t->count };
}

static struct typed_expected expect_detokenize(const void *input)
{
    const struct weir_tokenize *t = input;
    return (struct typed_expected){ .outputs = t->count, .rows = SIZE_MAX };
}

static bool read_tokens(struct str payload, struct arena *arena, struct weir_output *out,
                        struct weir_error *err)
{
    struct tokens_reply t;
    if (!tokens_reply_read(payload, arena, &t, err))
        return false;
    size_t count = t.starts[t.rows];
    struct weir_input *pieces = arena_try(arena, count + 1, sizeof *pieces);
    if (pieces == NULL) {
        weir_fail(err, WEIR_INTERNAL, "no memory for %zu pieces", count);
        return false;
    }
    for (size_t i = 0; i < count; i++)
        pieces[i] = (struct weir_input){ .size = sizeof pieces[i],
                                         .kind = WEIR_INPUT_TEXT,
                                         .data = t.pieces[i].data,
                                         .bytes = t.pieces[i].len };
    out->rows = t.rows;
    out->starts = t.starts;
    out->ids = t.ids;
    out->pieces = pieces;
    return true;
}

/* ---- generate, describe ---- */

static enum weir_code write_generate(const void *input, struct arena *arena, struct buffer *out,
                                     struct weir_error *err)
{
    return conversation_write(input, 1u << WIRE_TEXT, arena, out, err);
}

static enum weir_code write_describe(const void *input, struct arena *arena, struct buffer *out,
                                     struct weir_error *err)
{
    return conversation_write(input, 1u << WIRE_TEXT | 1u << WIRE_IMAGE, arena, out, err);
}

static bool read_text(struct str payload, struct arena *arena, struct weir_output *out,
                      struct weir_error *err)
{
    (void)arena;
    (void)err;
    out->text = payload.data;
    out->bytes = payload.len;
    return true;
}

/* ---- draw ---- */

static enum weir_code check_side(const char *field, uint32_t side, struct weir_error *err)
{
    if (side <= WIRE_DRAW_SIDE_MAX && side % WIRE_DRAW_SIDE_STEP == 0)
        return WEIR_OK;
    weir_fail(err, WEIR_INVALID, "%s is %u, it may be a multiple of %d up to %d", field,
              (unsigned)side, WIRE_DRAW_SIDE_STEP, WIRE_DRAW_SIDE_MAX);
    if (err != NULL) {
        err->value = side;
        err->limit = WIRE_DRAW_SIDE_MAX;
    }
    return WEIR_INVALID;
}

static enum weir_code check_draw(const struct weir_draw *d, struct weir_error *err)
{
    if (input_check_count("images", d->count, WIRE_DRAW_COUNT_MAX, err) != WEIR_OK ||
        check_side("width", d->width, err) != WEIR_OK ||
        check_side("height", d->height, err) != WEIR_OK ||
        input_check_range("steps", d->steps, WIRE_DRAW_STEPS_MAX, err) != WEIR_OK)
        return WEIR_INVALID;
    return input_check_range("guidance", (double)d->guidance, WIRE_DRAW_GUIDANCE_MAX, err);
}

static enum weir_code write_draw(const void *input, struct arena *arena, struct buffer *out,
                                 struct weir_error *err)
{
    const struct weir_draw *d = input;
    const bool has_negative = d->negative_prompt.size > 0;
    struct wire_input prompt, negative = { 0 };
    (void)arena;
    if (check_draw(d, err) != WEIR_OK)
        return WEIR_INVALID;
    enum weir_code code = input_take(&d->prompt, 0, 1u << WIRE_TEXT, &prompt, err);
    if (code == WEIR_OK && has_negative)
        code = input_take(&d->negative_prompt, 1, 1u << WIRE_TEXT, &negative, err);
    if (code == WEIR_OK)
        draw_request_write(out, &(struct draw_request){ .prompt = prompt.data,
                                                        .has_negative_prompt = has_negative,
                                                        .negative_prompt = negative.data,
                                                        .count = d->count > 0 ? d->count : 1,
                                                        .width = d->width,
                                                        .height = d->height,
                                                        .steps = d->steps,
                                                        .guidance = d->guidance,
                                                        .seeded = d->seeded,
                                                        .seed = d->seed });
    return code;
}

static struct typed_expected expect_draw(const void *input)
{
    const struct weir_draw *d = input;
    return (struct typed_expected){ .outputs = d->count > 0 ? d->count : 1, .rows = SIZE_MAX };
}

static bool read_draw(struct str payload, struct arena *arena, struct weir_output *out,
                      struct weir_error *err)
{
    struct draw_reply d;
    if (!draw_reply_read(payload, &d, err))
        return false;
    const struct str media_type = arena_str(arena, d.media_type);
    if (media_type.data == NULL) {
        weir_fail(err, WEIR_INTERNAL, "no memory for a media type");
        return false;
    }
    out->image = d.image.data;
    out->image_bytes = d.image.len;
    out->width = d.width;
    out->height = d.height;
    out->media_type = media_type.data;
    return true;
}

/* ---- the table ---- */

#define BIT(NAME) (1u << WEIR_##NAME)
#define TEXTS     (BIT(TEXT_EMBEDDING) | BIT(TEXT_TO_TEXT))
#define ANY       ((1u << WEIR_CAPABILITY_COUNT) - 1)

static const struct typed_operation operations[] = {
    {.operation = WEIR_EMBED,
     .capabilities = BIT(TEXT_EMBEDDING),
     .mergeable = true,
     .input_bytes = sizeof(struct weir_embed),
     .write = write_embed_texts,
     .expect = expect_embed,
     .read = read_embed },
    { .operation = WEIR_EMBED,
     .capabilities = BIT(IMAGE_EMBEDDING),
     .mergeable = true,
     .input_bytes = sizeof(struct weir_embed),
     .write = write_embed_images,
     .expect = expect_embed,
     .read = read_embed },
    { .operation = WEIR_TOKENIZE,
     .capabilities = TEXTS,
     .input_bytes = sizeof(struct weir_tokenize),
     .write = write_tokens,
     .expect = expect_tokenize,
     .read = read_tokens      },
    { .operation = WEIR_DETOKENIZE,
     .capabilities = TEXTS,
     .input_bytes = sizeof(struct weir_tokenize),
     .write = write_tokens,
     .expect = expect_detokenize,
     .read = read_text      },
    { .operation = WEIR_GENERATE,
     .capabilities = BIT(TEXT_TO_TEXT),
     .input_bytes = sizeof(struct weir_generate),
     .write = write_generate,
     .read = read_text                                                                },
    { .operation = WEIR_LOAD,                      .capabilities = ANY         },
    { .operation = WEIR_DESCRIBE,
     .capabilities = BIT(VISION),
     .input_bytes = sizeof(struct weir_generate),
     .write = write_describe,
     .read = read_text},
    { .operation = WEIR_DRAW,
     .capabilities = BIT(TEXT_TO_IMAGE),
     .input_bytes = sizeof(struct weir_draw),
     .write = write_draw,
     .expect = expect_draw,
     .read = read_draw    },
};

const struct typed_operation *typed_operation(enum weir_operation operation,
                                              enum weir_capability capability,
                                              struct weir_error *err)
{
    for (size_t i = 0; i < ARRAY_COUNT(operations); i++) {
        if (operations[i].operation == operation &&
            (operations[i].capabilities & 1u << capability) != 0)
            return &operations[i];
    }
    weir_fail(err, WEIR_INVALID, "the operation '%s' does not belong to the capability '%s'",
              operation_name(operation), capability_name(capability));
    return NULL;
}

/* Every input struct begins with its size. */
static bool has_input(const struct typed_operation *o, const void *input)
{
    size_t size;
    if (input == NULL)
        return o->input_bytes == 0;
    if (o->input_bytes == 0)
        return true; /* not looked at */
    memcpy(&size, input, sizeof size);
    return size == o->input_bytes;
}

enum weir_code typed_request(const struct typed_operation *o, const void *input, uint8_t **out,
                             size_t *out_bytes, struct weir_error *err)
{
    struct buffer b;
    struct arena arena;
    if (!has_input(o, input))
        return weir_fail(err, WEIR_INVALID,
                         "the input of a request to %s is missing or of another size",
                         operation_name(o->operation));
    buffer_init(&b, WIRE_PAYLOAD_MAX);
    arena_init(&arena, LISTS_BYTES_MAX);
    enum weir_code code = o->write != NULL ? o->write(input, &arena, &b, err) : WEIR_OK;
    arena_finish(&arena);
    if (code == WEIR_OK && b.failed) {
        struct size_text limit;
        code = weir_fail(err, WEIR_BODY_TOO_LARGE, "the inputs are more than %s",
                         size_format(WIRE_PAYLOAD_MAX, &limit));
    }
    if (code != WEIR_OK) {
        buffer_finish(&b);
        return code;
    }
    *out = (uint8_t *)buffer_take(&b, out_bytes);
    return WEIR_OK;
}

struct typed_expected typed_expect(const struct typed_operation *o, const void *input)
{
    if (o->expect != NULL)
        return o->expect(input);
    return (struct typed_expected){ .outputs = o->read != NULL ? SIZE_MAX : 0, .rows = SIZE_MAX };
}

bool typed_output(const struct typed_operation *o, struct str payload, struct arena *arena,
                  struct weir_output *out, struct weir_error *err)
{
    CHECK(o->read != NULL);
    *out = (struct weir_output){ .size = sizeof *out, .operation = o->operation };
    return o->read(payload, arena, out, err);
}
