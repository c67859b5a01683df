#include "lib/input.h"

#include "base/check.h"
#include "base/error.h"
#include "wire/text_embedding.h"

#include <stdio.h>

static const uint8_t wire_kinds[] = {
    [WEIR_INPUT_TEXT] = WIRE_TEXT, [WEIR_INPUT_IDS] = WIRE_IDS, [WEIR_INPUT_IMAGE] = WIRE_IMAGE
};
static const char *const kind_names[WIRE_INPUT_KINDS] = {
    [WIRE_TEXT] = "a text", [WIRE_IDS] = "token ids", [WIRE_IMAGE] = "an image"
};

static enum weir_code wrong_kind(uint8_t kind, size_t index, unsigned kinds, struct weir_error *err)
{
    char wanted[60] = "";
    size_t len = 0;
    for (unsigned i = 0; i < WIRE_INPUT_KINDS; i++) {
        if ((kinds & 1u << i) != 0)
            len += (size_t)snprintf(wanted + len, sizeof wanted - len, "%s%s",
                                    len > 0 ? " or " : "", kind_names[i]);
    }
    return weir_fail(err, WEIR_INVALID, "input %zu is %s, here it may be %s", index,
                     kind_names[kind], wanted);
}

static enum weir_code check_bytes(const struct weir_input *in, size_t index, struct weir_error *err)
{
    if (in->kind == WEIR_INPUT_IDS && in->bytes % sizeof(int32_t) != 0)
        return weir_fail(err, WEIR_INVALID, "input %zu: %zu bytes are no array of 32-bit ids",
                         index, in->bytes);
    if (in->kind == WEIR_INPUT_TEXT) {
        const struct str text = { in->data, in->bytes };
        const size_t good = str_utf8_valid(text);
        if (good < text.len)
            return weir_fail(err, WEIR_INVALID, "input %zu is not UTF-8 at byte %zu", index, good);
    }
    return WEIR_OK;
}

enum weir_code input_take(const struct weir_input *in, size_t index, unsigned kinds,
                          struct wire_input *out, struct weir_error *err)
{
    enum weir_code code = WEIR_OK;
    if (in->size != sizeof *in || (unsigned)in->kind >= ARRAY_COUNT(wire_kinds) ||
        (in->data == NULL && in->bytes > 0))
        code = weir_fail(err, WEIR_INVALID, "input %zu is not a struct weir_input", index);
    else if ((kinds & 1u << wire_kinds[in->kind]) == 0)
        code = wrong_kind(wire_kinds[in->kind], index, kinds, err);
    else
        code = check_bytes(in, index, err);
    if (code != WEIR_OK) {
        if (err != NULL)
            err->index = (int32_t)index;
        return code;
    }
    *out = (struct wire_input){
        .kind = wire_kinds[in->kind], .data = {in->data, in->bytes}
    };
    return WEIR_OK;
}

enum weir_code input_take_list(const struct weir_input *inputs, size_t count, unsigned kinds,
                               struct arena *arena, const struct wire_input **out,
                               struct weir_error *err)
{
    if (input_check_count("inputs", count, WIRE_INPUTS_MAX, err) != WEIR_OK)
        return WEIR_INVALID;
    if (inputs == NULL && count > 0)
        return weir_fail(err, WEIR_INVALID, "%zu inputs, but no pointer to them", count);
    struct wire_input *list = arena_try(arena, count + 1, sizeof *list);
    if (list == NULL)
        return input_no_memory(count, "inputs", err);
    for (size_t i = 0; i < count; i++) {
        const enum weir_code code = input_take(&inputs[i], i, kinds, &list[i], err);
        if (code != WEIR_OK)
            return code;
    }
    *out = list;
    return WEIR_OK;
}

/* Written so that what is not a number is refused, too. */
enum weir_code input_check_range(const char *field, double value, double most,
                                 struct weir_error *err)
{
    if (value >= 0 && value <= most)
        return WEIR_OK;
    weir_fail(err, WEIR_INVALID, "%s is %g, it may be 0 to %g", field, value, most);
    if (err != NULL) {
        err->value = value > INT32_MIN && value < INT32_MAX ? (int64_t)value : 0;
        err->limit = (int64_t)most;
    }
    return WEIR_INVALID;
}

enum weir_code input_check_count(const char *what, size_t count, size_t most,
                                 struct weir_error *err)
{
    if (count <= most)
        return WEIR_OK;
    weir_fail(err, WEIR_INVALID, "%zu %s, the limit is %zu", count, what, most);
    if (err != NULL) {
        err->value = (int64_t)count;
        err->limit = (int64_t)most;
    }
    return WEIR_INVALID;
}

enum weir_code input_no_memory(size_t count, const char *what, struct weir_error *err)
{
    return weir_fail(err, WEIR_BODY_TOO_LARGE, "no memory for a list of %zu %s", count, what);
}
