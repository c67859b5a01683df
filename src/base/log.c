#include "base/log.h"

#include "base/check.h"
#include "base/str.h"

#include <stdarg.h>

enum { LINE_ROOM = 1024 };

static const char *const level_names[] = {
#define X(NAME, name) [LOG_##NAME] = name,
    LOG_LEVELS(X)
#undef X
};

/* A line stays one line: text that came from outside must not forge a second one, nor reach a
 * terminal with escape codes, of which U+0080 to U+009F (c2 80 to c2 9f) are the second set. */
static void blank_control_characters(char *line)
{
    for (char *at = line; *at != '\0'; at++) {
        const unsigned char c = (unsigned char)at[0], next = (unsigned char)at[1];
        if (c < 0x20 || c == 0x7f)
            at[0] = ' ';
        else if (c == 0xc2 && next >= 0x80 && next < 0xa0)
            at[0] = at[1] = ' ';
    }
}

void log_write(const struct log *log, enum log_level level, const char *module, const char *format,
               ...)
{
    if (log == NULL || log->sink == NULL || level < log->least)
        return;
    char text[LINE_ROOM];
    va_list args;
    va_start(args, format);
    str_vprint(text, sizeof(text), format, args);
    va_end(args);
    char line[LINE_ROOM];
    str_print(line, sizeof(line), "%s: %s", module, text);
    blank_control_characters(line);
    log->sink(log->context, level, line);
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
