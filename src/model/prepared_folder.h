/* prepared_folder.h — the folder that prepared files are in: locks, its size, and who leaves it.
 *
 * Every process of the machine may work on it at any moment, so a name proves nothing: what is
 * locked is looked at again. A file is locked shared by who uses it, and exclusively by who makes
 * or removes it; nothing that is locked is removed. */
#ifndef MODEL_PREPARED_FOLDER_H
#define MODEL_PREPARED_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#define PREPARED_SUFFIX ".packed"
#define PREPARED_MAKING ".making" /* behind the suffix: a file that is being made */

/* Takes the lock, LOCK_SH or LOCK_EX with or without LOCK_NB; false with errno. */
bool prepared_folder_lock(int fd, int how);

/* Whether the open file is still the one of that name. */
bool prepared_folder_has(int fd, const char *path);

/* Bytes of its prepared files on the disk. */
uint64_t prepared_folder_bytes(const char *folder);

/* Removes what dead makers left, then prepared files that nobody uses, the least recently opened
 * first, until the rest is at most `most_bytes`. The file named `except` and the temporary one of
 * that name are left alone and not counted. */
void prepared_folder_clean(const char *folder, const char *except, uint64_t most_bytes);

#endif
