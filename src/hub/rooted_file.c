#include "hub/rooted_file.h"

#include "base/mem.h"
#include "base/size.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHOWN(path) (int)(strlen(path) < 120 ? strlen(path) : 120), (path)

struct root {
    char *path; /* without a '/' at its end */
    size_t len;
    int fd;
};

struct rooted_roots {
    struct root *list;
    size_t count;
};

enum weir_code rooted_open(const char *const *folders, size_t count, struct rooted_roots **out,
                           struct weir_error *err)
{
    struct rooted_roots *roots = mem_new(1, sizeof(*roots));
    roots->list = mem_new(count + 1, sizeof(*roots->list));
    for (size_t i = 0; i < count; i++) {
        struct str path = str_of(folders[i]);
        const int fd = path.len > 0 && path.data[0] == '/'
                           ? open(folders[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                           : -1;
        if (fd < 0) {
            const int why = path.len > 0 && path.data[0] == '/' ? errno : EINVAL;
            rooted_close(roots);
            return weir_fail_os(err, WEIR_INVALID, why,
                                "the image root '%.*s' must be an absolute path of a folder",
                                SHOWN(folders[i]));
        }
        while (path.len > 0 && path.data[path.len - 1] == '/')
            path.len--;
        roots->list[roots->count++] =
            (struct root){ .path = mem_copy_text(path.data, path.len), .len = path.len, .fd = fd };
    }
    *out = roots;
    return WEIR_OK;
}

void rooted_close(struct rooted_roots *roots)
{
    if (roots == NULL)
        return;
    for (size_t i = 0; i < roots->count; i++) {
        close(roots->list[i].fd);
        mem_free(roots->list[i].path);
    }
    mem_free(roots->list);
    mem_free(roots);
}

/* Of the roots that hold the path by its letters, the longest; NULL: none. */
static const struct root *root_of(const struct rooted_roots *roots, struct str path)
{
    const struct root *best = NULL;
    for (size_t i = 0; i < roots->count; i++) {
        const struct root *r = &roots->list[i];
        const bool is_under = str_starts(path, (struct str){ r->path, r->len }) &&
                              path.len > r->len && path.data[r->len] == '/';
        if (is_under && (best == NULL || r->len > best->len))
            best = r;
    }
    return best;
}

/* Whether a name of the path leads upward, wherever it stands. */
static bool goes_up(struct str path)
{
    struct str name;
    do {
        str_cut(path, '/', &name, &path);
        if (str_eq(name, STR("..")))
            return true;
    } while (path.len > 0);
    return false;
}

/* Opens one name in `folder`, which is closed. */
static int step_into(int folder, struct str name, bool is_last)
{
    char text[NAME_MAX + 1];
    int fd = -1;
    if (name.len > NAME_MAX) {
        errno = ENAMETOOLONG;
    } else {
        memcpy(text, name.data, name.len);
        text[name.len] = '\0';
        fd = openat(folder, text,
                    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (is_last ? 0 : O_DIRECTORY));
    }
    const int why = errno;
    close(folder);
    errno = why;
    return fd;
}

/* The descriptor of the file, or -1 and errno. `rest` is the path below the root. */
static int walk(const struct root *root, struct str rest)
{
    int fd = openat(root->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd >= 0 && rest.len > 0) {
        struct str name;
        str_cut(rest, '/', &name, &rest);
        if (name.len == 0 || str_eq(name, STR(".")))
            continue;
        fd = step_into(fd, name, rest.len == 0);
    }
    return fd;
}

static enum weir_code read_all(int fd, size_t bytes, struct buffer *out)
{
    while (bytes > 0) {
        const ssize_t got = read(fd, out->data + out->len, bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return WEIR_INVALID; /* it became shorter meanwhile, or the disk failed */
        out->len += (size_t)got;
        bytes -= (size_t)got;
    }
    return WEIR_OK;
}

static enum weir_code read_file(int fd, const char *path, struct buffer *out,
                                struct weir_error *err)
{
    struct stat info;
    struct size_text size, limit;
    if (fstat(fd, &info) != 0)
        return weir_fail_os(err, WEIR_INVALID, errno, "cannot look at '%.*s'", SHOWN(path));
    if (!S_ISREG(info.st_mode))
        return weir_fail(err, WEIR_INVALID, "'%.*s' is no regular file", SHOWN(path));
    const size_t room = out->max - out->len;
    if ((uint64_t)info.st_size > room) {
        weir_fail(err, WEIR_INVALID, "'%.*s' has %s, the limit is %s", SHOWN(path),
                  size_format((uint64_t)info.st_size, &size), size_format(room, &limit));
        if (err) {
            err->value = info.st_size;
            err->limit = (int64_t)room;
        }
        return WEIR_INVALID;
    }
    const size_t before = out->len;
    if (buffer_reserve(out, (size_t)info.st_size) == NULL) {
        out->failed = false;
        return weir_fail(err, WEIR_NO_MEMORY, "there is no memory for '%.*s'", SHOWN(path));
    }
    if (read_all(fd, (size_t)info.st_size, out) == WEIR_OK)
        return WEIR_OK;
    out->len = before;
    return weir_fail(err, WEIR_INVALID, "'%.*s' cannot be read to its end", SHOWN(path));
}

enum weir_code rooted_read(const struct rooted_roots *roots, const char *path, struct buffer *out,
                           struct weir_error *err)
{
    const struct str whole = str_of(path);
    const struct root *root = root_of(roots, whole);
    if (roots->count == 0)
        return weir_fail(err, WEIR_FORBIDDEN,
                         "files are not read: this server was given no folder of images "
                         "(--image-root)");
    if (root == NULL || goes_up(whole))
        return weir_fail(err, WEIR_FORBIDDEN,
                         "'%.*s' is under none of the folders of images (--image-root)",
                         SHOWN(path));
    const int fd = walk(root, (struct str){ path + root->len, whole.len - root->len });
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR)) /* a link to a folder is ENOTDIR */
        return weir_fail(err, WEIR_FORBIDDEN,
                         "'%.*s' leads through what is no folder; symbolic links are not followed",
                         SHOWN(path));
    if (fd < 0)
        return weir_fail_os(err, WEIR_INVALID, errno, "cannot open '%.*s'", SHOWN(path));
    const enum weir_code code = read_file(fd, path, out, err);
    close(fd);
    return code;
}
