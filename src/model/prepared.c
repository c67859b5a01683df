#include "model/prepared.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"
#include "model/prepared_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Part of every header: another arrangement of header and block is another version. */
enum { FORMAT_VERSION = 1, FIELD_BYTES = 32, NAME_BYTES = 192 };

enum { SYNC_BAND = 64 * 1024 * 1024, NAP_MS = 20 };

static const char magic[8] = "weirpack";

/* The header as it lies in the file; numbers in the machine's order, which the layout implies. */
struct header {
    char magic[sizeof(magic)];
    uint32_t version;
    uint32_t header_bytes;
    uint8_t digest[DIGEST_BYTES];
    uint64_t stamp;
    char layout[FIELD_BYTES];
    char precision[FIELD_BYTES];
    uint64_t block_bytes;
    uint8_t rest[PREPARED_HEADER_BYTES - 128]; /* zeros */
};
_Static_assert(sizeof(struct header) == PREPARED_HEADER_BYTES, "a header has no holes");

/* Where one key's file is. */
struct place {
    const char *folder;
    char name[NAME_BYTES];
    char *path;      /* the file */
    char *temporary; /* what it is made in, and whose lock a maker holds */
    uint64_t bytes;  /* of the whole file */
};

static void header_of(const struct prepared_key *key, struct header *out)
{
    memset(out, 0, sizeof(*out));
    memcpy(out->magic, magic, sizeof(magic));
    out->version = FORMAT_VERSION;
    out->header_bytes = PREPARED_HEADER_BYTES;
    memcpy(out->digest, key->digest, sizeof(out->digest));
    out->stamp = key->stamp;
    CHECK(strlen(key->layout) < FIELD_BYTES && strlen(key->precision) < FIELD_BYTES);
    memcpy(out->layout, key->layout, strlen(key->layout));
    memcpy(out->precision, key->precision, strlen(key->precision));
    out->block_bytes = key->block_bytes;
}

/* Half of the digest names a model well enough: the header has all of it. */
static enum weir_code find_place(const char *folder, const struct prepared_key *key,
                                 struct place *out, struct weir_error *err)
{
    char digest[DIGEST_BYTES + 1];
    struct place p = { .folder = folder };
    if (!size_add(key->block_bytes, PREPARED_HEADER_BYTES, &p.bytes) || p.bytes > INT64_MAX ||
        p.bytes > SIZE_MAX)
        return weir_fail(err, WEIR_LOAD_FAILED, "%llu bytes of weights are more than a file holds",
                         (unsigned long long)key->block_bytes);
    for (size_t i = 0; i < DIGEST_BYTES / 2; i++)
        snprintf(digest + 2 * i, 3, "%02x", key->digest[i]);
    const int length = snprintf(p.name, sizeof(p.name), "%s-%016llx-%s-%s" PREPARED_SUFFIX, digest,
                                (unsigned long long)key->stamp, key->layout, key->precision);
    CHECK(length > 0 && (size_t)length < sizeof(p.name));
    p.path = file_join(folder, p.name);
    const size_t room = strlen(p.path) + sizeof(PREPARED_MAKING);
    p.temporary = mem_new(room, 1);
    snprintf(p.temporary, room, "%s" PREPARED_MAKING, p.path);
    *out = p;
    return WEIR_OK;
}

static void leave_place(struct place *p)
{
    mem_free(p->path);
    mem_free(p->temporary);
}

static enum weir_code fail(const char *what, const char *path, int why, struct weir_error *err)
{
    return weir_fail_os(err, WEIR_LOAD_FAILED, why, "cannot %s '%s'", what, path);
}

/* --- opening ---------------------------------------------------------------------------------- */

static enum weir_code check_file(int fd, const struct place *p, const struct header *expected,
                                 struct weir_error *err)
{
    struct stat info;
    struct header found;
    if (fstat(fd, &info) != 0)
        return fail("look at", p->path, errno, err);
    if (!S_ISREG(info.st_mode))
        return weir_fail(err, WEIR_LOAD_FAILED, "'%s' is not a regular file", p->path);
    if ((uint64_t)info.st_size != p->bytes)
        return weir_fail(err, WEIR_LOAD_FAILED, "'%s' has %lld bytes instead of %llu", p->path,
                         (long long)info.st_size, (unsigned long long)p->bytes);
    const ssize_t got = pread(fd, &found, sizeof(found), 0);
    if (got < 0)
        return fail("read", p->path, errno, err);
    if ((size_t)got != sizeof(found) || memcmp(&found, expected, sizeof(found)) != 0)
        return weir_fail(err, WEIR_LOAD_FAILED, "the header of '%s' is not what belongs there",
                         p->path);
    return WEIR_OK;
}

static enum weir_code map_block(int fd, const struct place *p, struct prepared *out,
                                struct weir_error *err)
{
    const size_t bytes = (size_t)p->bytes;
    uint8_t *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return fail("map", p->path, errno, err);
    /* Reading ahead is a wish: without it the first request reads. */
    (void)posix_madvise(map, bytes, POSIX_MADV_WILLNEED);
    *out = (struct prepared){ .block = map + PREPARED_HEADER_BYTES, .map_bytes = bytes, .fd = fd };
    return WEIR_OK;
}

/* *out_found is false, without an error, only when there is nothing of that name. */
static enum weir_code open_place(const struct place *p, const struct prepared_key *key,
                                 struct prepared *out, bool *out_found, struct weir_error *err)
{
    struct header expected;
    enum weir_code code;
    /* Not O_NONBLOCK for reading's sake: a pipe without a writer would hold us for ever. */
    const int fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *out_found = fd >= 0 || errno != ENOENT;
    if (fd < 0)
        return *out_found ? fail("open", p->path, errno, err) : WEIR_OK;
    header_of(key, &expected);
    code = prepared_folder_lock(fd, LOCK_SH) ? check_file(fd, p, &expected, err)
                                             : fail("lock", p->path, errno, err);
    if (code == WEIR_OK && !prepared_folder_has(fd, p->path)) {
        *out_found = false; /* it was removed before the lock was ours */
        close(fd);
        return WEIR_OK;
    }
    if (code == WEIR_OK)
        code = map_block(fd, p, out, err);
    if (code != WEIR_OK) {
        close(fd);
        return code;
    }
    /* The most recently used; a cache that may only be read keeps its own order. */
    (void)futimens(fd, NULL);
    return WEIR_OK;
}

enum weir_code prepared_open(const char *folder, const struct prepared_key *key,
                             struct prepared *out, struct weir_error *err)
{
    struct place p;
    bool found;
    if (find_place(folder, key, &p, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    enum weir_code code = open_place(&p, key, out, &found, err);
    if (code == WEIR_OK && !found)
        code = weir_fail(err, WEIR_LOAD_FAILED, "there is no prepared file '%s'", p.path);
    leave_place(&p);
    return code;
}

void prepared_close(struct prepared *p)
{
    if (p->block == NULL)
        return;
    munmap((uint8_t *)(uintptr_t)p->block - PREPARED_HEADER_BYTES, p->map_bytes);
    close(p->fd);
    *p = (struct prepared){ .block = NULL };
}

/* --- making ----------------------------------------------------------------------------------- */

static enum weir_code fail_room(const struct place *p, uint64_t free_bytes, struct weir_error *err)
{
    struct size_text needed, available;
    weir_fail(err, WEIR_LOAD_FAILED, "'%s' needs %s, its file system has %s free", p->path,
              size_format(p->bytes, &needed), size_format(free_bytes, &available));
    if (err != NULL) {
        err->os_errno = ENOSPC;
        err->value = (int64_t)p->bytes;
        err->limit = (int64_t)free_bytes;
    }
    return WEIR_LOAD_FAILED;
}

static uint64_t free_bytes_of(int fd)
{
    struct statvfs info;
    return fstatvfs(fd, &info) == 0 ? (uint64_t)info.f_bavail * info.f_frsize : UINT64_MAX;
}

/* Room for the whole file before any of it is written: a full disk met later, by a page of the map,
 * would be a signal. */
static enum weir_code take_room(int fd, const struct place *p, struct weir_error *err)
{
    const uint64_t free_bytes = free_bytes_of(fd);
    if (p->bytes > free_bytes)
        return fail_room(p, free_bytes, err);
    int why;
    do
        why = posix_fallocate(fd, 0, (off_t)p->bytes);
    while (why == EINTR);
    if (why == ENOSPC)
        return fail_room(p, free_bytes_of(fd), err);
    return why == 0 ? WEIR_OK : fail("take room for", p->path, why, err);
}

static void tick(const struct prepared_maker *maker)
{
    if (maker->tick != NULL)
        maker->tick(maker->context);
}

/* In bands, so that who watches the ticks sees a slow disk work. */
static enum weir_code sync_map(uint8_t *map, const struct place *p,
                               const struct prepared_maker *maker, struct weir_error *err)
{
    for (uint64_t at = 0; at < p->bytes; at += SYNC_BAND) {
        const uint64_t left = p->bytes - at;
        if (msync(map + at, (size_t)(left < SYNC_BAND ? left : SYNC_BAND), MS_SYNC) != 0)
            return fail("sync", p->temporary, errno, err);
        tick(maker);
    }
    return WEIR_OK;
}

/* Through a shared map: the block is file cache from the first byte on, and never memory that only
 * this process has. */
static enum weir_code write_block(int fd, const struct place *p, const struct prepared_key *key,
                                  const struct prepared_maker *maker, struct weir_error *err)
{
    const size_t bytes = (size_t)p->bytes;
    struct header header;
    uint8_t *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return fail("map", p->temporary, errno, err);
    header_of(key, &header);
    memcpy(map, &header, sizeof(header));
    enum weir_code code = maker->fill(maker->context, map + PREPARED_HEADER_BYTES, err);
    if (code == WEIR_OK)
        code = sync_map(map, p, maker, err);
    munmap(map, bytes);
    return code;
}

static enum weir_code sync_folder(const struct place *p, struct weir_error *err)
{
    const int fd = open(p->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = fd >= 0 && fsync(fd) == 0;
    const int why = errno;
    if (fd >= 0)
        close(fd);
    return synced ? WEIR_OK : fail("sync", p->folder, why, err);
}

/* The temporary file is ours and may hold what a dead maker wrote. */
static enum weir_code write_file(int fd, const struct place *p, const struct prepared_key *key,
                                 const struct prepared_maker *maker, struct weir_error *err)
{
    if (ftruncate(fd, 0) != 0)
        return fail("empty", p->temporary, errno, err);
    enum weir_code code = take_room(fd, p, err);
    if (code == WEIR_OK)
        code = write_block(fd, p, key, maker, err);
    if (code == WEIR_OK && fsync(fd) != 0)
        code = fail("sync", p->temporary, errno, err);
    if (code == WEIR_OK && rename(p->temporary, p->path) != 0)
        code = fail("rename", p->temporary, errno, err);
    return code == WEIR_OK ? sync_folder(p, err) : code;
}

/* Until it is ours, or is the temporary file no more: those who use the file that it became hold
 * shared locks on it for as long as they live. False with errno when neither came about;
 * EWOULDBLOCK: within PREPARED_WAIT_MS. */
static bool wait_for_lock(int fd, const struct place *p, const struct prepared_maker *maker)
{
    const int64_t until_ms = clock_ms() + PREPARED_WAIT_MS;
    while (!prepared_folder_lock(fd, LOCK_EX | LOCK_NB)) {
        const int why = errno;
        if (why == EWOULDBLOCK && !prepared_folder_has(fd, p->temporary))
            return true;
        errno = why;
        if (why != EWOULDBLOCK || clock_ms() >= until_ms)
            return false;
        clock_sleep_ms(NAP_MS);
        tick(maker);
    }
    return true;
}

/* Opens the temporary file and holds its lock. Whoever waited for a maker finds that the file it
 * has opened is not the temporary one any more, and looks again. */
static enum weir_code lock_temporary(const struct place *p, const struct prepared_maker *maker,
                                     int *out_fd, struct weir_error *err)
{
    for (;;) {
        const int fd = open(p->temporary, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (fd < 0)
            return fail("make", p->temporary, errno, err);
        if (!wait_for_lock(fd, p, maker)) {
            const int why = errno;
            close(fd);
            return fail("lock", p->temporary, why, err);
        }
        if (prepared_folder_has(fd, p->temporary)) {
            *out_fd = fd;
            return WEIR_OK;
        }
        close(fd);
    }
}

static bool is_there(const struct place *p, const struct prepared_key *key)
{
    struct prepared found;
    bool exists;
    if (open_place(p, key, &found, &exists, NULL) != WEIR_OK || !exists)
        return false;
    prepared_close(&found);
    return true;
}

static uint64_t bound_of(const struct place *p, int fd, uint64_t bound_bytes)
{
    uint64_t room;
    if (bound_bytes > 0)
        return bound_bytes;
    if (!size_add(free_bytes_of(fd), prepared_folder_bytes(p->folder), &room))
        room = UINT64_MAX;
    return room / 2 < PREPARED_BYTES_MAX ? room / 2 : PREPARED_BYTES_MAX;
}

static enum weir_code make(const struct place *p, const struct prepared_key *key,
                           uint64_t bound_bytes, const struct prepared_maker *maker,
                           struct weir_error *err)
{
    int fd = -1;
    if (!file_make_folders(p->folder))
        return fail("make the folder", p->folder, errno, err);
    enum weir_code code = lock_temporary(p, maker, &fd, err);
    if (code != WEIR_OK)
        return code;
    if (is_there(p, key)) {
        unlink(p->temporary);
    } else {
        const uint64_t bound = bound_of(p, fd, bound_bytes);
        prepared_folder_clean(p->folder, p->name, bound > p->bytes ? bound - p->bytes : 0);
        code = write_file(fd, p, key, maker, err);
        if (code != WEIR_OK)
            unlink(p->temporary);
    }
    close(fd);
    return code;
}

enum weir_code prepared_make(const char *folder, const struct prepared_key *key,
                             uint64_t bound_bytes, const struct prepared_maker *maker,
                             struct weir_error *err)
{
    struct place p;
    if (find_place(folder, key, &p, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    enum weir_code code = WEIR_OK;
    if (!is_there(&p, key))
        code = make(&p, key, bound_bytes, maker, err);
    leave_place(&p);
    return code;
}
