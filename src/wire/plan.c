#include "wire/plan.h"

#include "base/size.h"
#include "weir/capability.h"
#include "wire/control_page.h"

#include <string.h>

#define DIM_MAX (1u << 20)

static uint64_t add_product(uint64_t sum, uint64_t a, uint64_t b)
{
    uint64_t product, total;
    if (!size_mul(a, b, &product) || !size_add(sum, product, &total))
        return UINT64_MAX;
    return total;
}

uint64_t plan_context_bytes(const struct plan *p, uint32_t context, uint32_t slots,
                            uint32_t threads)
{
    uint64_t sum = p->fixed_bytes;
    sum = add_product(sum, p->per_slot_bytes, slots);
    sum = add_product(sum, p->per_token_bytes, context);
    sum = add_product(sum, p->scratch_per_thread_bytes, threads);
    return sum;
}

static const char *const precision_names[PLAN_PRECISIONS] = {
#define X(NAME, name) [PLAN_##NAME] = (name),
    PLAN_PRECISION_NAMES(X)
#undef X
};

const char *plan_precision_name(uint32_t precision)
{
    return precision < PLAN_PRECISIONS ? precision_names[precision] : "unknown";
}

bool plan_precision_parse(struct str name, uint32_t *out)
{
    for (uint32_t i = 0; i < PLAN_PRECISIONS; i++) {
        if (str_eq(name, str_of(precision_names[i]))) {
            *out = i;
            return true;
        }
    }
    return false;
}

bool plan_larger(const struct plan *a, const struct plan *b)
{
    for (size_t i = 0; i < PLAN_PRECISIONS; i++) {
        if (a->packed_bytes[i] > b->packed_bytes[i])
            return true;
    }
    return a->weights_bytes > b->weights_bytes || a->fixed_bytes > b->fixed_bytes ||
           a->per_slot_bytes > b->per_slot_bytes || a->per_token_bytes > b->per_token_bytes ||
           a->scratch_per_thread_bytes > b->scratch_per_thread_bytes;
}

void plan_write(struct buffer *out, const struct plan *p)
{
    buffer_u32(out, p->capabilities);
    buffer_append(out, p->architecture, sizeof(p->architecture));
    buffer_append(out, p->digest, sizeof(p->digest));
    buffer_u64(out, p->weights_bytes);
    for (size_t i = 0; i < PLAN_PRECISIONS; i++)
        buffer_u64(out, p->packed_bytes[i]);
    buffer_u64(out, p->fixed_bytes);
    buffer_u64(out, p->per_slot_bytes);
    buffer_u64(out, p->per_token_bytes);
    buffer_u64(out, p->scratch_per_thread_bytes);
    buffer_u64(out, p->flops_per_token);
    buffer_u32(out, p->positions);
    buffer_u32(out, p->tokens_max);
    buffer_u32(out, p->dim);
    buffer_u32(out, p->slots);
    buffer_append(out, p->prompts, sizeof(p->prompts));
    buffer_u32(out, p->default_prompt);
}

/* The name is shown to people and logs: graphic ASCII, and nothing but NULs behind its end. */
static bool is_name(const char *text, size_t size)
{
    size_t n = 0;
    while (n < size && text[n] > ' ' && text[n] <= '~')
        n++;
    if (n == 0 || n == size)
        return false;
    for (size_t i = n; i < size; i++) {
        if (text[i] != '\0')
            return false;
    }
    return true;
}

/* Lines of UTF-8 without control characters, each ended, and nothing but NULs behind them. */
static bool are_lines(const char *text, size_t size)
{
    size_t n = 0;
    while (n < size && text[n] != '\0') {
        const unsigned char c = (unsigned char)text[n];
        if ((c < ' ' && c != '\n') || c == 0x7f)
            return false;
        n++;
    }
    for (size_t i = n; i < size; i++) {
        if (text[i] != '\0')
            return false;
    }
    return n < size && (n == 0 || text[n - 1] == '\n') &&
           str_utf8_valid((struct str){ text, n }) == n;
}

void plan_read(struct reader *in, struct plan *p)
{
    struct plan read = { 0 };
    read.capabilities = reader_u32(in);
    const uint8_t *architecture = reader_bytes(in, sizeof(read.architecture));
    const uint8_t *digest = reader_bytes(in, sizeof(read.digest));
    read.weights_bytes = reader_u64(in);
    for (size_t i = 0; i < PLAN_PRECISIONS; i++)
        read.packed_bytes[i] = reader_u64(in);
    read.fixed_bytes = reader_u64(in);
    read.per_slot_bytes = reader_u64(in);
    read.per_token_bytes = reader_u64(in);
    read.scratch_per_thread_bytes = reader_u64(in);
    read.flops_per_token = reader_u64(in);
    read.positions = reader_u32(in);
    read.tokens_max = reader_u32(in);
    read.dim = reader_u32(in);
    read.slots = reader_u32(in);
    const uint8_t *prompts = reader_bytes(in, sizeof(read.prompts));
    read.default_prompt = reader_u32(in);
    if (!reader_ok(in))
        return;
    memcpy(read.architecture, architecture, sizeof(read.architecture));
    memcpy(read.digest, digest, sizeof(read.digest));
    memcpy(read.prompts, prompts, sizeof(read.prompts));
    if (read.capabilities == 0 || read.capabilities >= 1u << WEIR_CAPABILITY_COUNT)
        reader_fail(in, "capabilities of a plan out of range");
    else if (!is_name(read.architecture, sizeof(read.architecture)))
        reader_fail(in, "architecture of a plan out of range");
    else if (read.slots == 0 || read.slots > CONTROL_SLOTS)
        reader_fail(in, "slots of a plan out of range");
    else if (read.dim > DIM_MAX)
        reader_fail(in, "dim of a plan out of range");
    else if (!are_lines(read.prompts, sizeof(read.prompts)))
        reader_fail(in, "prompts of a plan out of range");
    else
        *p = read;
}
