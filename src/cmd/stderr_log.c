#include "cmd/stderr_log.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/jsonw.h"
#include "base/size.h"

#include <stdio.h>
#include <string.h>
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

static bool is_name(struct str s)
{
    static const char legal[] = "abcdefghijklmnopqrstuvwxyz_";
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] == '\0' || strchr(legal, s.data[i]) == NULL)
            return false;
    return s.len > 0;
}

/* A name that looks like a number is a text all the same. */
static void write_value(struct jsonw *j, const char *key, struct str value)
{
    static const char *const texts[] = { "id", "route", "model", "client", "problem" };
    bool is_text = false;
    int64_t number;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        is_text = is_text || strcmp(key, texts[i]) == 0;
    if (str_eq(value, STR("-")))
        jsonw_null(j);
    else if (!is_text && str_to_i64(value, &number))
        jsonw_i64(j, number);
    else
        jsonw_str(j, value);
}

/* The `key=value` words of a request's line, as fields of the object; `problem` takes the rest. */
static void write_fields(struct jsonw *j, struct str line)
{
    struct str word, name, value;
    while (line.len > 0) {
        struct str rest = line;
        str_cut(rest, ' ', &word, &line);
        if (!str_cut(word, '=', &name, &value) || !is_name(name))
            continue;
        if (str_eq(name, STR("problem"))) {
            value.len += line.len + (line.len > 0 ? 1 : 0);
            line.len = 0;
        }
        char key[32];
        str_print(key, sizeof(key), "%.*s", (int)(name.len < 31 ? name.len : 31), name.data);
        jsonw_key(j, key), write_value(j, key, value);
    }
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
    if (str_starts(str_of(line), STR("http: ")))
        write_fields(&j, str_of(line));
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
