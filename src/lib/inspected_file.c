#include "lib/inspected_file.h"

#include "base/check.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/reader.h"
#include "wire/build_id.h"

#include <string.h>

#define FILE_NAME "inspected"
#define MAGIC     "weir inspected 1\n"
#define HEAD_MAX  1024 /* magic, build, processor, count and the sum at the end */
#define ROW_MAX   (INSPECTED_PATH_MAX + 2048)

/* The file, numbers little-endian:
 *
 *     magic · u32 length, build id · u64 processor · u32 rows
 *     row: u32 length, key · u64 stamp · u32 length, body of an `inspected` frame
 *     u64 hash of all before it
 *
 * A key is "program context path" as text. */
struct row {
    struct link link; /* in order */
    char *key;
    uint64_t stamp;
    size_t bytes; /* in the file */
    struct message_inspected answer;
};

static char *key_of(const struct inspected *what)
{
    struct buffer key;
    buffer_init(&key, ROW_MAX);
    buffer_printf(&key, "%u %u %s", (unsigned)what->program, (unsigned)what->context, what->path);
    return buffer_take(&key, NULL);
}

static void write_row(struct buffer *out, const struct row *r)
{
    struct buffer body;
    buffer_init(&body, FRAME_BODY_MAX);
    message_inspected_write(&body, &r->answer);
    buffer_counted(out, str_of(r->key));
    buffer_u64(out, r->stamp);
    buffer_counted(out, buffer_view(&body));
    buffer_finish(&body);
}

static void drop(struct inspected_file *f, struct row *r)
{
    f->bytes -= r->bytes;
    map_remove(&f->rows, str_of(r->key));
    list_remove(&r->link);
    mem_free(r->key);
    mem_free(r);
}

/* Takes the key. The newest row, in place of one of the same key. */
static void put(struct inspected_file *f, char *key, uint64_t stamp,
                const struct message_inspected *answer)
{
    struct buffer text;
    struct row *const r = mem_new(1, sizeof *r);
    struct row *const old = map_get(&f->rows, str_of(key));
    if (old != NULL)
        drop(f, old);
    r->key = key;
    r->stamp = stamp;
    r->answer = *answer;
    buffer_init(&text, ROW_MAX);
    write_row(&text, r);
    CHECK(!text.failed);
    r->bytes = text.len;
    buffer_finish(&text);
    f->bytes += r->bytes;
    map_put(&f->rows, str_of(r->key), r);
    list_push_back(&f->order, &r->link);
    while (f->rows.count > INSPECTED_ROWS_MAX || f->bytes > INSPECTED_BYTES_MAX - HEAD_MAX)
        drop(f, CONTAINER_OF(list_first(&f->order), struct row, link));
}

/* --- the file --------------------------------------------------------------------------------- */

/* False when it is no row; then nothing of what follows can be trusted. */
static bool read_row(struct inspected_file *f, struct reader *in)
{
    struct message_inspected answer;
    const struct str key = reader_str(in);
    const uint64_t stamp = reader_u64(in);
    const struct str body = reader_str(in);
    const struct frame frame = { .type = FRAME_INSPECTED,
                                 .body = (const uint8_t *)body.data,
                                 .length = (uint32_t)body.len };
    if (!reader_ok(in) || key.len == 0 || key.len > INSPECTED_PATH_MAX + 32 || stamp == 0 ||
        memchr(key.data, '\0', key.len) != NULL || body.len > FRAME_BODY_MAX ||
        !message_inspected_read(&frame, &answer, NULL))
        return false;
    put(f, mem_copy_text(key.data, key.len), stamp, &answer);
    return true;
}

/* What is wrong with the file, or NULL. */
static const char *read_rows(struct inspected_file *f, const struct buffer *bytes)
{
    if (bytes->len < sizeof(uint64_t))
        return "it is too short";
    const size_t end = bytes->len - sizeof(uint64_t);
    struct reader in = reader_of(bytes->data, end);
    struct reader sum = reader_of(bytes->data + end, sizeof(uint64_t));
    const uint8_t *const magic = reader_bytes(&in, sizeof(MAGIC) - 1);
    if (magic == NULL || memcmp(magic, MAGIC, sizeof(MAGIC) - 1) != 0)
        return "it is no list of inspected models";
    if (reader_u64(&sum) != str_hash((struct str){ (const char *)bytes->data, end }))
        return "it is damaged";
    const struct str build = reader_str(&in);
    const uint64_t processor = reader_u64(&in);
    const uint32_t count = reader_u32(&in);
    if (!reader_ok(&in) || !str_eq(build, str_of(build_id)) || processor != f->processor)
        return "it is of another build or processor";
    for (uint32_t i = 0; i < count; i++)
        if (!read_row(f, &in))
            return "some of its rows make no sense";
    return in.pos == in.size ? NULL : "there is more in it than its rows";
}

static void write_file(struct inspected_file *f)
{
    struct buffer bytes;
    struct weir_error err;
    char *const path = file_join(f->folder, FILE_NAME);
    buffer_init(&bytes, INSPECTED_BYTES_MAX);
    buffer_text(&bytes, MAGIC);
    buffer_counted(&bytes, str_of(build_id));
    buffer_u64(&bytes, f->processor);
    buffer_u32(&bytes, (uint32_t)f->rows.count);
    LIST_EACH(&f->order, at)
        write_row(&bytes, CONTAINER_OF(at, struct row, link));
    buffer_u64(&bytes, str_hash(buffer_view(&bytes)));
    CHECK(!bytes.failed);
    file_make_folders(f->folder); /* what cannot be made is said by the write */
    if (file_write_cache(path, bytes.data, bytes.len, &err) == WEIR_OK) {
        f->changed = false;
        f->warned = false;
    } else if (!f->warned) {
        log_write(f->log, LOG_WARN, "lib", "inspections are not kept: %s", err.text);
        f->warned = true;
    }
    buffer_finish(&bytes);
    mem_free(path);
}

/* --- rows ------------------------------------------------------------------------------------- */

void inspected_file_open(struct inspected_file *f, const char *folder, uint64_t processor,
                         const struct log *log, int64_t now_ms)
{
    *f = (struct inspected_file){ .log = log, .processor = processor, .written_ms = now_ms };
    map_init(&f->rows);
    list_init(&f->order);
    if (folder == NULL)
        return;
    f->folder = mem_copy_text(folder, strlen(folder));
    char *const path = file_join(folder, FILE_NAME);
    if (file_exists(path)) {
        struct buffer bytes;
        struct weir_error err;
        buffer_init(&bytes, INSPECTED_BYTES_MAX);
        const char *const problem =
            file_read(path, &bytes, &err) == WEIR_OK ? read_rows(f, &bytes) : err.text;
        if (problem != NULL)
            log_write(log, LOG_INFO, "lib", "'%s' is not used as it is: %s", path, problem);
        buffer_finish(&bytes);
    }
    mem_free(path);
    f->changed = false;
}

const struct message_inspected *inspected_file_find(struct inspected_file *f,
                                                    const struct inspected *what)
{
    if (f->folder == NULL || what->stamp == 0)
        return NULL;
    char *const key = key_of(what);
    struct row *const r = key != NULL ? map_get(&f->rows, str_of(key)) : NULL;
    mem_free(key);
    if (r == NULL || r->stamp != what->stamp)
        return NULL;
    list_remove(&r->link);
    list_push_back(&f->order, &r->link);
    return &r->answer;
}

/* Of the system as it was then, and not of the files. */
static bool is_passing(const struct weir_error *err)
{
    return err->os_errno != 0 || err->code == WEIR_NO_MEMORY;
}

void inspected_file_note(struct inspected_file *f, const struct inspected *what)
{
    if (f->folder == NULL || what->stamp == 0 || strlen(what->path) > INSPECTED_PATH_MAX ||
        is_passing(&what->answer->error))
        return;
    put(f, key_of(what), what->stamp, what->answer);
    f->changed = true;
}

/* Where it cannot be written an idle server is not woken for that every few seconds. */
static int64_t due_ms(const struct inspected_file *f)
{
    return f->written_ms + (f->warned ? INSPECTED_AGAIN_MS : INSPECTED_EVERY_MS);
}

int64_t inspected_file_step(struct inspected_file *f, int64_t now_ms)
{
    if (!f->changed)
        return INT64_MAX;
    if (now_ms >= due_ms(f)) {
        write_file(f);
        f->written_ms = now_ms;
    }
    return f->changed ? due_ms(f) : INT64_MAX;
}

void inspected_file_close(struct inspected_file *f)
{
    if (f->folder == NULL)
        return;
    if (f->changed)
        write_file(f);
    while (!list_empty(&f->order))
        drop(f, CONTAINER_OF(list_first(&f->order), struct row, link));
    map_finish(&f->rows);
    mem_free(f->folder);
    *f = (struct inspected_file){ 0 };
}
