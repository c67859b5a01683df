#include "cmd/output_file.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum weir_code failed(const struct output_file *f, struct weir_error *err)
{
    return weir_fail_os(err, WEIR_INTERNAL, errno, "%s cannot be written", f->path);
}

static char *name_beside(const char *path, long number)
{
    const size_t room = strlen(path) + 32;
    char *const name = mem_new(room, 1);
    if (number > 0)
        str_print(name, room, "%s.%ld.tmp", path, number);
    else
        str_print(name, room, "%s.part", path);
    return name;
}

static void forget(struct output_file *f)
{
    f->fd = -1; /* first: a second signal looks at it while the first is held */
    mem_free(f->path);
    mem_free(f->temporary);
    mem_free(f->part);
    *f = (struct output_file){ .fd = -1 };
}

/* For a signal handler too: nothing but system calls. */
static bool write_all(int fd, const uint8_t *data, size_t bytes)
{
    while (bytes > 0) {
        const ssize_t n = write(fd, data, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data += n;
        bytes -= (size_t)n;
    }
    return true;
}

enum weir_code output_file_begin(struct output_file *f, const char *path, size_t head_bytes,
                                 struct weir_error *err)
{
    struct stat old;
    CHECK(head_bytes <= OUTPUT_HEAD_ROOM);
    *f = (struct output_file){ .path = mem_copy_text(path, strlen(path)),
                               .temporary = name_beside(path, (long)getpid()),
                               .part = name_beside(path, 0),
                               .fd = -1,
                               .head_bytes = head_bytes,
                               .bytes = head_bytes };
    const bool is_there = lstat(path, &old) == 0;
    if (is_there && !S_ISREG(old.st_mode)) {
        if (S_ISLNK(old.st_mode)) /* as /dev/stdout is: a rename would replace the link itself */
            weir_fail(err, WEIR_INVALID, "%s is a link: name the file that it leads to", path);
        else
            weir_fail(err, WEIR_INVALID, "%s is no regular file: it cannot be replaced", path);
        forget(f);
        return WEIR_INVALID;
    }
    f->fd = open(f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (f->fd < 0 || (is_there && fchmod(f->fd, old.st_mode & 07777) != 0) ||
        !write_all(f->fd, f->head, head_bytes)) {
        const enum weir_code code = failed(f, err);
        output_file_discard(f);
        return code;
    }
    return WEIR_OK;
}

enum weir_code output_file_write(struct output_file *f, const void *data, size_t bytes,
                                 struct weir_error *err)
{
    CHECK(f->fd >= 0);
    if (!write_all(f->fd, data, bytes)) {
        const enum weir_code code = failed(f, err);
        if (ftruncate(f->fd, (off_t)f->bytes) != 0 || lseek(f->fd, 0, SEEK_END) < 0)
            output_file_discard(f); /* its end is torn, and stays so */
        return code;
    }
    f->bytes += bytes;
    return WEIR_OK;
}

bool output_file_settle(const struct output_file *f, const char *to)
{
    const bool ok = lseek(f->fd, 0, SEEK_SET) == 0 && write_all(f->fd, f->head, f->head_bytes) &&
                    fsync(f->fd) == 0 && rename(f->temporary, to) == 0;
    const int why = errno;
    if (!ok)
        unlink(f->temporary);
    errno = why;
    return ok;
}

static enum weir_code settle(struct output_file *f, const char *to, struct weir_error *err)
{
    const enum weir_code code = output_file_settle(f, to) ? WEIR_OK : failed(f, err);
    close(f->fd);
    forget(f);
    return code;
}

enum weir_code output_file_end(struct output_file *f, struct weir_error *err)
{
    CHECK(f->fd >= 0);
    return settle(f, f->path, err);
}

enum weir_code output_file_keep(struct output_file *f, struct weir_error *err)
{
    return f->path != NULL && f->fd >= 0 ? settle(f, f->part, err) : WEIR_OK;
}

void output_file_discard(struct output_file *f)
{
    if (f->path != NULL && f->fd >= 0) {
        close(f->fd);
        unlink(f->temporary);
    }
    forget(f);
}
