#include "model/prepared_folder.h"

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Sanity of a folder that anyone may fill; more files than this are seen the next time. */
enum { ENTRIES_MAX = 4096 };

struct entry {
    char *path;
    uint64_t bytes;
    struct timespec used;
    bool is_making, is_except;
};

struct entries {
    struct entry *items;
    size_t count;
};

bool prepared_folder_lock(int fd, int how)
{
    int got;
    do
        got = flock(fd, how);
    while (got != 0 && errno == EINTR);
    return got == 0;
}

bool prepared_folder_has(int fd, const char *path)
{
    struct stat opened, named;
    return fstat(fd, &opened) == 0 && lstat(path, &named) == 0 && opened.st_dev == named.st_dev &&
           opened.st_ino == named.st_ino;
}

static bool ends_with(const char *name, const char *end)
{
    const size_t length = strlen(name), tail = strlen(end);
    return length > tail && strcmp(name + length - tail, end) == 0;
}

static bool begins_with(const char *name, const char *start)
{
    return strncmp(name, start, strlen(start)) == 0;
}

/* `except` may be NULL. Files of other names are none of ours. */
static void list(const char *folder, const char *except, struct entries *out)
{
    DIR *dir = opendir(folder);
    *out = (struct entries){ .items = mem_new(ENTRIES_MAX, sizeof(*out->items)) };
    if (dir == NULL)
        return;
    for (const struct dirent *d = readdir(dir); d != NULL && out->count < ENTRIES_MAX;
         d = readdir(dir)) {
        const bool is_making = ends_with(d->d_name, PREPARED_SUFFIX PREPARED_MAKING);
        struct stat info;
        if (!is_making && !ends_with(d->d_name, PREPARED_SUFFIX))
            continue;
        char *path = file_join(folder, d->d_name);
        if (lstat(path, &info) != 0 || !S_ISREG(info.st_mode)) {
            mem_free(path);
            continue;
        }
        out->items[out->count++] =
            (struct entry){ .path = path,
                            .bytes = (uint64_t)info.st_blocks * 512,
                            .used = info.st_mtim,
                            .is_making = is_making,
                            .is_except = except != NULL && begins_with(d->d_name, except) };
    }
    closedir(dir);
}

static void list_finish(struct entries *e)
{
    for (size_t i = 0; i < e->count; i++)
        mem_free(e->items[i].path);
    mem_free(e->items);
}

uint64_t prepared_folder_bytes(const char *folder)
{
    struct entries e;
    uint64_t bytes = 0;
    list(folder, NULL, &e);
    for (size_t i = 0; i < e.count; i++)
        bytes += e.items[i].bytes;
    list_finish(&e);
    return bytes;
}

/* Only what nobody holds, and only if the name is still its own. */
static bool remove_unused(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    const bool removed = fd >= 0 && prepared_folder_lock(fd, LOCK_EX | LOCK_NB) &&
                         prepared_folder_has(fd, path) && unlink(path) == 0;
    if (fd >= 0)
        close(fd);
    return removed;
}

static int by_use(const void *left, const void *right)
{
    const struct timespec a = ((const struct entry *)left)->used;
    const struct timespec b = ((const struct entry *)right)->used;
    if (a.tv_sec != b.tv_sec)
        return a.tv_sec < b.tv_sec ? -1 : 1;
    return (a.tv_nsec > b.tv_nsec) - (a.tv_nsec < b.tv_nsec);
}

void prepared_folder_clean(const char *folder, const char *except, uint64_t most_bytes)
{
    struct entries e;
    uint64_t bytes = 0;
    list(folder, except, &e);
    for (size_t i = 0; i < e.count; i++) {
        const struct entry *x = &e.items[i];
        if (!x->is_except && !(x->is_making && remove_unused(x->path)))
            bytes += x->bytes;
    }
    qsort(e.items, e.count, sizeof(*e.items), by_use);
    for (size_t i = 0; i < e.count && bytes > most_bytes; i++) {
        const struct entry *x = &e.items[i];
        if (!x->is_except && !x->is_making && remove_unused(x->path))
            bytes -= x->bytes;
    }
    list_finish(&e);
}
