/* rooted_file.h — files that a stranger may name: those under given folders, and no others.
 *
 * A path is walked from its root down, one name at a time, each opened in the folder before it and
 * never through a symbolic link, so that nothing that is renamed or linked meanwhile can lead out.
 * Regular files only; nothing here waits on a pipe. Blocks on a slow disk: it is for a thread of
 * its own. */
#ifndef HUB_ROOTED_FILE_H
#define HUB_ROOTED_FILE_H

#include "base/buffer.h"
#include "base/error.h"

#include <stddef.h>

struct rooted_roots;

/* Opens the folders, which must be absolute paths. WEIR_INVALID names the first that cannot be
 * opened. None at all is legal: then every path is refused. */
enum weir_code rooted_open(const char *const *folders, size_t count, struct rooted_roots **out,
                           struct weir_error *err);
void rooted_close(struct rooted_roots *roots);

/* Appends the file to `out`, whose ceiling bounds it. Touches nothing but its arguments, so that
 * several threads may read at once. WEIR_FORBIDDEN: the path is under no root, and nothing was
 * looked at; WEIR_INVALID: it cannot be read, with the reason. */
enum weir_code rooted_read(const struct rooted_roots *roots, const char *path, struct buffer *out,
                           struct weir_error *err);

#endif
