#include "worker/fake/spec.h"

#include "base/capability.h"
#include "base/check.h"
#include "base/size.h"
#include "base/str.h"
#include "wire/control_page.h"

#include <stddef.h>
#include <string.h>

enum kind {
    KIND_BYTES,    /* uint64_t */
    KIND_DURATION, /* int64_t, milliseconds */
    KIND_COUNT,    /* uint32_t, from 1 to range */
    KIND_YES,      /* bool */
    KIND_TEXT,     /* char[SPEC_TEXT_MAX] */
    KIND_FAULT     /* struct spec_fault, at one of the places */
};

#define PLACE(NAME) (1u << SPEC_##NAME)

enum {
    CRASH_PLACES = PLACE(START) | PLACE(LOAD) | PLACE(STEP) | PLACE(EVERY),
    HANG_PLACES = PLACE(START) | PLACE(LOAD) | PLACE(STEP),
    GARBAGE_PLACES = PLACE(HELLO) | PLACE(PLAN) | PLACE(RESULT)
};

static const struct option {
    const char *name;
    size_t offset;
    enum kind kind;
    uint32_t range; /* of KIND_COUNT the most, of KIND_FAULT the places */
} options[] = {
#define AT(member) offsetof(struct spec, member)
    {"weights",          AT(weights_bytes),   KIND_BYTES,    0             },
    { "packed",          AT(packed_bytes),    KIND_BYTES,    0             },
    { "context",         AT(context_bytes),   KIND_BYTES,    0             },
    { "scratch",         AT(scratch_bytes),   KIND_BYTES,    0             },
    { "touch",           AT(touch),           KIND_YES,      0             },
    { "prepare",         AT(prepare_ms),      KIND_DURATION, 0             },
    { "load",            AT(load_ms),         KIND_DURATION, 0             },
    { "step",            AT(step_ms),         KIND_DURATION, 0             },
    { "steps",           AT(steps),           KIND_COUNT,    1000000       },
    { "slots",           AT(slots),           KIND_COUNT,    CONTROL_SLOTS },
    { "dim",             AT(dim),             KIND_COUNT,    65536         },
    { "plan_fail",       AT(plan_fail),       KIND_TEXT,     0             },
    { "prepare_fail",    AT(prepare_fail),    KIND_TEXT,     0             },
    { "load_fail",       AT(load_fail),       KIND_TEXT,     0             },
    { "load_fail_times", AT(load_fail_times), KIND_COUNT,    UINT32_MAX    },
    { "crash",           AT(crash),           KIND_FAULT,    CRASH_PLACES  },
    { "hang",            AT(hang),            KIND_FAULT,    HANG_PLACES   },
    { "garbage",         AT(garbage),         KIND_FAULT,    GARBAGE_PLACES},
    { "ignore_term",     AT(ignore_term),     KIND_YES,      0             },
    { "probe",           AT(probe),           KIND_YES,      0             },
    { "leak",            AT(leak_bytes),      KIND_BYTES,    0             },
    { "script",          AT(script),          KIND_YES,      0             },
#undef AT
};

static const char *const place_names[] = {
#define X(NAME, name) [SPEC_##NAME] = #name,
    SPEC_PLACES(X)
#undef X
};
_Static_assert(ARRAY_COUNT(place_names) == SPEC_PLACE_COUNT, "one name a place");

bool spec_duration(struct str value, int64_t *out_ms)
{
    char text[32] = "";
    int64_t ms;
    if (value.len == 0 || value.len >= sizeof(text))
        return false;
    memcpy(text, value.data, value.len);
    if (size_parse_duration(text, 1, &ms, NULL) != WEIR_OK || ms > SPEC_DURATION_MAX_MS)
        return false;
    *out_ms = ms;
    return true;
}

static bool parse_count(struct str value, uint32_t most, uint32_t *out)
{
    uint64_t number;
    if (!str_to_u64(value, &number) || number < 1 || number > most)
        return false;
    *out = (uint32_t)number;
    return true;
}

static bool parse_yes(struct str value, bool *out)
{
    *out = str_eq(value, STR("yes"));
    return *out || str_eq(value, STR("no"));
}

/* `load`, or `step:3` for the places that have a number. */
static bool parse_fault(struct str value, uint32_t places, struct spec_fault *out)
{
    struct str name, number;
    const bool has_number = str_cut(value, ':', &name, &number);
    for (unsigned i = 0; i < SPEC_PLACE_COUNT; i++) {
        if (!(places & (1u << i)) || !str_eq(name, str_of(place_names[i])))
            continue;
        const bool wants_number = i == SPEC_STEP || i == SPEC_EVERY;
        out->place = (enum spec_place)i;
        return wants_number == has_number &&
               (!has_number || parse_count(number, UINT32_MAX, &out->number));
    }
    return false;
}

static bool parse_value(const struct option *o, struct str value, struct spec *s)
{
    void *at = (char *)s + o->offset;
    char text[SPEC_TEXT_MAX] = "";
    if (value.len == 0 || value.len >= sizeof(text))
        return false;
    memcpy(text, value.data, value.len);
    switch (o->kind) {
    case KIND_BYTES: return size_parse(text, at, NULL) == WEIR_OK;
    case KIND_DURATION: return spec_duration(value, at);
    case KIND_COUNT: return parse_count(value, o->range, at);
    case KIND_YES: return parse_yes(value, at);
    case KIND_TEXT: memcpy(at, text, sizeof(text)); return true;
    case KIND_FAULT: return parse_fault(value, o->range, at);
    }
    return false;
}

static enum weir_code parse_option(struct str part, struct spec *s, struct weir_error *err)
{
    struct str name, value;
    str_cut(part, '=', &name, &value);
    for (size_t i = 0; i < ARRAY_COUNT(options); i++) {
        if (!str_eq(name, str_of(options[i].name)))
            continue;
        if (parse_value(&options[i], value, s))
            return WEIR_OK;
        return weir_fail(err, WEIR_INVALID, "a fake model's option '%s' cannot be '%.*s'",
                         options[i].name, STR_ARG(value));
    }
    return weir_fail(err, WEIR_INVALID, "a fake model has no option '%.*s'", STR_ARG(name));
}

static enum weir_code parse_capability(struct str name, enum weir_capability *out,
                                       struct weir_error *err)
{
    if (capability_parse(name, out))
        return WEIR_OK;
    return weir_fail(err, WEIR_INVALID, "there is no capability '%.*s' for a fake model",
                     STR_ARG(name));
}

enum weir_code spec_parse(const char *text, struct spec *out, struct weir_error *err)
{
    struct spec s = { .weights_bytes = 64 * MiB,
                      .context_bytes = MiB,
                      .scratch_bytes = MiB,
                      .steps = 1,
                      .slots = 1,
                      .dim = 384 };
    const struct str prefix = STR("fake:");
    struct str rest = str_of(text);
    if (!str_starts(rest, prefix))
        return weir_fail(err, WEIR_INVALID,
                         "'%s' is no fake model: it does not begin with fake:", text);
    rest = (struct str){ rest.data + prefix.len, rest.len - prefix.len };
    struct str name, tail;
    bool more = str_cut(rest, '?', &name, &tail);
    if (parse_capability(name, &s.capability, err) != WEIR_OK)
        return WEIR_INVALID;
    while (more) {
        struct str part;
        more = str_cut(tail, '&', &part, &rest);
        tail = rest;
        if (parse_option(part, &s, err) != WEIR_OK)
            return WEIR_INVALID;
    }
    *out = s;
    return WEIR_OK;
}

void spec_plan(const struct spec *s, const char *text, struct plan *out)
{
    uint64_t fixed;
    if (!size_add(s->context_bytes, s->scratch_bytes, &fixed))
        fixed = UINT64_MAX;
    *out = (struct plan){
        .capabilities = 1u << s->capability,
        .architecture = "fake",
        .weights_bytes = s->weights_bytes,
        .packed_bytes = {s->packed_bytes, s->packed_bytes / 2},
        .fixed_bytes = fixed,
        .positions = SPEC_TOKENS_MAX,
        .tokens_max = SPEC_TOKENS_MAX,
        .dim = s->dim,
        .slots = s->slots
    };
    /* There is no file to take a digest of: what the model is stands in its name. */
    const uint64_t hash = str_hash(str_of(text));
    memcpy(out->digest, &hash, sizeof(hash));
}
