/* stderr_log.h — where the program's log lines go: stderr, with time and level, as text or as one
 * JSON object a line. Serves both the pool's log callback and the server's struct log. */
#ifndef CMD_STDERR_LOG_H
#define CMD_STDERR_LOG_H

#include "base/log.h"

#include "weir/weir.h"

#include <stdbool.h>

struct stderr_log {
    enum log_level least;
    bool json;
};

/* The log for server_options.log; borrows `l`. */
struct log stderr_log_of(struct stderr_log *l);

/* For weir_options.log, with the struct stderr_log as its context. */
void stderr_log_pool(void *context, enum weir_log_level level, const char *line);

#endif
