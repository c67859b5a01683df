#include "lib/learned_file.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hex.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include "wire/build_id.h"
#include "wire/plan.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define FILE_NAME      "learned.json"
#define FILE_BYTES_MAX ((size_t)1024 * 1024)

static void write_digest(struct jsonw *j, const uint8_t digest[32])
{
    char hex[65];
    for (size_t i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    jsonw_text(j, hex);
}

static void write_rows(const struct learned_file *f, struct buffer *out)
{
    struct jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j);
    jsonw_key(&j, "build"), jsonw_text(&j, build_id);
    jsonw_key(&j, "rows");
    jsonw_array(&j);
    for (size_t i = 0; i < f->count; i++) {
        const struct learned *r = &f->rows[i];
        jsonw_object(&j);
        jsonw_key(&j, "digest"), write_digest(&j, r->digest);
        jsonw_key(&j, "context"), jsonw_u64(&j, r->context);
        jsonw_key(&j, "slots"), jsonw_u64(&j, r->slots);
        jsonw_key(&j, "threads"), jsonw_u64(&j, r->threads);
        jsonw_key(&j, "precision"), jsonw_text(&j, plan_precision_name(r->precision));
        jsonw_key(&j, "prepared"), jsonw_bool(&j, r->prepared);
        jsonw_key(&j, "context_bytes"), jsonw_u64(&j, r->context_bytes);
        jsonw_key(&j, "load_ms"), jsonw_i64(&j, r->load_ms);
        jsonw_end(&j);
    }
    jsonw_end(&j);
    jsonw_end(&j);
}

static bool read_digest(const json_t *row, uint8_t out[32])
{
    const json_t *v = json_object_get(row, "digest");
    if (!json_is_string(v) || json_string_length(v) != 64)
        return false;
    const char *hex = json_string_value(v);
    for (size_t i = 0; i < 32; i++) {
        const int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool read_number(const json_t *row, const char *key, int64_t most, int64_t *out)
{
    const json_t *v = json_object_get(row, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > most)
        return false;
    *out = json_integer_value(v);
    return true;
}

/* In which form the weights were. */
static bool read_packing(const json_t *row, struct learned *out)
{
    const json_t *precision = json_object_get(row, "precision");
    const json_t *prepared = json_object_get(row, "prepared");
    if (!json_is_string(precision) || !json_is_boolean(prepared))
        return false;
    out->prepared = json_boolean_value(prepared);
    return plan_precision_parse(str_of(json_string_value(precision)), &out->precision);
}

static bool read_row(const json_t *o, struct learned *out)
{
    int64_t context, slots, threads, bytes;
    if (!read_digest(o, out->digest) || !read_packing(o, out) ||
        !read_number(o, "context", UINT32_MAX, &context) ||
        !read_number(o, "slots", UINT32_MAX, &slots) ||
        !read_number(o, "threads", UINT32_MAX, &threads) ||
        !read_number(o, "context_bytes", INT64_MAX, &bytes) ||
        !read_number(o, "load_ms", INT32_MAX, &out->load_ms))
        return false;
    out->context = (uint32_t)context;
    out->slots = (uint32_t)slots;
    out->threads = (uint32_t)threads;
    out->context_bytes = (uint64_t)bytes;
    return true;
}

/* What is wrong with the file, or NULL. Rows that are not whole are passed over. */
static const char *read_rows(struct learned_file *f, const struct buffer *bytes)
{
    json_t *o = json_loadb((const char *)bytes->data, bytes->len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *build = json_object_get(o, "build"), *rows = json_object_get(o, "rows");
    const char *problem = NULL;
    if (!json_is_string(build) || !json_is_array(rows))
        problem = "it is no list of learned figures";
    else if (strcmp(json_string_value(build), build_id) != 0)
        problem = "it is of another build";
    const size_t count = problem == NULL ? json_array_size(rows) : 0;
    for (size_t i = 0; i < count; i++) {
        struct learned row;
        if (read_row(json_array_get(rows, i), &row))
            learned_file_note(f, &row);
        else
            problem = "some of its rows make no sense";
    }
    json_decref(o);
    return problem;
}

void learned_file_open(struct learned_file *f, const char *folder, const struct log *log,
                       int64_t now_ms)
{
    *f = (struct learned_file){ .log = log, .written_ms = now_ms };
    if (folder == NULL)
        return;
    f->folder = mem_copy_text(folder, strlen(folder));
    f->rows = mem_new(LEARNED_ROWS_MAX, sizeof *f->rows);
    char *path = file_join(folder, FILE_NAME);
    if (file_exists(path)) {
        struct buffer bytes;
        struct weir_error err;
        buffer_init(&bytes, FILE_BYTES_MAX);
        const char *problem =
            file_read(path, &bytes, &err) == WEIR_OK ? read_rows(f, &bytes) : err.text;
        if (problem != NULL)
            log_write(log, LOG_INFO, "lib", "'%s' is not used as it is: %s", path, problem);
        buffer_finish(&bytes);
    }
    mem_free(path);
    f->changed = false;
}

static bool is_same(const struct learned *a, const struct learned *b)
{
    return memcmp(a->digest, b->digest, sizeof a->digest) == 0 && a->context == b->context &&
           a->slots == b->slots && a->threads == b->threads && a->precision == b->precision &&
           a->prepared == b->prepared;
}

void learned_file_note(struct learned_file *f, const struct learned *row)
{
    if (f->folder == NULL)
        return;
    size_t at = 0;
    while (at < f->count && !is_same(&f->rows[at], row))
        at++;
    if (at == f->count && f->count == LEARNED_ROWS_MAX)
        at = 0;
    if (at < f->count) {
        f->count--;
        memmove(&f->rows[at], &f->rows[at + 1], (f->count - at) * sizeof *f->rows);
    }
    f->rows[f->count++] = *row;
    f->changed = true;
}

static void write_file(struct learned_file *f)
{
    struct buffer bytes;
    struct weir_error err;
    char *path = file_join(f->folder, FILE_NAME);
    buffer_init(&bytes, FILE_BYTES_MAX);
    write_rows(f, &bytes);
    file_make_folders(f->folder); /* what cannot be made is said by the write */
    if (file_write_cache(path, bytes.data, bytes.len, &err) == WEIR_OK) {
        f->changed = false;
        f->warned = false;
    } else if (!f->warned) {
        log_write(f->log, LOG_WARN, "lib", "learned figures are not kept: %s", err.text);
        f->warned = true;
    }
    buffer_finish(&bytes);
    mem_free(path);
}

/* Where it cannot be written an idle server is not woken for that every few seconds. */
static int64_t due_ms(const struct learned_file *f)
{
    return f->written_ms + (f->warned ? LEARNED_AGAIN_MS : LEARNED_EVERY_MS);
}

int64_t learned_file_step(struct learned_file *f, int64_t now_ms)
{
    if (!f->changed)
        return INT64_MAX;
    if (now_ms >= due_ms(f)) {
        write_file(f);
        f->written_ms = now_ms;
    }
    return f->changed ? due_ms(f) : INT64_MAX;
}

void learned_file_close(struct learned_file *f)
{
    if (f->changed)
        write_file(f);
    mem_free(f->folder);
    mem_free(f->rows);
    *f = (struct learned_file){ 0 };
}
