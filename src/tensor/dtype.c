#include "tensor/dtype.h"

#include "base/check.h"

#include <string.h>

static const struct {
    const char *name;
    size_t bytes;
} types[DTYPE_COUNT] = {
#define X(NAME, bytes) [DTYPE_##NAME] = { #NAME, bytes },
    DTYPES(X)
#undef X
};

const char *dtype_name(enum dtype type)
{
    return types[type].name;
}

size_t dtype_size(enum dtype type)
{
    return types[type].bytes;
}

bool dtype_parse(struct str name, enum dtype *out)
{
    for (size_t i = 0; i < DTYPE_COUNT; i++) {
        if (str_eq(name, str_of(types[i].name))) {
            *out = (enum dtype)i;
            return true;
        }
    }
    return false;
}

bool dtype_is_float(enum dtype type)
{
    return type == DTYPE_F32 || type == DTYPE_F16 || type == DTYPE_BF16;
}

static float f32_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* An F16 is sign, 5 bits of exponent (bias 15) and 10 of fraction. Placed 13 bits up, the fraction
 * is where F32 wants it and only the exponent's bias (127) is missing; a multiplication by 2^112
 * adds it and turns subnormals into normal numbers on the way. */
static float f32_of_f16(uint16_t half)
{
    uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13;
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    if ((half & 0x7c00) == 0x7c00)
        return f32_of_bits(sign | 0x7f800000 | magnitude);
    float value = f32_of_bits(magnitude) * 0x1p112f;
    return sign ? -value : value;
}

void dtype_to_f32(enum dtype type, const void *from, float *to, size_t count)
{
    const uint8_t *bytes = from;
    CHECK(dtype_is_float(type));
    if (count == 0)
        return;
    if (type == DTYPE_F32) {
        memcpy(to, from, count * sizeof(*to));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint16_t word;
        memcpy(&word, bytes + i * sizeof(word), sizeof(word));
        to[i] = type == DTYPE_F16 ? f32_of_f16(word) : f32_of_bits((uint32_t)word << 16);
    }
}

/* A BF16 is the upper half of an F32. Adding just under half of its last place carries into it when
 * what is cut off is more than half; when it is half, adding its last bit too makes it even. */
uint16_t dtype_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
