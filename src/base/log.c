#include "base/log.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Most lines fit the stack; the last words of a worker need more, and get it from the heap. */
enum { LINE_ROOM = 512, LINE_ROOM_MOST = 16 * 1024 };

static const char *const level_names[] = {
#define X(NAME, name) [LOG_##NAME] = name,
    LOG_LEVELS(X)
#undef X
};

void log_write(const struct log *log, enum log_level level, const char *module, const char *format,
               ...)
{
    if (log == NULL || log->sink == NULL || level < log->least)
        return;
    char short_line[LINE_ROOM];
    char *line = short_line, *long_line = NULL;
    va_list args;
    str_print(line, sizeof(short_line), "%s: ", module);
    const size_t at = strlen(line);
    va_start(args, format);
    const int text_len = vsnprintf(line + at, sizeof(short_line) - at, format, args);
    va_end(args);
    size_t room = at + 1 + (size_t)(text_len > 0 ? text_len : 0);
    if (room > LINE_ROOM_MOST)
        room = LINE_ROOM_MOST;
    if (room > sizeof(short_line))
        long_line = mem_try(room, 1); /* without memory a long line is cut */
    if (long_line != NULL) {
        line = long_line;
        memcpy(line, short_line, at);
        va_start(args, format);
        str_vprint(line + at, room - at, format, args);
        va_end(args);
    }
    str_blank_controls(line); /* a line stays one line */
    log->sink(log->context, level, line);
    mem_free(long_line);
}

const char *log_level_name(enum log_level level)
{
    return (unsigned)level < LOG_LEVEL_COUNT ? level_names[level] : "unknown";
}

bool log_level_parse(const char *name, enum log_level *out)
{
    for (size_t i = 0; i < ARRAY_COUNT(level_names); i++) {
        if (str_eq_ignore_case(str_of(name), str_of(level_names[i]))) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}
