#include "lib/model_stamp.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

struct walk {
    uint64_t sum; /* of a hash an entry: folders are read in any order */
    size_t files;
    int64_t settled_before_ns;
};

static int64_t ns_of(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool add_entry(struct walk *w, const char *path, const struct stat *info)
{
    const int64_t modified = ns_of(info->st_mtim), changed = ns_of(info->st_ctim);
    const uint64_t facts[] = { str_hash(str_of(path)),  (uint64_t)info->st_ino,
                               (uint64_t)info->st_size, (uint64_t)info->st_mode,
                               (uint64_t)info->st_uid,  (uint64_t)info->st_gid,
                               (uint64_t)modified,      (uint64_t)changed };
    w->sum += str_hash((struct str){ (const char *)facts, sizeof facts });
    return ++w->files <= MODEL_STAMP_FILES_MAX && changed < w->settled_before_ns;
}

/* A link to nothing is a fact like any other: what it leads to may come. */
static bool look(const char *path, struct stat *out)
{
    if (stat(path, out) == 0)
        return true;
    return errno == ENOENT && lstat(path, out) == 0;
}

static bool walk(struct walk *w, const char *path, int depth)
{
    struct stat info;
    if (depth > MODEL_STAMP_DEPTH_MAX || !look(path, &info) || !add_entry(w, path, &info))
        return false;
    if (!S_ISDIR(info.st_mode))
        return true;
    DIR *const folder = opendir(path);
    bool ok = folder != NULL;
    for (struct dirent *entry; ok && (entry = readdir(folder)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *const below = file_join(path, entry->d_name);
        ok = walk(w, below, depth + 1);
        mem_free(below);
    }
    if (folder != NULL)
        closedir(folder);
    return ok;
}

uint64_t model_stamp(const char *path, int64_t wall_ms)
{
    struct walk w = { .settled_before_ns = (wall_ms - MODEL_STAMP_SETTLED_MS) * 1000000 };
    if (!file_exists(path) || !walk(&w, path, 0))
        return 0;
    return w.sum != 0 ? w.sum : 1;
}
