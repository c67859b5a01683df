#include "cmd/stderr_log.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/jsonw.h"
#include "base/size.h"

#include <stdio.h>
#include <time.h>

_Static_assert((int)WEIR_LOG_DEBUG == (int)LOG_DEBUG && (int)WEIR_LOG_ERROR == (int)LOG_ERROR,
               "the library's levels are those of base/log.h");

/* "2030-01-31T23:59:59.123Z" */
static void print_time(char *out, size_t room)
{
    const int64_t wall_ms = clock_wall_ms();
    const time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    char date[32];
    gmtime_r(&seconds, &parts);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts);
    str_print(out, room, "%s.%03dZ", date, (int)(wall_ms % 1000));
}

/* The whole line in one write, so that lines of several programs do not mix. */
static void write_line(void *context, enum log_level level, const char *line)
{
    const struct stderr_log *const l = context;
    char when[48];
    if (level < l->least)
        return;
    print_time(when, sizeof(when));
    if (!l->json) {
        fprintf(stderr, "%s %-5s %s\n", when, log_level_name(level), line);
        return;
    }
    struct buffer out;
    struct jsonw j;
    buffer_init(&out, 64 * KiB);
    jsonw_init(&j, &out);
    jsonw_object(&j);
    jsonw_key(&j, "time"), jsonw_text(&j, when);
    jsonw_key(&j, "level"), jsonw_text(&j, log_level_name(level));
    jsonw_key(&j, "text"), jsonw_text(&j, line);
    jsonw_end(&j);
    buffer_text(&out, "\n");
    if (!out.failed)
        fwrite(out.data, 1, out.len, stderr);
    buffer_finish(&out);
}

struct log stderr_log_of(struct stderr_log *l)
{
    return (struct log){ .sink = write_line, .context = l, .least = l->least };
}

void stderr_log_pool(void *context, enum weir_log_level level, const char *line)
{
    write_line(context, (enum log_level)level, line);
}
