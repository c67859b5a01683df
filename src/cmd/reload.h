/* reload.h — makes a running pool what a new configuration says.
 *
 * Models that are gone leave, new ones come, changed ones give way to their successors, which
 * costs no request: what was accepted is served by those who accepted it. The budget moves at once.
 * What can only be said at the start is named in the log and stays as it was. */
#ifndef CMD_RELOAD_H
#define CMD_RELOAD_H

#include "base/log.h"
#include "cmd/serve_config.h"

#include "weir/weir.h"

#include <stddef.h>

struct reload_counts {
    size_t added, changed, removed, failed; /* models */
};

/* `started` is what the server began with, `was` what it was told last, `now` was read without an
 * error. A model that the pool refuses is logged and counted. */
struct reload_counts reload_apply(struct weir *pool, const struct log *log,
                                  const struct serve_config *started,
                                  const struct serve_config *was, const struct serve_config *now);

#endif
