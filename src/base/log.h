/* log.h — one line per fact, to a sink that the owner of the process or library chose.
 *
 * Library code never logs an error that it returns. A line is "module: text key=value…", cut at
 * 16 KiB; the sink adds time and level. struct log is passed, not global, so that two pools can log
 * apart. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#define LOG_LEVELS(X) X(DEBUG, "debug") X(INFO, "info") X(WARN, "warn") X(ERROR, "error")

enum log_level {
#define X(NAME, name) LOG_##NAME,
    LOG_LEVELS(X)
#undef X
        LOG_LEVEL_COUNT
};

struct log {
    void (*sink)(void *context, enum log_level level, const char *line); /* NULL: silent */
    void *context;
    enum log_level least;
};

void log_write(const struct log *log, enum log_level level, const char *module, const char *format,
               ...) __attribute__((format(printf, 4, 5)));
const char *log_level_name(enum log_level level);
bool log_level_parse(const char *name, enum log_level *out);

#endif
