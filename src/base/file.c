#include "base/file.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/size.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_STEP = 64 * 1024, TEMPORARY_NAMES = 100 };

static ssize_t read_some(int fd, void *data, size_t n)
{
    ssize_t got;
    do
        got = read(fd, data, n);
    while (got < 0 && errno == EINTR);
    return got;
}

/* Never waits: a pipe without a writer, put where a file should be, would hold its opener for ever.
 * Files do not care about O_NONBLOCK. */
static enum weir_code open_for_reading(const char *path, int *out_fd, struct stat *out_info,
                                       struct weir_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return weir_fail_os(err, WEIR_INVALID, errno, "cannot open '%s'", path);
    if (fstat(fd, out_info) != 0) {
        const int why = errno;
        close(fd);
        return weir_fail_os(err, WEIR_INVALID, why, "cannot look at '%s'", path);
    }
    *out_fd = fd;
    return WEIR_OK;
}

static enum weir_code fail_too_large(const char *path, size_t max, struct weir_error *err)
{
    struct size_text limit;
    weir_fail(err, WEIR_INVALID, "'%s' is larger than the limit of %s", path,
              size_format(max, &limit));
    if (err != NULL)
        err->limit = (int64_t)max;
    return WEIR_INVALID;
}

static enum weir_code fail_no_memory(const char *path, size_t bytes, struct weir_error *err)
{
    return weir_fail_os(err, WEIR_INVALID, ENOMEM, "no memory for the %zu bytes of '%s'", bytes,
                        path);
}

/* Reads to the end whatever the size says: files of /proc say 0, others grow meanwhile. A full
 * buffer is not proof of the end, so one byte more is asked for aside; it also tells a file that
 * just fits from one that is too large. */
static enum weir_code read_all(int fd, const char *path, struct buffer *out, struct weir_error *err)
{
    for (;;) {
        uint8_t beyond;
        const size_t spare = out->cap - out->len;
        const ssize_t got =
            spare > 0 ? read_some(fd, out->data + out->len, spare) : read_some(fd, &beyond, 1);
        if (got < 0)
            return weir_fail_os(err, WEIR_INVALID, errno, "cannot read '%s'", path);
        if (got == 0)
            return WEIR_OK;
        if (spare > 0) {
            out->len += (size_t)got;
            continue;
        }
        const size_t room = out->max - out->len;
        if (room == 0)
            return fail_too_large(path, out->max, err);
        if (buffer_reserve(out, room < READ_STEP ? room : READ_STEP) == NULL)
            return fail_no_memory(path, out->len, err);
        out->data[out->len++] = beyond;
    }
}

enum weir_code file_read(const char *path, struct buffer *out, struct weir_error *err)
{
    CHECK(!out->failed);
    int fd;
    struct stat info;
    enum weir_code code = open_for_reading(path, &fd, &info, err);
    if (code != WEIR_OK)
        return code;
    const size_t before = out->len;
    /* One allocation for a file whose size is known and allowed. */
    const bool fits = S_ISREG(info.st_mode) && (uint64_t)info.st_size <= out->max - out->len;
    if (fits && buffer_reserve(out, (size_t)info.st_size) == NULL)
        code = fail_no_memory(path, (size_t)info.st_size, err);
    else
        code = read_all(fd, path, out, err);
    close(fd);
    if (code != WEIR_OK)
        out->len = before;
    return code;
}

static int write_all(int fd, const uint8_t *data, size_t bytes)
{
    while (bytes > 0) {
        const ssize_t put = write(fd, data, bytes);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return errno;
        data += put;
        bytes -= (size_t)put;
    }
    return 0;
}

/* A new file beside `path` that nobody else has. What a crash left behind is passed over. */
static int create_beside(const char *path, char *name, size_t room)
{
    for (int i = 0; i < TEMPORARY_NAMES; i++) {
        snprintf(name, room, "%s.%ld-%d.tmp", path, (long)getpid(), i);
        const int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

/* A rename alone may reach the disk before the bytes do, so they are synced first. The rename
 * itself may be lost with the power; then the old file is there, which is what was promised. */
static int write_and_rename(int fd, const char *name, const char *path, struct str data,
                            bool synced)
{
    struct stat old;
    int why = 0;
    if (stat(path, &old) == 0 && S_ISREG(old.st_mode) && fchmod(fd, old.st_mode & 07777) != 0)
        why = errno;
    if (why == 0)
        why = write_all(fd, (const uint8_t *)data.data, data.len);
    if (why == 0 && synced && fsync(fd) != 0)
        why = errno;
    if (close(fd) != 0 && why == 0)
        why = errno;
    if (why == 0 && rename(name, path) != 0)
        why = errno;
    return why;
}

static enum weir_code replace(const char *path, struct str data, bool synced,
                              struct weir_error *err)
{
    const size_t room = strlen(path) + 40;
    char *const name = mem_new(room, 1);
    const int fd = create_beside(path, name, room);
    int why = errno;
    if (fd >= 0) {
        why = write_and_rename(fd, name, path, data, synced);
        if (why != 0)
            unlink(name);
    }
    mem_free(name);
    if (why != 0)
        return weir_fail_os(err, WEIR_INTERNAL, why, "cannot write %zu bytes to '%s'", data.len,
                            path);
    return WEIR_OK;
}

enum weir_code file_write_atomic(const char *path, const void *data, size_t bytes,
                                 struct weir_error *err)
{
    return replace(path, (struct str){ data, bytes }, true, err);
}

enum weir_code file_write_cache(const char *path, const void *data, size_t bytes,
                                struct weir_error *err)
{
    return replace(path, (struct str){ data, bytes }, false, err);
}

bool file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bool file_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool file_is_regular(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

bool file_is_link(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0 && S_ISLNK(info.st_mode);
}

bool file_make_folders(const char *path)
{
    char *const above = mem_copy_text(path, strlen(path));
    int failure = 0; /* why the first one that is missing is missing still */
    for (char *at = above; *path != '\0' && (at = strchr(at + 1, '/')) != NULL;) {
        *at = '\0';
        if (mkdir(above, 0700) != 0 && errno != EEXIST && failure == 0)
            failure = errno; /* what matters is whether the last one can be made */
        *at = '/';
    }
    mem_free(above);
    if (mkdir(path, 0700) == 0 || (errno == EEXIST && file_is_folder(path)))
        return true;
    if (errno == ENOENT && failure != 0)
        errno = failure;
    return false;
}

char *file_join(const char *folder, const char *name)
{
    const size_t len = strlen(folder);
    const char *const slash = len > 0 && folder[len - 1] != '/' ? "/" : "";
    const size_t room = len + 1 + strlen(name) + 1;
    char *const path = mem_new(room, 1);
    snprintf(path, room, "%s%s%s", folder, slash, name);
    return path;
}

/* Maps what is open. An empty file cannot be mapped, and has nothing that anyone could want. */
static enum weir_code map_open_file(int fd, const struct stat *info, const char *path,
                                    struct file_map *out, struct weir_error *err)
{
    if (!S_ISREG(info->st_mode))
        return weir_fail(err, WEIR_INVALID, "'%s' is not a regular file", path);
    if (info->st_size == 0)
        return weir_fail(err, WEIR_INVALID, "'%s' is empty (0 bytes)", path);
    if ((uint64_t)info->st_size > SIZE_MAX)
        return fail_too_large(path, SIZE_MAX, err);
    const size_t size = (size_t)info->st_size;
    void *const data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return weir_fail_os(err, WEIR_INVALID, errno, "cannot map the %zu bytes of '%s'", size,
                            path);
    *out = (struct file_map){
        .data = data,
        .size = size,
        .inode = info->st_ino,
        .mtime_ns = (int64_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec,
    };
    return WEIR_OK;
}

enum weir_code file_map_open(const char *path, struct file_map *out, struct weir_error *err)
{
    int fd;
    struct stat info;
    enum weir_code code = open_for_reading(path, &fd, &info, err);
    if (code != WEIR_OK)
        return code;
    code = map_open_file(fd, &info, path, out, err);
    close(fd);
    return code;
}

void file_unmap(struct file_map *map)
{
    if (map == NULL || map->data == NULL)
        return;
    munmap((void *)(uintptr_t)map->data, map->size);
    *map = (struct file_map){ .data = NULL };
}
