#include "worker/fake/order.h"

#include "base/check.h"
#include "worker/fake/spec.h"

#define TOKENS_MOST 1000000

static const char *const names[] = {
#define X(NAME, name) [ORDER_##NAME] = #name,
    ORDERS(X)
#undef X
};
_Static_assert(ARRAY_COUNT(names) == ORDER_COUNT, "one name an order");

static enum order_kind kind_of(struct str name)
{
    for (unsigned i = ORDER_NONE + 1; i < ORDER_COUNT; i++) {
        if (str_eq(name, str_of(names[i])))
            return (enum order_kind)i;
    }
    return ORDER_NONE;
}

static bool parse_tokens(struct str value, struct order *o)
{
    struct str number, duration;
    uint64_t count;
    const bool has_duration = str_cut(value, ' ', &number, &duration);
    if (!str_to_u64(number, &count) || count < 1 || count > TOKENS_MOST)
        return false;
    o->count = (uint32_t)count;
    return !has_duration || spec_duration(str_trim(duration), &o->duration_ms);
}

enum weir_code order_parse(struct str input, struct order *out, struct weir_error *err)
{
    CHECK(input.len > 0 && input.data[0] == '!');
    const struct str body = str_trim((struct str){ input.data + 1, input.len - 1 });
    struct str name, value;
    str_cut(body, ' ', &name, &value);
    value = str_trim(value);
    struct order o = { .kind = kind_of(name), .text = value };
    bool good = o.kind != ORDER_NONE;
    if (o.kind == ORDER_SLEEP)
        good = spec_duration(value, &o.duration_ms);
    else if (o.kind == ORDER_TOKENS)
        good = parse_tokens(value, &o);
    else if (o.kind == ORDER_GARBAGE && value.len > 0)
        good = garbage_parse(value, &o.garbage);
    else if (o.kind != ORDER_FAIL)
        good = good && value.len == 0;
    if (!good)
        return weir_fail(err, WEIR_INVALID, "'%.*s' is no order to a fake worker",
                         (int)(input.len < 80 ? input.len : 80), input.data);
    *out = o;
    return WEIR_OK;
}
