#include "server/draw_request.h"

#define SIDE_MAX  2048
#define SIDE_STEP 16

static struct weir_input read_prompt(struct json_fields *f, const char *name, bool is_required)
{
    struct str text = json_fields_text(f, name, (struct str){ NULL, 0 });
    if (text.data == NULL && !is_required)
        return (struct weir_input){ 0 };
    if (text.len == 0 && is_required)
        json_fields_fail(f, name, text.data ? "'%s' is an empty string" : "'%s' is required", name);
    return (struct weir_input){ .size = sizeof(struct weir_input),
                                .data = text.data,
                                .bytes = text.len };
}

static bool read_side(struct str text, uint32_t *out)
{
    uint64_t side;
    if (!str_to_u64(text, &side) || side < SIDE_STEP || side > SIDE_MAX || side % SIDE_STEP != 0)
        return false;
    *out = (uint32_t)side;
    return true;
}

/* "auto", which is the model's own, or "WxH". */
static void read_size(struct json_fields *f, struct weir_draw *out)
{
    struct str size = json_fields_text(f, "size", STR("auto")), width, height;
    if (str_eq(size, STR("auto")))
        return;
    if (!str_cut(size, 'x', &width, &height) || !read_side(width, &out->width) ||
        !read_side(height, &out->height))
        json_fields_fail(
            f, "size",
            "'size' must be 'auto' or WIDTHxHEIGHT, each a multiple of %d up to %d, not "
            "'%.*s'",
            SIDE_STEP, SIDE_MAX, (int)(size.len < 40 ? size.len : 40), size.data);
}

/* The one word that a field may have here. */
static void expect(struct json_fields *f, const char *name, struct str only)
{
    struct str text = json_fields_text(f, name, only);
    if (!str_eq(text, only))
        json_fields_fail(f, name, "'%s' can only be '%.*s' here, not '%.*s'", name, STR_ARG(only),
                         (int)(text.len < 40 ? text.len : 40), text.data);
}

struct draw_request draw_request_read(struct json_fields *f)
{
    struct draw_request r = { .draw = { .size = sizeof(r.draw) } };
    r.draw.prompt = read_prompt(f, "prompt", true);
    r.draw.negative_prompt = read_prompt(f, "negative_prompt", false);
    r.draw.count = (uint32_t)json_fields_integer(f, "n", 1, 10, 1);
    read_size(f, &r.draw);
    r.draw.steps = (uint32_t)json_fields_integer(f, "steps", 1, 200, 0);
    r.draw.guidance = (float)json_fields_number(f, "guidance", 0, 100, 0);
    r.draw.seeded = json_fields_ok(f) && json_read_field(f->object, "seed") != NULL;
    r.draw.seed = (uint64_t)json_fields_integer(f, "seed", INT64_MIN, INT64_MAX, 0);
    expect(f, "response_format", STR("b64_json"));
    expect(f, "output_format", STR("png"));
    r.streams = json_fields_bool(f, "stream", false);
    return r;
}
