#include "fuzz/fuzz.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 16 * 1024 * 1024, FILES_MAX = 8, NAMES_MAX = 64 };

static struct {
    char path[64];
    char *names[NAMES_MAX]; /* of what was ever written: files, and folders ending in a slash */
    size_t count;
} folder;

static void remember(const char *name, size_t bytes)
{
    for (size_t i = 0; i < folder.count; i++) {
        if (strlen(folder.names[i]) == bytes && memcmp(folder.names[i], name, bytes) == 0)
            return;
    }
    CHECK(folder.count < NAMES_MAX);
    folder.names[folder.count++] = mem_copy_text(name, bytes);
}

static void full_path(const char *name, char out[256])
{
    const int length = snprintf(out, 256, "%s/%s", fuzz_folder(), name);
    CHECK(length > 0 && length < 256);
}

static void remove_folder(void)
{
    char path[256];
    /* Backwards: a folder is remembered before what lies in it. */
    while (folder.count > 0) {
        char *name = folder.names[--folder.count];
        full_path(name, path);
        if (str_ends(str_of(name), STR("/")))
            rmdir(path);
        else
            unlink(path);
        mem_free(name);
    }
    rmdir(folder.path);
}

const char *fuzz_folder(void)
{
    if (folder.path[0] != '\0')
        return folder.path;
    const bool in_memory = file_is_folder("/dev/shm");
    snprintf(folder.path, sizeof(folder.path), "%s/weir-fuzz-XXXXXX",
             in_memory ? "/dev/shm" : "/tmp");
    CHECK(mkdtemp(folder.path) != NULL);
    CHECK(atexit(remove_folder) == 0);
    return folder.path;
}

void fuzz_folder_write(const char *name, struct str data)
{
    char path[256];
    const char *slash = strchr(name, '/');
    if (slash != NULL) {
        const size_t length = (size_t)(slash - name) + 1;
        full_path(name, path);
        path[strlen(path) - strlen(slash)] = '\0';
        (void)mkdir(path, 0700);
        remember(name, length);
    }
    remember(name, strlen(name));
    full_path(name, path);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    CHECK(data.len == 0 || write(fd, data.data, data.len) == (ssize_t)data.len);
    close(fd);
}

void fuzz_folder_remove(const char *name)
{
    char path[256];
    full_path(name, path);
    (void)unlink(path);
}

struct str fuzz_file(const char *name)
{
    /* Kept here, so that what is held to the end is not taken for a leak. */
    static struct buffer texts[FILES_MAX];
    static size_t count;
    CHECK(count < FILES_MAX);
    struct buffer *text = &texts[count++];
    char *path = file_join(WEIR_ROOT, name);
    buffer_init(text, FILE_BYTES_MAX);
    CHECK(file_read(path, text, NULL) == WEIR_OK);
    mem_free(path);
    return buffer_view(text);
}

void fuzz_check_error(const struct weir_error *err, enum weir_code code, const char *named)
{
    const size_t length = strnlen(err->text, sizeof(err->text));
    const struct str text = { err->text, length };
    CHECK(err->code == code && code != WEIR_OK);
    CHECK(length > 0 && length < sizeof(err->text));
    CHECK(fuzz_utf8_valid(text) == length);
    CHECK(named == NULL || strstr(err->text, named) != NULL);
}

size_t fuzz_utf8_valid(struct str text)
{
    /*                           none 1     2      3        4 bytes */
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const uint8_t *data = (const uint8_t *)text.data;
    size_t at = 0;
    while (at < text.len) {
        const uint8_t lead = data[at];
        const size_t count = lead < 0x80           ? 1
                             : (lead >> 5) == 0x06 ? 2
                             : (lead >> 4) == 0x0e ? 3
                             : (lead >> 3) == 0x1e ? 4
                                                   : 0;
        uint32_t point = count > 1 ? lead & (0x7fu >> count) : lead;
        if (count == 0 || count > text.len - at)
            return at;
        for (size_t i = 1; i < count; i++) {
            if ((data[at + i] & 0xc0) != 0x80)
                return at;
            point = point << 6 | (data[at + i] & 0x3fu);
        }
        if (point < least[count] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
            return at;
        at += count;
    }
    return at;
}

void fuzz_split(struct str input, char separator, struct str *out_head, struct str *out_tail)
{
    (void)str_cut(input, separator, out_head, out_tail);
}
