#include "cmd/serve_options.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/size.h"
#include "cmd/model_ref.h"

#include <string.h>

#define LEAST_MS   1
#define MOST_MS    (INT64_C(365) * 24 * 3600 * 1000)
#define AT(member) offsetof(struct serve_options, member)

#define LEVEL_WORD(NAME, name) "|" name

const struct option serve_options_table[SERVE_OPTIONS_COUNT] = {
    OPTION(.name = "listen", .type = OPTION_LIST, .offset = AT(listen), .argument = "HOST:PORT",
           .environment = "WEIR_LISTEN", .fallback = "127.0.0.1:9347",
           .help = "Address to listen on; port 0 takes a free one."),
    OPTION(.name = "model", .type = OPTION_LIST, .offset = AT(models), .argument = "NAME=PATH",
           .environment = "WEIR_MODEL",
           .help = "Model to serve under that name: a folder in Hugging Face layout or fake:."),
    OPTION(.name = "memory", .type = OPTION_MEMORY, .offset = AT(memory), .argument = "SIZE",
           .environment = "WEIR_MEMORY",
           .fallback_says = "80 % of the machine or its cgroup less 2 GiB, at least half of it",
           .help = "Budget for models: 6GiB, 8192MiB, 50%."),
    OPTION(.name = "threads", .type = OPTION_INTEGER, .offset = AT(threads), .argument = "N",
           .environment = "WEIR_THREADS", .fallback_says = "the cores", .least = 1, .most = 1024,
           .help = "Compute threads that all workers share."),
    OPTION(.name = "max-workers", .type = OPTION_INTEGER, .offset = AT(max_workers),
           .argument = "N", .environment = "WEIR_MAX_WORKERS", .fallback = "4", .least = 1,
           .most = 64, .help = "Most workers of a model."),
    OPTION(.name = "min-workers", .type = OPTION_INTEGER, .offset = AT(min_workers),
           .argument = "N", .environment = "WEIR_MIN_WORKERS", .fallback = "0", .least = 0,
           .most = 64, .help = "Workers of a model that stay loaded."),
    OPTION(.name = "idle", .type = OPTION_DURATION, .offset = AT(idle_ms), .argument = "SECONDS",
           .environment = "WEIR_IDLE", .fallback = "60", .least = LEAST_MS, .most = MOST_MS,
           .help = "One worker of a model leaves each time the model was quiet for so long."),
    OPTION(.name = "idle-label", .type = OPTION_DURATION, .offset = AT(idle_label_ms),
           .argument = "SECONDS", .environment = "WEIR_IDLE_LABEL",
           .fallback_says = "30, or --idle where that is less", .least = LEAST_MS, .most = MOST_MS,
           .help = "A worker that was quiet for so long is called Idle; at most --idle."),
    OPTION(.name = "allow-host", .type = OPTION_LIST, .offset = AT(allow_hosts), .argument = "NAME",
           .environment = "WEIR_ALLOW_HOST",
           .help =
               "Name that the Host header may carry besides the listen addresses and localhost."),
    OPTION(.name = "allow-origin", .type = OPTION_LIST, .offset = AT(allow_origins),
           .argument = "URL", .environment = "WEIR_ALLOW_ORIGIN",
           .help = "Origin whose web pages may send requests, besides those of this machine."),
    OPTION(.name = "limit", .type = OPTION_LIST, .offset = AT(limits), .argument = "NAME=VALUE",
           .environment = "WEIR_LIMIT_",
           .help =
               "Limit of that name, such as queue_jobs=100, body_bytes=8MiB or deadline_ms=30s."),
    OPTION(.name = "log", .type = OPTION_CHOICE, .offset = AT(log_format), .argument = "FORM",
           .environment = "WEIR_LOG", .fallback = "text", .choices = "text|json",
           .help = "Form of the log lines on stderr."),
    OPTION(.name = "log-level", .type = OPTION_CHOICE, .offset = AT(log_level), .argument = "LEVEL",
           .environment = "WEIR_LOG_LEVEL", .fallback = "info",
           .choices = &(LOG_LEVELS(LEVEL_WORD))[1], .help = "Least level that is logged."),
    OPTION(.name = "print-config", .type = OPTION_FLAG, .offset = AT(print_config),
           .help = "Print every option, its value and where it came from, and end."),
};

static enum weir_code read_model(struct serve_settings *s, const char *text, struct weir_error *err)
{
    struct str name, path;
    if (!str_cut(str_of(text), '=', &name, &path) || path.len == 0)
        return weir_fail(err, WEIR_INVALID, "--model: '%s' is not of the form NAME=PATH", text);
    if (!model_ref_is_name(name))
        return weir_fail(err, WEIR_INVALID,
                         "--model: '%.*s' is no name (letters, digits and . _ / : -, @revision)",
                         STR_ARG(name));
    for (size_t i = 0; i < s->models_count; i++) {
        if (str_eq(name, str_of(s->models[i].name)))
            return weir_fail(err, WEIR_INVALID, "--model: the name '%s' is given twice",
                             s->models[i].name);
    }
    s->models[s->models_count++] = (struct serve_model){
        .name = mem_copy_text(name.data, name.len),
        .path = model_ref_expand(path.data),
    };
    return WEIR_OK;
}

/* The name says the unit, so that "64MiB" and "10s" can be written where they make sense. */
static enum weir_code read_limit_value(struct str name, const char *text, int64_t *out,
                                       struct weir_error *err)
{
    uint64_t bytes;
    if (str_ends(name, STR("_ms")))
        return size_parse_duration(text, 1, out, err);
    if (str_ends(name, STR("_bytes"))) {
        const enum weir_code code = size_parse(text, &bytes, err);
        if (code == WEIR_OK && bytes > INT64_MAX)
            return weir_fail(err, WEIR_INVALID, "'%s' is more than 2^63 - 1 bytes", text);
        if (code == WEIR_OK)
            *out = (int64_t)bytes;
        return code;
    }
    if (!str_to_i64(str_of(text), out) || *out < 0)
        return weir_fail(err, WEIR_INVALID, "'%s' is not a whole number from 0", text);
    return WEIR_OK;
}

static void set_pool_limit(struct serve_settings *s, char *name, int64_t value)
{
    for (size_t i = 0; i < s->pool_limits_count; i++) {
        if (strcmp(s->pool_limits[i].name, name) == 0) { /* the later, stronger one wins */
            s->pool_limits[i].value = value;
            mem_free(name);
            return;
        }
    }
    s->limit_names[s->pool_limits_count] = name;
    s->pool_limits[s->pool_limits_count++] = (struct weir_limit){ .name = name, .value = value };
}

static bool is_server_limit(struct str limit)
{
#define X(name, value, says)                                                                       \
    if (str_eq(limit, STR(#name)))                                                                 \
        return true;
    SERVER_LIMITS(X)
#undef X
    return false;
}

static enum weir_code read_limit(struct serve_settings *s, const char *text, struct weir_error *err)
{
    struct str name, value_text;
    int64_t value;
    if (!str_cut(str_of(text), '=', &name, &value_text) || name.len == 0)
        return weir_fail(err, WEIR_INVALID, "--limit: '%s' is not of the form NAME=VALUE", text);
    if (read_limit_value(name, value_text.data, &value, err) != WEIR_OK)
        return weir_wrap(err, "--limit %.*s", STR_ARG(name));
    char *const kept = mem_copy_text(name.data, name.len);
    if (!is_server_limit(name)) { /* the pool refuses what it does not know either */
        if (strcmp(kept, "drain_ms") == 0)
            s->drain_ms = value;
        set_pool_limit(s, kept, value);
        return WEIR_OK;
    }
    /* In server.h 0 means the default, which is not what was asked for. */
    const bool is_set = value > 0 && server_limit_set(&s->server_limits, kept, value);
    mem_free(kept);
    if (!is_set)
        return weir_fail(err, WEIR_INVALID, "--limit %.*s: the server does not take '%s'",
                         STR_ARG(name), value_text.data);
    return WEIR_OK;
}

/* What a listener is bound to is the server's matter; that it is an address at all is checked here,
 * where a wrong one is wrong usage. */
static enum weir_code check_address(const char *text, struct weir_error *err)
{
    struct str host = str_of(text);
    uint64_t port = 0;
    while (host.len > 0 && host.data[host.len - 1] != ':')
        host.len--;
    if (host.len < 2 || !str_to_u64(str_of(text + host.len), &port) || port > 65535)
        return weir_fail(err, WEIR_INVALID,
                         "--listen: '%s' is not of the form HOST:PORT with a port up to 65535",
                         text);
    return WEIR_OK;
}

enum weir_code serve_settings_read(struct serve_settings *s, const struct serve_options *options,
                                   struct weir_error *err)
{
    *s = (struct serve_settings){ .drain_ms = SERVE_DRAIN_MS };
    s->models = mem_new(options->models.count + 1, sizeof(*s->models));
    s->pool_limits = mem_new(options->limits.count + 1, sizeof(*s->pool_limits));
    s->limit_names = mem_new(options->limits.count + 1, sizeof(*s->limit_names));
    if (options->idle_label_ms > options->idle_ms)
        return weir_fail(err, WEIR_INVALID, "--idle-label (%g s) is more than --idle (%g s)",
                         (double)options->idle_label_ms / 1000, (double)options->idle_ms / 1000);
    if (options->min_workers > options->max_workers)
        return weir_fail(err, WEIR_INVALID,
                         "--min-workers (%lld) is more than --max-workers (%lld)",
                         (long long)options->min_workers, (long long)options->max_workers);
    enum weir_code code = WEIR_OK;
    for (size_t i = 0; i < options->listen.count && code == WEIR_OK; i++)
        code = check_address(options->listen.items[i], err);
    for (size_t i = 0; i < options->models.count && code == WEIR_OK; i++)
        code = read_model(s, options->models.items[i], err);
    for (size_t i = 0; i < options->limits.count && code == WEIR_OK; i++)
        code = read_limit(s, options->limits.items[i], err);
    return code;
}

void serve_settings_finish(struct serve_settings *s)
{
    for (size_t i = 0; i < s->models_count; i++) {
        mem_free(s->models[i].name);
        mem_free(s->models[i].path);
    }
    for (size_t i = 0; i < s->pool_limits_count; i++)
        mem_free(s->limit_names[i]);
    mem_free(s->models);
    mem_free(s->pool_limits);
    mem_free(s->limit_names);
    *s = (struct serve_settings){ 0 };
}
