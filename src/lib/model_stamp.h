/* model_stamp.h — a number by which the files of a model are told from what they were.
 *
 * It covers every file and folder below the path: name, inode, size and times of change, links
 * followed, so that a file that comes, goes or is replaced makes another number. Reads no file. */
#ifndef LIB_MODEL_STAMP_H
#define LIB_MODEL_STAMP_H

#include <stdint.h>

#define MODEL_STAMP_FILES_MAX 4096
#define MODEL_STAMP_DEPTH_MAX 8

/* A file that changed just now may change again without showing it: some file systems count whole
 * seconds, FAT two of them. */
#define MODEL_STAMP_SETTLED_MS 2500

/* 0 when nothing can be promised: the path leads nowhere, something cannot be looked at, there are
 * too many files or too deep ones, or one has changed too lately before `wall_ms`, now. */
uint64_t model_stamp(const char *path, int64_t wall_ms);

#endif
