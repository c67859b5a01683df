#include "wire/frame.h"

#include "base/check.h"
#include "base/reader.h"

static const char *const names[FRAME_TYPES] = {
#define X(NAME, name, way, states) [FRAME_##NAME] = #name,
    WIRE_FRAMES(X)
#undef X
};

const char *frame_name(unsigned type)
{
    return type < FRAME_TYPES ? names[type] : "unknown";
}

/* Room for the whole frame first, so that a full buffer never holds half of one. */
static bool write_header(struct buffer *out, enum frame_type type, uint16_t flags, uint64_t job,
                         size_t length)
{
    CHECK(type < FRAME_TYPES && length <= FRAME_BODY_MAX);
    if (!buffer_reserve(out, FRAME_HEADER + length))
        return false;
    buffer_u8(out, WIRE_VERSION);
    buffer_u8(out, (uint8_t)type);
    buffer_u16(out, flags);
    buffer_u32(out, (uint32_t)length);
    buffer_u64(out, job);
    return true;
}

void frame_write(struct buffer *out, enum frame_type type, uint64_t job, const void *body,
                 size_t length)
{
    if (write_header(out, type, 0, job, length) && length > 0)
        buffer_append(out, body, length);
}

void frame_write_block(struct buffer *out, uint64_t job, uint32_t block, uint32_t bytes)
{
    if (!write_header(out, FRAME_PART, FRAME_IN_BLOCK, job, sizeof(block) + sizeof(bytes)))
        return;
    buffer_u32(out, block);
    buffer_u32(out, bytes);
}

void frame_write_parts(struct buffer *out, uint64_t job, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    while (bytes > 0) {
        const size_t part = bytes < FRAME_PART_MAX ? bytes : FRAME_PART_MAX;
        frame_write(out, FRAME_PART, job, at, part);
        at += part;
        bytes -= part;
    }
}

int frame_take(const struct buffer *in, size_t *offset, struct frame *out, struct weir_error *err)
{
    CHECK(*offset <= in->len);
    if (in->len - *offset < FRAME_HEADER)
        return 0;
    struct reader r = reader_of(in->data + *offset, in->len - *offset);
    const uint8_t version = reader_u8(&r);
    const uint8_t type = reader_u8(&r);
    const uint16_t flags = reader_u16(&r);
    const uint32_t length = reader_u32(&r);
    const uint64_t job = reader_u64(&r);
    /* All of the header is judged before the body is waited for: a wrong length must not make the
     * reader wait for bytes that never come. */
    if (version != WIRE_VERSION) {
        weir_fail(err, WEIR_INVALID, "a frame has version %u, this build speaks version %u",
                  version, (unsigned)WIRE_VERSION);
        return -1;
    }
    if (type >= FRAME_TYPES) {
        weir_fail(err, WEIR_INVALID, "a frame has type %u, there are %u", type,
                  (unsigned)FRAME_TYPES);
        return -1;
    }
    const uint16_t known = type == FRAME_PART ? FRAME_IN_BLOCK : 0;
    if ((flags & ~known) != 0) {
        weir_fail(err, WEIR_INVALID, "a frame '%s' has flags %u, %u are known", names[type], flags,
                  known);
        return -1;
    }
    if (length > FRAME_BODY_MAX) {
        weir_fail(err, WEIR_INVALID, "a frame '%s' has %u bytes, the limit is %zu", names[type],
                  (unsigned)length, FRAME_BODY_MAX);
        return -1;
    }
    if (!reader_has(&r, length))
        return 0;
    *out = (struct frame){ .type = type,
                           .flags = flags,
                           .job = job,
                           .body = in->data + *offset + FRAME_HEADER,
                           .length = length };
    *offset += FRAME_HEADER + length;
    return 1;
}
