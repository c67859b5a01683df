#include "cmd/serve_options.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/size.h"
#include "server/access.h"

#include "weir/limits.h"

#include <string.h>

#define AT(member) offsetof(struct serve_options, member)

#define LEVEL_WORD(NAME, name)               "|" name
#define SERVER_LIMIT_WORD(name, value, says) "|" #name "="
#define LIMIT_WORD(name, value, least, says) "|" #name "="

const struct option serve_options_table[SERVE_OPTIONS_COUNT] = {
    OPTION(.name = "config", .type = OPTION_STRING, .offset = AT(config), .argument = "FILE",
           .environment = "WEIR_CONFIG", .flag_only = true,
           .fallback_says = "$XDG_CONFIG_HOME/weir/weir.conf, else /etc/weir/weir.conf",
           .help = "Configuration file, which SIGHUP reads again."),
    OPTION(.name = "listen", .type = OPTION_LIST, .offset = AT(listen), .argument = "HOST:PORT",
           .environment = "WEIR_LISTEN", .fallback = "127.0.0.1:9347",
           .help = "Address to listen on; port 0 takes a free one."),
    OPTION(.name = "model", .type = OPTION_LIST, .offset = AT(models), .argument = "NAME=PATH",
           .environment = "WEIR_MODEL",
           .help = "Model to serve under that name: a folder in Hugging Face layout or fake:."),
    OPTION(.name = "models", .type = OPTION_STRING, .offset = AT(models_folder), .argument = "DIR",
           .environment = "WEIR_MODELS",
           .fallback_says = "$XDG_DATA_HOME/weir/models, or ~/.local/share/weir/models",
           .help = "Folder whose models are all served; so are those of the Hugging Face cache."),
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
           .environment = "WEIR_IDLE", .fallback = "60", .least = SERVE_IDLE_LEAST_MS,
           .most = SERVE_IDLE_MOST_MS,
           .help = "One worker of a model leaves each time the model was quiet for so long."),
    OPTION(.name = "idle-label", .type = OPTION_DURATION, .offset = AT(idle_label_ms),
           .argument = "SECONDS", .environment = "WEIR_IDLE_LABEL",
           .fallback_says = "30, or --idle where that is less", .least = SERVE_IDLE_LEAST_MS,
           .most = SERVE_IDLE_MOST_MS,
           .help = "A worker that was quiet for so long is called Idle; at most --idle."),
    OPTION(.name = "allow-host", .type = OPTION_LIST, .offset = AT(allow_hosts), .argument = "NAME",
           .environment = "WEIR_ALLOW_HOST",
           .help =
               "Name that the Host header may carry besides the listen addresses and localhost."),
    OPTION(.name = "allow-origin", .type = OPTION_LIST, .offset = AT(allow_origins),
           .argument = "URL", .environment = "WEIR_ALLOW_ORIGIN",
           .help = "Origin whose web pages may send requests, besides those of this machine."),
    OPTION(.name = "api-key-file", .type = OPTION_STRING, .offset = AT(api_key_file),
           .argument = "FILE", .environment = "WEIR_API_KEY_FILE",
           .help = "Keys of which requests must have one, KEY or NAME:KEY a line; SIGHUP rereads."),
    OPTION(.name = "allow-image-urls", .type = OPTION_FLAG, .offset = AT(allow_image_urls),
           .environment = "WEIR_ALLOW_IMAGE_URLS",
           .help = "Fetch images that requests name by URL, from public addresses only."),
    OPTION(.name = "image-root", .type = OPTION_LIST, .offset = AT(image_roots), .argument = "DIR",
           .environment = "WEIR_IMAGE_ROOT",
           .help = "Folder whose images requests may name by path."),
    OPTION(.name = "limit", .type = OPTION_LIST, .offset = AT(limits), .argument = "NAME=VALUE",
           .environment = "WEIR_LIMIT_",
           .words = &(SERVER_LIMITS(SERVER_LIMIT_WORD) WEIR_LIMITS(LIMIT_WORD))[1],
           .help =
               "Limit of that name, such as queue_jobs=100, body_bytes=8MiB or deadline_ms=30s."),
    OPTION(.name = "log", .type = OPTION_CHOICE, .offset = AT(log_format), .argument = "FORM",
           .environment = "WEIR_LOG", .fallback = "text", .choices = "text|json",
           .help = "Form of the log lines on stderr."),
    OPTION(.name = "log-level", .type = OPTION_CHOICE, .offset = AT(log_level), .argument = "LEVEL",
           .environment = "WEIR_LOG_LEVEL", .fallback = "info",
           .choices = &(LOG_LEVELS(LEVEL_WORD))[1], .help = "Least level that is logged."),
    OPTION(.name = "print-config", .type = OPTION_FLAG, .offset = AT(print_config),
           .flag_only = true,
           .help = "Print every option, its value and where it came from, and end."),
};

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

static enum weir_code unknown_limit(struct str name, struct weir_error *err)
{
    static const char *const names[] = {
#define X(limit, value, says) #limit,
        SERVER_LIMITS(X)
#undef X
#define X(limit, value, least, says) #limit,
            WEIR_LIMITS(X)
#undef X
    };
    char word[64];
    str_print(word, sizeof(word), "%.*s", STR_ARG(name));
    const char *const near = options_nearest(word, names, ARRAY_COUNT(names));
    return weir_fail(err, WEIR_INVALID, "there is no limit '%s'%s%s%s", word,
                     near != NULL ? ", perhaps '" : "", near != NULL ? near : "",
                     near != NULL ? "'?" : "");
}

static bool find_pool_limit(struct str limit, int64_t *least)
{
#define X(name, value, at_least, says)                                                             \
    if (str_eq(limit, STR(#name))) {                                                               \
        *least = (at_least);                                                                       \
        return true;                                                                               \
    }
    WEIR_LIMITS(X)
#undef X
    return false;
}

static enum weir_code read_limit(struct serve_settings *s, const char *text, struct weir_error *err)
{
    struct str name, value_text;
    int64_t value, least = 1; /* in server.h 0 means the default, which is not what was asked for */
    if (!str_cut(str_of(text), '=', &name, &value_text) || name.len == 0)
        return weir_fail(err, WEIR_INVALID, "'%s' is not of the form NAME=VALUE", text);
    const bool is_pool_limit = find_pool_limit(name, &least);
    if (!is_pool_limit && !is_server_limit(name))
        return unknown_limit(name, err);
    if (read_limit_value(name, value_text.data, &value, err) != WEIR_OK)
        return weir_wrap(err, "%.*s", STR_ARG(name));
    char *const kept = mem_copy_text(name.data, name.len);
    const bool is_taken =
        value >= least && (is_pool_limit || server_limit_set(&s->server_limits, kept, value));
    if (is_taken && strcmp(kept, "drain_ms") == 0)
        s->drain_ms = value;
    if (is_taken && is_pool_limit)
        set_pool_limit(s, kept, value);
    else
        mem_free(kept);
    return is_taken ? WEIR_OK
                    : weir_fail(err, WEIR_INVALID, "%.*s: '%s' is less than %lld", STR_ARG(name),
                                value_text.data, (long long)least);
}

/* What a listener is bound to is the server's matter; that it is an address at all is checked here,
 * where a wrong one is wrong usage. */
static enum weir_code check_address(const char *text, struct weir_error *err)
{
    struct str name, port;
    if (!access_split(str_of(text), &name, &port) || port.data == NULL)
        return weir_fail(err, WEIR_INVALID,
                         "'%s' is not of the form HOST:PORT with a port up to 65535", text);
    return WEIR_OK;
}

static enum weir_code check_host(const char *text, struct weir_error *err)
{
    return access_can_be_host(str_of(text))
               ? WEIR_OK
               : weir_fail(err, WEIR_INVALID, "'%s' is not a name or address without a port", text);
}

static enum weir_code check_origin(const char *text, struct weir_error *err)
{
    return access_can_be_origin(str_of(text))
               ? WEIR_OK
               : weir_fail(err, WEIR_INVALID,
                           "'%s' is not an origin, as in https://app.example, without a path",
                           text);
}

static enum weir_code check_items(const struct options *o, const char *name,
                                  const struct option_list *list,
                                  enum weir_code (*check)(const char *text, struct weir_error *err),
                                  struct weir_error *err)
{
    for (size_t i = 0; i < list->count; i++)
        if (check(list->items[i], err) != WEIR_OK)
            return options_wrap(o, name, i, err);
    return WEIR_OK;
}

static int64_t default_of_drain_ms(void)
{
#define X(name, value, least, says)                                                                \
    if (strcmp(#name, "drain_ms") == 0)                                                            \
        return (value);
    WEIR_LIMITS(X)
#undef X
    return 0;
}

static enum weir_code check_workers(const struct options *o, const struct serve_options *options,
                                    struct weir_error *err)
{
    if (options->idle_label_ms > options->idle_ms) {
        weir_fail(err, WEIR_INVALID, "%g s is more than idle, %g s (%s)",
                  (double)options->idle_label_ms / 1000, (double)options->idle_ms / 1000,
                  options_value(o, "idle")->origin);
        return options_wrap(o, "idle-label", 0, err);
    }
    if (options->min_workers > options->max_workers) {
        weir_fail(err, WEIR_INVALID, "%lld is more than max-workers, %lld (%s)",
                  (long long)options->min_workers, (long long)options->max_workers,
                  options_value(o, "max-workers")->origin);
        return options_wrap(o, "min-workers", 0, err);
    }
    return WEIR_OK;
}

enum weir_code serve_settings_read(struct serve_settings *s, const struct options *o,
                                   const struct serve_options *options, struct weir_error *err)
{
    *s = (struct serve_settings){ .drain_ms = default_of_drain_ms() };
    s->pool_limits = mem_new(options->limits.count + 1, sizeof(*s->pool_limits));
    s->limit_names = mem_new(options->limits.count + 1, sizeof(*s->limit_names));
    enum weir_code code = check_workers(o, options, err);
    if (code == WEIR_OK)
        code = check_items(o, "listen", &options->listen, check_address, err);
    if (code == WEIR_OK)
        code = check_items(o, "allow-host", &options->allow_hosts, check_host, err);
    if (code == WEIR_OK)
        code = check_items(o, "allow-origin", &options->allow_origins, check_origin, err);
    for (size_t i = 0; i < options->limits.count && code == WEIR_OK; i++) {
        code = read_limit(s, options->limits.items[i], err);
        if (code != WEIR_OK)
            options_wrap(o, "limit", i, err);
    }
    return code;
}

void serve_settings_finish(struct serve_settings *s)
{
    for (size_t i = 0; i < s->pool_limits_count; i++)
        mem_free(s->limit_names[i]);
    mem_free(s->pool_limits);
    mem_free(s->limit_names);
    *s = (struct serve_settings){ 0 };
}

static bool gives_pool_limit(const struct serve_settings *s, const char *name)
{
    for (size_t i = 0; i < s->pool_limits_count; i++) {
        if (strcmp(s->pool_limits[i].name, name) == 0)
            return true;
    }
    return false;
}

void serve_settings_print_defaults(const struct serve_settings *s, struct buffer *out)
{
#define X(name, value, says)                                                                       \
    if (s->server_limits.name == 0)                                                                \
        buffer_printf(out, "limit = %s=%lld  (default)\n", #name, (long long)(value));
    SERVER_LIMITS(X)
#undef X
#define X(name, value, least, says)                                                                \
    if (!gives_pool_limit(s, #name))                                                               \
        buffer_printf(out, "limit = %s=%lld  (default)\n", #name, (long long)(value));
    WEIR_LIMITS(X)
#undef X
}
