/* file.h — whole files in, whole files out. Opening one never waits, whatever is at the path. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Appends the file to `out`, whose ceiling bounds it. WEIR_INVALID names the path and what
 * happened; then `out` has what it had. */
enum weir_code file_read(const char *path, struct buffer *out, struct weir_error *err);
/* Writes beside the path, syncs, renames: the old file or the new one, never half. The mode of
 * an old file is kept. WEIR_INTERNAL names the path and what happened. */
enum weir_code file_write_atomic(const char *path, const void *data, size_t bytes,
                                 struct weir_error *err);
/* The same without the sync, for who may not wait for a disk and can do without the file: after a
 * loss of power it may be empty. */
enum weir_code file_write_cache(const char *path, const void *data, size_t bytes,
                                struct weir_error *err);
bool file_exists(const char *path); /* errno says why not, here and below */
bool file_is_folder(const char *path);
bool file_is_regular(const char *path);
bool file_is_link(const char *path); /* symbolic, wherever it leads or not */
/* Makes the folder and those above it that are missing, for this user alone; false with errno when
 * there is none in the end. */
bool file_make_folders(const char *path);
/* "folder/name", caller frees with mem_free. */
char *file_join(const char *folder, const char *name);

/* A file mapped read-only; an empty file or one that is not regular is WEIR_INVALID. Unmapped by
 * file_unmap; zeroed struct is "nothing mapped". */
struct file_map {
    const uint8_t *data;
    size_t size;
    uint64_t inode;
    int64_t mtime_ns;
};
enum weir_code file_map_open(const char *path, struct file_map *out, struct weir_error *err);
void file_unmap(struct file_map *map);

#endif
