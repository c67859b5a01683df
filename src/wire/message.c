#include "wire/message.h"

#include "base/reader.h"
#include "wire/control_page.h"

#include <string.h>

#define BUILD_ID_MAX 64

static struct reader body_of(const struct frame *f)
{
    return reader_of(f->body, f->length);
}

/* Puts the frame's name before what the reader found. */
static bool done(const struct reader *r, const struct frame *f, struct weir_error *err)
{
    if (reader_done(r, err))
        return true;
    weir_wrap(err, "frame '%s'", frame_name(f->type));
    return false;
}

static void error_write(struct buffer *out, const struct weir_error *m)
{
    buffer_u32(out, (uint32_t)m->code);
    buffer_u32(out, (uint32_t)m->os_errno);
    buffer_i64(out, m->value);
    buffer_i64(out, m->limit);
    buffer_i64(out, m->retry_after_ms);
    buffer_u32(out, (uint32_t)m->index);
    buffer_counted(out, str_of(m->text));
}

static void error_read(struct reader *r, struct weir_error *m)
{
    struct weir_error read = { 0 };
    const uint32_t code = reader_u32(r);
    read.os_errno = (int)reader_u32(r);
    read.value = reader_i64(r);
    read.limit = reader_i64(r);
    read.retry_after_ms = reader_i64(r);
    read.index = (int32_t)reader_u32(r);
    const struct str text = reader_str(r);
    if (!reader_ok(r))
        return;
    if (code >= WEIR_CODE_COUNT) {
        reader_fail(r, "code of an error out of range");
    } else if (read.index < -1 || read.retry_after_ms < 0) {
        reader_fail(r, "index or retry time of an error out of range");
    } else if (text.len >= sizeof(read.text) ||
               (text.len > 0 && memchr(text.data, '\0', text.len))) {
        reader_fail(r, "text of an error out of range");
    } else {
        read.code = (enum weir_code)code;
        if (text.len > 0)
            memcpy(read.text, text.data, text.len);
        str_blank_controls(read.text); /* it may name what a hostile file says */
        *m = read;
    }
}

/* A path becomes a C string: a NUL inside would name another file than was meant. */
static struct str path_read(struct reader *r)
{
    const struct str path = reader_str(r);
    if (reader_ok(r) && (path.len == 0 || memchr(path.data, '\0', path.len)))
        reader_fail(r, "a path that is empty or has a NUL");
    return path;
}

static uint32_t precision_read(struct reader *r)
{
    const uint32_t precision = reader_u32(r);
    if (precision >= PLAN_PRECISIONS)
        reader_fail(r, "precision out of range");
    return precision;
}

void message_hello_write(struct buffer *out, const struct message_hello *m)
{
    buffer_u32(out, m->version);
    buffer_counted(out, m->build_id);
}

bool message_hello_read(const struct frame *f, struct message_hello *m, struct weir_error *err)
{
    struct reader r = body_of(f);
    struct message_hello read = { .version = reader_u32(&r) };
    read.build_id = reader_str(&r);
    if (read.build_id.len > BUILD_ID_MAX)
        reader_fail(&r, "build id out of range");
    if (!done(&r, f, err))
        return false;
    *m = read;
    return true;
}

void message_plan_write(struct buffer *out, const struct plan *m)
{
    plan_write(out, m);
}

bool message_plan_read(const struct frame *f, struct plan *m, struct weir_error *err)
{
    struct reader r = body_of(f);
    struct plan read;
    plan_read(&r, &read);
    if (!done(&r, f, err))
        return false;
    *m = read;
    return true;
}

void message_load_write(struct buffer *out, const struct message_load *m)
{
    buffer_u32(out, m->context);
    buffer_u32(out, m->slots);
    buffer_u32(out, m->threads);
    buffer_u32(out, m->precision);
    buffer_u32(out, m->attempt);
    buffer_counted(out, m->cache);
}

bool message_load_read(const struct frame *f, struct message_load *m, struct weir_error *err)
{
    struct reader r = body_of(f);
    struct message_load read = { .context = reader_u32(&r) };
    read.slots = reader_u32(&r);
    read.threads = reader_u32(&r);
    read.precision = precision_read(&r);
    read.attempt = reader_u32(&r);
    read.cache = reader_str(&r);
    if (reader_ok(&r) && (read.slots == 0 || read.slots > CONTROL_SLOTS))
        reader_fail(&r, "slots out of range");
    else if (read.cache.len > 0 && memchr(read.cache.data, '\0', read.cache.len))
        reader_fail(&r, "a cache with a NUL");
    if (!done(&r, f, err))
        return false;
    *m = read;
    return true;
}

void message_run_write(struct buffer *out, const struct message_run *m)
{
    buffer_u8(out, m->capability);
    buffer_u8(out, m->operation);
    buffer_u32(out, m->credit_events);
    buffer_u32(out, m->credit_bytes);
    buffer_u32(out, m->payload_bytes);
}

bool message_run_read(const struct frame *f, struct message_run *m, struct weir_error *err)
{
    struct reader r = body_of(f);
    struct message_run read = { .capability = reader_u8(&r) };
    read.operation = reader_u8(&r);
    read.credit_events = reader_u32(&r);
    read.credit_bytes = reader_u32(&r);
    read.payload_bytes = reader_u32(&r);
    if (read.capability >= WEIR_CAPABILITY_COUNT)
        reader_fail(&r, "capability out of range");
    else if (read.operation >= WEIR_OPERATION_COUNT)
        reader_fail(&r, "operation out of range");
    else if (read.payload_bytes > WIRE_PAYLOAD_MAX)
        reader_fail(&r, "payload_bytes out of range");
    if (!done(&r, f, err))
        return false;
    *m = read;
    return true;
}

bool message_part_read(const struct frame *f, struct message_part *m, struct weir_error *err)
{
    if (f->flags != 0) {
        weir_fail(err, WEIR_INVALID, "frame 'part' names a block where there are none");
        return false;
    }
    if (f->length == 0 || f->length > FRAME_PART_MAX) {
        weir_fail(err, WEIR_INVALID, "frame 'part' has %u bytes, 1 to %zu are allowed",
                  (unsigned)f->length, FRAME_PART_MAX);
        return false;
    }
    *m = (struct message_part){ .data = f->body, .bytes = f->length };
    return true;
}

bool message_block_read(const struct frame *f, struct message_block *m, struct weir_error *err)
{
    struct reader r = body_of(f);
    struct message_block read = { .block = reader_u32(&r) };
    read.bytes = reader_u32(&r);
    if (reader_ok(&r) && (read.bytes == 0 || read.bytes > FRAME_PART_MAX))
        reader_fail(&r, "bytes of a block out of range");
    if (!done(&r, f, err))
        return false;
    *m = read;
    return true;
}

void message_output_write(struct buffer *out, const struct message_output *m)
{
    buffer_u32(out, m->payload_bytes);
    buffer_u8(out, m->streamed);
}

bool message_output_read(const struct frame *f, struct message_output *m, struct weir_error *err)
{
    struct reader r = body_of(f);
    const uint32_t payload_bytes = reader_u32(&r);
    const uint8_t streamed = reader_u8(&r);
    if (payload_bytes > WIRE_PAYLOAD_MAX)
        reader_fail(&r, "payload_bytes out of range");
    else if (streamed > 1)
        reader_fail(&r, "streamed out of range");
    if (!done(&r, f, err))
        return false;
    *m = (struct message_output){ .payload_bytes = payload_bytes, .streamed = streamed == 1 };
    return true;
}

void message_progress_write(struct buffer *out, const struct message_progress *m)
{
    buffer_u32(out, m->step);
    buffer_u32(out, m->steps);
}

bool message_progress_read(const struct frame *f, struct message_progress *m,
                           struct weir_error *err)
{
    struct reader r = body_of(f);
    struct message_progress read = { .step = reader_u32(&r) };
    read.steps = reader_u32(&r);
    if (read.step > read.steps)
        reader_fail(&r, "step out of range");
    if (!done(&r, f, err))
        return false;
    *m = read;
    return true;
}

void message_end_write(struct buffer *out, const struct message_end *m)
{
    error_write(out, &m->error);
    buffer_u64(out, m->input_tokens);
    buffer_u64(out, m->output_tokens);
    buffer_u8(out, m->finish);
}

bool message_end_read(const struct frame *f, struct message_end *m, struct weir_error *err)
{
    struct reader r = body_of(f);
    struct message_end read = { 0 };
    error_read(&r, &read.error);
    read.input_tokens = reader_u64(&r);
    read.output_tokens = reader_u64(&r);
    read.finish = reader_u8(&r);
    if (!done(&r, f, err))
        return false;
    *m = read;
    return true;
}

void message_failed_write(struct buffer *out, const struct weir_error *m)
{
    error_write(out, m);
}

bool message_failed_read(const struct frame *f, struct weir_error *m, struct weir_error *err)
{
    struct reader r = body_of(f);
    struct weir_error read = { 0 };
    error_read(&r, &read);
    if (reader_ok(&r) && read.code == WEIR_OK)
        reader_fail(&r, "code of a failure out of range");
    if (!done(&r, f, err))
        return false;
    *m = read;
    return true;
}

void message_credit_write(struct buffer *out, const struct message_credit *m)
{
    buffer_u32(out, m->events);
    buffer_u32(out, m->bytes);
}

bool message_credit_read(const struct frame *f, struct message_credit *m, struct weir_error *err)
{
    struct reader r = body_of(f);
    struct message_credit read = { .events = reader_u32(&r) };
    read.bytes = reader_u32(&r);
    if (!done(&r, f, err))
        return false;
    *m = read;
    return true;
}

void message_ping_write(struct buffer *out, uint64_t sequence)
{
    buffer_u64(out, sequence);
}

bool message_ping_read(const struct frame *f, uint64_t *sequence, struct weir_error *err)
{
    struct reader r = body_of(f);
    const uint64_t read = reader_u64(&r);
    if (!done(&r, f, err))
        return false;
    *sequence = read;
    return true;
}

void message_inspect_write(struct buffer *out, const struct message_inspect *m)
{
    buffer_counted(out, m->path);
    buffer_u32(out, m->context);
}

bool message_inspect_read(const struct frame *f, struct message_inspect *m, struct weir_error *err)
{
    struct reader r = body_of(f);
    struct message_inspect read = { .path = path_read(&r) };
    read.context = reader_u32(&r);
    if (!done(&r, f, err))
        return false;
    *m = read;
    return true;
}

void message_inspected_write(struct buffer *out, const struct message_inspected *m)
{
    error_write(out, &m->error);
    if (m->error.code == WEIR_OK)
        plan_write(out, &m->plan);
}

bool message_inspected_read(const struct frame *f, struct message_inspected *m,
                            struct weir_error *err)
{
    struct reader r = body_of(f);
    struct message_inspected read = { 0 };
    error_read(&r, &read.error);
    if (reader_ok(&r) && read.error.code == WEIR_OK)
        plan_read(&r, &read.plan);
    if (!done(&r, f, err))
        return false;
    *m = read;
    return true;
}

void message_prepare_write(struct buffer *out, const struct message_prepare *m)
{
    buffer_counted(out, m->path);
    buffer_u32(out, m->context);
    buffer_u32(out, m->precision);
    buffer_counted(out, m->cache);
}

bool message_prepare_read(const struct frame *f, struct message_prepare *m, struct weir_error *err)
{
    struct reader r = body_of(f);
    struct message_prepare read = { .path = path_read(&r) };
    read.context = reader_u32(&r);
    read.precision = precision_read(&r);
    read.cache = path_read(&r);
    if (!done(&r, f, err))
        return false;
    *m = read;
    return true;
}

void message_prepared_write(struct buffer *out, const struct weir_error *m)
{
    error_write(out, m);
}

bool message_prepared_read(const struct frame *f, struct weir_error *m, struct weir_error *err)
{
    struct reader r = body_of(f);
    struct weir_error read = { 0 };
    error_read(&r, &read);
    if (!done(&r, f, err))
        return false;
    *m = read;
    return true;
}
