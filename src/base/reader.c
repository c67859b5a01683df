#include "base/reader.h"

#include <string.h>

struct reader reader_of(const void *data, size_t size)
{
    return (struct reader){ .data = data, .size = size };
}

/* Written so that no length, however hostile, can overflow. */
bool reader_has(const struct reader *r, size_t n)
{
    return r->problem == NULL && n <= r->size && r->pos <= r->size - n;
}

static uint64_t get_little_endian(struct reader *r, size_t bytes, const char *what)
{
    if (!reader_has(r, bytes)) {
        reader_fail(r, what);
        return 0;
    }
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++)
        v |= (uint64_t)r->data[r->pos + i] << (8 * i);
    r->pos += bytes;
    return v;
}

uint8_t reader_u8(struct reader *r)
{
    return (uint8_t)get_little_endian(r, sizeof(uint8_t), "a number of 1 byte is cut off");
}

uint16_t reader_u16(struct reader *r)
{
    return (uint16_t)get_little_endian(r, sizeof(uint16_t), "a number of 2 bytes is cut off");
}

uint32_t reader_u32(struct reader *r)
{
    return (uint32_t)get_little_endian(r, sizeof(uint32_t), "a number of 4 bytes is cut off");
}

uint64_t reader_u64(struct reader *r)
{
    return get_little_endian(r, sizeof(uint64_t), "a number of 8 bytes is cut off");
}

int64_t reader_i64(struct reader *r)
{
    return (int64_t)get_little_endian(r, sizeof(int64_t), "a number of 8 bytes is cut off");
}

float reader_f32(struct reader *r)
{
    const uint32_t bits = reader_u32(r);
    float v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

const uint8_t *reader_bytes(struct reader *r, size_t n)
{
    /* Where nothing was asked for there is still a pointer to give: NULL means failure alone. */
    static const uint8_t nothing[1];
    if (!reader_has(r, n)) {
        reader_fail(r, "a run of bytes is cut off");
        return NULL;
    }
    const uint8_t *const bytes = r->data != NULL ? r->data + r->pos : nothing;
    r->pos += n;
    return bytes;
}

struct str reader_str(struct reader *r)
{
    const uint32_t len = reader_u32(r);
    const uint8_t *const bytes = reader_bytes(r, len);
    if (bytes == NULL)
        return (struct str){ NULL, 0 };
    return (struct str){ (const char *)bytes, len };
}

void reader_fail(struct reader *r, const char *problem)
{
    if (r->problem != NULL)
        return;
    r->problem = problem;
    r->problem_pos = r->pos;
}

bool reader_ok(const struct reader *r)
{
    return r->problem == NULL;
}

bool reader_done(const struct reader *r, struct weir_error *err)
{
    if (r->problem != NULL) {
        weir_fail(err, WEIR_INVALID, "%s at byte %zu of %zu", r->problem, r->problem_pos, r->size);
        return false;
    }
    if (r->pos != r->size) {
        weir_fail(err, WEIR_INVALID, "%zu bytes too many from byte %zu of %zu", r->size - r->pos,
                  r->pos, r->size);
        return false;
    }
    return true;
}
