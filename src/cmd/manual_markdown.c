/* manual_markdown.c — docs/reference.md. */
#include "cmd/manual.h"

#include "base/check.h"
#include "base/size.h"
#include "base/str.h"
#include "cmd/serve_models.h"
#include "cmd/serve_options.h"
#include "cmd/variables.h"
#include "cmd/verb.h"
#include "server/field_list.h"
#include "server/http_reply.h"
#include "server/router.h"
#include "server/server.h"

#include "weir/limits.h"
#include "weir/weir.h"

#include <string.h>

#define METRICS_MAX (16 * MiB)

/* In a cell of a table. */
static void write_cell(struct buffer *out, const char *text)
{
    for (; text != NULL && *text != '\0'; text++) {
        if (strchr("|<*", *text) != NULL)
            buffer_u8(out, '\\');
        buffer_u8(out, (uint8_t)*text);
    }
}

/* "`a`, `b`" of "a|b". */
static void write_words(struct buffer *out, const char *words)
{
    struct str rest = str_of(words), word;
    for (const char *separator = ""; rest.len > 0; separator = ", ") {
        str_cut(rest, '|', &word, &rest);
        buffer_printf(out, "%s`%.*s`", separator, STR_ARG(word));
    }
}

static void write_value(struct buffer *out, const struct option *row)
{
    char range[96];
    options_range(row, range, sizeof(range));
    if (row->choices != NULL)
        write_words(out, row->choices);
    else if (range[0] != '\0')
        write_cell(out, range);
    else
        write_cell(out, row->type == OPTION_FLAG ? "yes or no" : row->argument);
}

static void write_default(struct buffer *out, const struct option *row)
{
    if (row->fallback_says == NULL && row->fallback != NULL)
        buffer_printf(out, "`%s`", row->fallback);
    else
        write_cell(out, row->fallback_says);
}

static void write_options(struct buffer *out, const struct option *table, size_t count)
{
    char variable[96];
    buffer_text(out,
                "| option | value | default | environment | meaning |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < count; i++) {
        const struct option *const row = &table[i];
        buffer_printf(out, "| `--%s`", row->name);
        if (row->letter != '\0')
            buffer_printf(out, ", `-%c`", row->letter);
        buffer_text(out, " | ");
        if (row->type != OPTION_FLAG)
            write_value(out, row);
        buffer_text(out, " | ");
        write_default(out, row);
        options_variable(row, variable, sizeof(variable));
        buffer_printf(out, variable[0] != '\0' ? " | `%s` | " : " | %s | ", variable);
        write_cell(out, row->help);
        buffer_text(out, row->type == OPTION_LIST ? " May be given more than once. |\n" : " |\n");
    }
}

static void write_verbs(struct buffer *out)
{
    buffer_text(out,
                "## Verbs\n\nOptions are written `--name value` or `--name=value`; `--` ends "
                "them. Exit status: 0 success, 1 failure, 2 wrong usage,\n128 and the number of "
                "a signal when that ended it.\n");
    for (size_t i = 0; i < verbs_count; i++) {
        const struct verb *const verb = verbs[i];
        buffer_printf(out, "\n### weir %s\n\n```\nweir %s%s%s%s\n\n%s\n```\n", verb->name,
                      verb->name, verb->options_count > 0 ? " [options]" : "",
                      verb->arguments[0] != '\0' ? " " : "", verb->arguments, verb->details);
        if (verb->options_count > 0) {
            buffer_u8(out, '\n');
            write_options(out, verb->options, verb->options_count);
        }
    }
}

static void write_environment(struct buffer *out)
{
    buffer_text(out, "\n## Environment\n\nThe variables of options stand with them; besides:\n\n"
                     "| variable | meaning |\n|---|---|\n");
#define X(name, says)                                                                              \
    buffer_printf(out, "| `%s` | ", name);                                                         \
    write_cell(out, says);                                                                         \
    buffer_text(out, " |\n");
    VARIABLES(X)
#undef X
}

static void write_configuration(struct buffer *out)
{
    buffer_text(out, "\n## Configuration file\n\nBefore the first section, or in `[serve]`:");
    const char *separator = " ";
    for (size_t i = 0; i < SERVE_OPTIONS_COUNT; i++) {
        if (serve_options_table[i].flag_only)
            continue;
        buffer_printf(out, "%s`%s`", separator, serve_options_table[i].name);
        separator = i % 8 == 7 ? ",\n" : ", ";
    }
    buffer_text(out,
                ",\nas for `weir serve`. In `[limits]`: the limits below. In `[model NAME]`:\n\n"
                "| key | value | default | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < serve_models_keys_count; i++) {
        const struct option *const row = &serve_models_keys[i];
        buffer_printf(out, "| `%s` | ", row->name);
        write_value(out, row);
        buffer_text(out, " | ");
        if (row->type == OPTION_FLAG)
            buffer_text(out, "no");
        else
            write_default(out, row);
        buffer_text(out, " | ");
        write_cell(out, row->help);
        buffer_text(out, " |\n");
    }
}

static void write_routes(struct buffer *out)
{
    buffer_text(out, "\n## HTTP\n\nA path that ends in `/` takes the rest of the path, "
                     "percent-encoded. `HEAD` is answered wherever `GET` is, `OPTIONS`\n"
                     "everywhere.\n\n| method | path | answer |\n|---|---|---|\n");
    for (size_t i = 0; i < router_count(); i++) {
        const struct route *const route = router_at(i);
        buffer_printf(out, "| `%s` | `%s` | ", route->method, route->path);
        write_cell(out, route->says);
        buffer_text(out, " |\n");
    }
}

static void write_fields(struct buffer *out)
{
    buffer_text(out, "\nFields of JSON bodies; fields that are not known are ignored:\n\n"
                     "| path | field | value | meaning |\n|---|---|---|---|\n");
#define X(path, name, value, says)                                                                 \
    buffer_printf(out, path[0] != '\0' ? "| `%s` | `%s` | %s | " : "| all%s | `%s` | %s | ", path, \
                  name, value);                                                                    \
    write_cell(out, says);                                                                         \
    buffer_text(out, " |\n");
    FIELD_LIST(X)
#undef X
}

static void write_limits(struct buffer *out)
{
    buffer_text(out, "\n## Limits\n\nSet by `--limit NAME=VALUE`, in `[limits]`, or by "
                     "`WEIR_LIMIT_NAME`. Names in `_ms` also take `10s`, names in\n`_bytes` also "
                     "`8MiB`.\n\n| limit | default | least | meaning |\n|---|---|---|---|\n");
#define POOL_ROW(name, value, least, says)                                                         \
    buffer_printf(out, "| `%s` | %lld | %d | %s |\n", #name, (long long)(value), least, says);
#define ROW(name, value, says) POOL_ROW(name, value, 1, says)
    SERVER_LIMITS(ROW)
    WEIR_LIMITS(POOL_ROW)
#undef ROW
#undef POOL_ROW
}

static void write_errors(struct buffer *out)
{
    buffer_text(out,
                "\n## Errors\n\n`{\"error\":{\"message\",\"type\",\"param\",\"code\"}}`; what a "
                "retry cannot help has `x-should-retry: false`, 429 and 503 have\n"
                "`Retry-After`.\n\n| code | status | type | retry | meaning |\n"
                "|---|---|---|---|---|\n");
    for (enum weir_code code = WEIR_OK + 1; code < WEIR_CODE_COUNT; code++)
        buffer_printf(out, "| `%s` | %d | `%s` | %s | %s |\n", error_name(code),
                      error_http_status(code), http_reply_type(error_http_status(code)),
                      error_retryable(code) ? "yes" : "no", error_says(code));
}

/* --- metrics ---------------------------------------------------------------------------------- */

static void on_closed(void *context)
{
    *(bool *)context = true;
}

/* The text of GET /metrics of a server that serves nothing. */
static enum weir_code read_metrics(struct buffer *out, struct weir_error *err)
{
    struct weir *const pool =
        weir_open(&(struct weir_options){ .size = sizeof(struct weir_options) }, err);
    struct server *server = NULL;
    uv_loop_t loop;
    bool closed = false;
    if (pool == NULL)
        return err->code;
    CHECK(uv_loop_init(&loop) == 0);
    enum weir_code code = server_create(&loop, pool, &(struct server_options){ 0 }, &server, err);
    if (code == WEIR_OK) {
        code = server_metrics(server, out, err);
        server_close(server, 0, on_closed, &closed);
        while (!closed)
            uv_run(&loop, UV_RUN_ONCE);
        server_destroy(server);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop) == 0);
    weir_close(pool);
    return code;
}

/* "# HELP name text" and "# TYPE name type" make a row. */
static enum weir_code write_metrics(struct buffer *out, struct weir_error *err)
{
    struct buffer text;
    struct str rest, line, name, help = { "", 0 }, behind;
    buffer_init(&text, METRICS_MAX);
    const enum weir_code code = read_metrics(&text, err);
    rest = buffer_view(&text);
    buffer_text(out, "\n## Metrics\n\nWhat `GET /metrics` answers; docs/monitoring.md says more of "
                     "their labels.\n\n| family | type | meaning |\n|---|---|---|\n");
    while (rest.len > 0) {
        str_cut(rest, '\n', &line, &rest);
        if (str_starts(line, STR("# HELP "))) {
            str_cut((struct str){ line.data + 7, line.len - 7 }, ' ', &name, &help);
        } else if (str_starts(line, STR("# TYPE "))) {
            str_cut((struct str){ line.data + 7, line.len - 7 }, ' ', &name, &behind);
            buffer_printf(out, "| `%.*s` | %.*s | %.*s |\n", STR_ARG(name), STR_ARG(behind),
                          STR_ARG(help));
        }
    }
    buffer_finish(&text);
    return code;
}

enum weir_code manual_markdown(struct buffer *out, struct weir_error *err)
{
    buffer_text(out,
                "# Reference\n\nWritten by `weir help --format markdown` from the tables of the "
                "program; a test holds the two equal.\n\n");
    write_verbs(out);
    write_environment(out);
    write_configuration(out);
    write_routes(out);
    write_fields(out);
    write_limits(out);
    write_errors(out);
    return write_metrics(out, err);
}
