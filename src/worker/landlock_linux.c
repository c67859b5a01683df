#define _GNU_SOURCE
#include "worker/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's interface, written down here because Debian 12's headers end at version 2. */
enum { CREATE_VERSION = 1, RULE_PATH_BENEATH = 1 };

struct ruleset {
    uint64_t files;   /* version 1 */
    uint64_t network; /* 4 */
    uint64_t scoped;  /* 6 */
};

struct rule {
    uint64_t allowed;
    int32_t folder;
} __attribute__((packed));

enum {
    WRITE_FILE = 1 << 1,
    READ_FILE = 1 << 2,
    READ_DIR = 1 << 3,
    REMOVE_DIR = 1 << 4,
    REMOVE_FILE = 1 << 5,
    MAKE_DIR = 1 << 7,
    MAKE_REG = 1 << 8,
    TRUNCATE = 1 << 14, /* version 3 */

    READS = READ_FILE | READ_DIR,
    WRITES = READS | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | TRUNCATE
};

/* All that a version knows: the highest right on files, and whether it knows the rest. */
static struct ruleset everything_of(int version)
{
    static const int files[] = { 0, 13, 14, 15, 15, 16 };
    const int known = (int)(sizeof(files) / sizeof(files[0])) - 1;
    const int rights = files[version < known ? version : known];
    return (struct ruleset){ .files = (UINT64_C(1) << rights) - 1,
                             .network = version >= 4 ? 3 : 0,  /* bind and connect */
                             .scoped = version >= 6 ? 3 : 0 }; /* abstract sockets and signals */
}

static bool allow_below(int rules, const char *folder, uint64_t allowed)
{
    const int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const struct rule rule = { .allowed = allowed, .folder = fd };
    const bool added = syscall(SYS_landlock_add_rule, rules, RULE_PATH_BENEATH, &rule, 0) == 0;
    close(fd);
    return added;
}

int landlock_enter(const struct landlock_rules *rules)
{
    const long version = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, CREATE_VERSION);
    if (version < 1)
        return 0;
    const struct ruleset all = everything_of((int)version);
    const int fd = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
    if (fd < 0)
        return 0;
    /* A folder that cannot be opened is one where nothing may be written. */
    bool entered = !rules->reads || allow_below(fd, "/", READS);
    if (entered && rules->folder != NULL)
        (void)allow_below(fd, rules->folder, WRITES & all.files);
    entered = entered && syscall(SYS_landlock_restrict_self, fd, 0) == 0;
    close(fd);
    return entered ? (int)version : 0;
}
