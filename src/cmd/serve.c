#include "cmd/verb.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/size.h"
#include "cmd/api_key_file.h"
#include "cmd/folders.h"
#include "cmd/reload.h"
#include "cmd/serve_config.h"
#include "cmd/stderr_log.h"
#include "server/server.h"

#include "weir/weir.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define DRAIN_TICK_MS  20
#define CLOSE_GRACE_MS 500

extern char **environ; /* POSIX leaves the declaration to the program */

/* The life of a server:
 *
 *   start ── signal ──▶ draining ── pool says drained ──▶ closing ── server closed ──▶ end (0)
 *                          └─────── second signal at any time: kill, end (128 + signal) ──────┘ */
struct serving {
    struct serve_sources sources;
    struct serve_config *started; /* pool and server may hold on to its texts */
    struct serve_config *current; /* what SIGHUP read last, or `started` */
    struct weir *pool;
    struct server *server;
    struct stderr_log sink;
    struct log log;
    int64_t drain_ms;
    uv_loop_t loop;
    uv_signal_t interrupt, terminate, hangup;
    uv_timer_t drain_tick;
    bool draining, closing;
};

static void on_event(void *context, const char *json, size_t bytes)
{
    const struct serving *const s = context;
    server_event(s->server, json, bytes);
}

static enum weir_code control(struct serving *s, const struct buffer *order, json_t **out,
                              struct weir_error *err)
{
    const char *answer;
    size_t bytes;
    const enum weir_code code =
        weir_control(s->pool, (const char *)order->data, order->len, &answer, &bytes, err);
    if (code == WEIR_OK && out != NULL)
        *out = json_loadb(answer, bytes, 0, NULL);
    return code;
}

static enum weir_code open_pool(struct serving *s, struct weir_error *err)
{
    const struct serve_options *const options = &s->started->options;
    const struct serve_settings *const settings = &s->started->settings;
    char *const cache = folders_cache();
    s->pool = weir_open(&(struct weir_options){ .size = sizeof(struct weir_options),
                                                .memory_bytes = options->memory.bytes,
                                                .memory_percent = options->memory.percent,
                                                .threads = (uint32_t)options->threads,
                                                .max_workers = (uint32_t)options->max_workers,
                                                .min_workers = (uint32_t)options->min_workers,
                                                .idle_ms = options->idle_ms,
                                                .idle_label_ms = options->idle_label_ms,
                                                .cache = cache,
                                                .limits = settings->pool_limits,
                                                .limits_count = settings->pool_limits_count,
                                                .log = stderr_log_pool,
                                                .log_context = &s->sink,
                                                .on_event = on_event,
                                                .event_context = s },
                        err);
    mem_free(cache);
    return s->pool != NULL ? WEIR_OK : err->code;
}

static void on_server_closed(void *context)
{
    struct serving *const s = context;
    uv_close((uv_handle_t *)&s->interrupt, NULL);
    uv_close((uv_handle_t *)&s->terminate, NULL);
    uv_close((uv_handle_t *)&s->hangup, NULL);
    uv_close((uv_handle_t *)&s->drain_tick, NULL);
}

static void begin_close(struct serving *s, int64_t grace_ms)
{
    if (s->closing)
        return;
    s->closing = true;
    uv_timer_stop(&s->drain_tick);
    server_close(s->server, grace_ms, on_server_closed, s);
}

/* The last thing to leave may be an inspector, which is no event: so the pool is asked. */
static void on_drain_tick(uv_timer_t *timer)
{
    struct serving *const s = timer->data;
    struct buffer order;
    struct weir_error err;
    json_t *answer = NULL;
    buffer_init(&order, KiB);
    buffer_text(&order, "{\"op\":\"drained\"}");
    if (control(s, &order, &answer, &err) != WEIR_OK) {
        log_write(&s->log, LOG_ERROR, "serve", "the drain cannot be followed: %s", err.text);
        begin_close(s, 0);
    } else if (json_is_true(json_object_get(answer, "drained"))) {
        log_write(&s->log, LOG_INFO, "serve", "drained");
        begin_close(s, CLOSE_GRACE_MS);
    }
    json_decref(answer);
    buffer_finish(&order);
}

static void begin_drain(struct serving *s, const char *why)
{
    struct buffer order;
    struct weir_error err;
    log_write(&s->log, LOG_INFO, "serve", "%s: draining, limit_ms=%lld", why,
              (long long)s->drain_ms);
    s->draining = true;
    buffer_init(&order, KiB);
    buffer_printf(&order, "{\"op\":\"drain\",\"limit_ms\":%lld}", (long long)s->drain_ms);
    server_drain(s->server);
    if (control(s, &order, NULL, &err) != WEIR_OK) {
        log_write(&s->log, LOG_ERROR, "serve", "the pool cannot be drained: %s", err.text);
        begin_close(s, 0);
    } else {
        uv_timer_start(&s->drain_tick, on_drain_tick, DRAIN_TICK_MS, DRAIN_TICK_MS);
    }
    buffer_finish(&order);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct serving *const s = handle->data;
    const char *const name = number == SIGINT ? "SIGINT" : "SIGTERM";
    if (!s->draining) {
        begin_drain(s, name);
        return;
    }
    /* The second one: nobody waits any more. Workers are killed and reaped, nothing else is tidied.
     */
    log_write(&s->log, LOG_WARN, "serve", "second %s: ending at once", name);
    weir_close(s->pool);
    _exit(128 + number);
}

static void set_log(struct serving *s, const struct serve_options *options)
{
    s->sink.least = (enum log_level)options->log_level;
    s->sink.json = options->log_format == 1;
    s->log = stderr_log_of(&s->sink);
    server_log_level(s->server, s->sink.least);
}

/* What whoever runs the server should know about its door. */
static void warn_about_keys(const struct serving *s)
{
    const char *const path = s->current->options.api_key_file;
    if (path != NULL)
        api_key_file_warn(path, &s->log);
    else if (server_is_exposed(s->server))
        log_write(&s->log, LOG_WARN, "serve",
                  "whoever reaches this machine may use this server: it listens beyond loopback, "
                  "without API keys (--api-key-file)");
}

/* All or nothing: what cannot be read whole changes nothing. */
static void on_hangup(uv_signal_t *handle, int number)
{
    struct serving *const s = handle->data;
    struct weir_error err;
    (void)number;
    if (s->draining || s->closing) {
        log_write(&s->log, LOG_INFO, "serve", "SIGHUP: the server is leaving, nothing is read");
        return;
    }
    struct serve_config *const now = mem_new(1, sizeof(*now));
    if (serve_config_read(now, &s->sources, &err) != WEIR_OK) {
        log_write(&s->log, LOG_ERROR, "serve", "SIGHUP: everything stays as it was: %s", err.text);
        serve_config_finish(now);
        mem_free(now);
        return;
    }
    set_log(s, &now->options);
    server_set_keys(s->server, now->keys);
    s->drain_ms = now->settings.drain_ms;
    const struct reload_counts counts = reload_apply(s->pool, &s->log, s->started, s->current, now);
    log_write(
        &s->log, LOG_INFO, "serve",
        "SIGHUP: configuration read (%s): models added=%zu changed=%zu removed=%zu failed=%zu",
        now->file.path != NULL ? now->file.path : "no file", counts.added, counts.changed,
        counts.removed, counts.failed);
    if (s->current != s->started) {
        serve_config_finish(s->current);
        mem_free(s->current);
    }
    s->current = now;
    warn_about_keys(s);
}

static void start_handles(struct serving *s)
{
    s->interrupt.data = s->terminate.data = s->hangup.data = s;
    s->drain_tick.data = s;
    CHECK(uv_signal_init(&s->loop, &s->interrupt) == 0);
    CHECK(uv_signal_init(&s->loop, &s->terminate) == 0);
    CHECK(uv_signal_init(&s->loop, &s->hangup) == 0);
    CHECK(uv_timer_init(&s->loop, &s->drain_tick) == 0);
    uv_signal_start(&s->interrupt, on_signal, SIGINT);
    uv_signal_start(&s->terminate, on_signal, SIGTERM);
    uv_signal_start(&s->hangup, on_hangup, SIGHUP);
}

/* What each place gave, and what of it nobody can ask for. */
static void tell_found(const struct serving *s, const struct found_models *found)
{
    size_t counts[FOUND_PLACES] = { 0 };
    for (size_t i = 0; i < found->count; i++)
        counts[found->items[i].place]++;
    for (size_t i = 0; i < FOUND_PLACES; i++) {
        if (counts[i] > 0)
            log_write(&s->log, LOG_INFO, "serve", "%s: found models=%zu", found->places[i],
                      counts[i]);
        if (found->passed_over[i] > 0)
            log_write(&s->log, LOG_WARN, "serve",
                      "%s: %zu models are passed over: no model may have their names, or there are "
                      "more than %d",
                      found->places[i], found->passed_over[i], FOUND_MODELS_MOST);
    }
    if (found->hub_problem.code != WEIR_OK)
        log_write(&s->log, LOG_WARN, "serve", "%s", found->hub_problem.text);
}

/* The lines come last and together: whoever reads one may send requests to any address. */
static enum weir_code start(struct serving *s, struct weir_error *err)
{
    const struct serve_models *const models = &s->started->models;
    const struct option_list *const listen = &s->started->options.listen;
    struct buffer lines;
    enum weir_code code = WEIR_OK;
    buffer_init(&lines, MiB);
    tell_found(s, &models->found);
    for (size_t i = 0; i < models->count && code == WEIR_OK; i++) {
        code = control(s, &models->items[i].order, NULL, err);
        if (code != WEIR_OK)
            weir_wrap(err, "model %s (%s)", models->items[i].name, models->items[i].path_origin);
    }
    for (size_t i = 0; i < listen->count && code == WEIR_OK; i++) {
        char url[128];
        code = server_listen(s->server, listen->items[i], url, err);
        if (code == WEIR_OK)
            buffer_printf(&lines, "weir: listening on %s\n", url);
        else
            weir_wrap(err, "--listen %s", listen->items[i]);
    }
    if (code == WEIR_OK) {
        warn_about_keys(s);
        fwrite(lines.data, 1, lines.len, stderr);
    }
    buffer_finish(&lines);
    return code;
}

static int run_server(const struct verb *verb, struct serving *s)
{
    const struct serve_options *const options = &s->started->options;
    struct weir_error err;
    int status = 0;
    CHECK(uv_loop_init(&s->loop) == 0);
    const struct server_options server = {
        .limits = s->started->settings.server_limits,
        .allow_hosts = options->allow_hosts.items,
        .allow_hosts_count = options->allow_hosts.count,
        .allow_origins = options->allow_origins.items,
        .allow_origins_count = options->allow_origins.count,
        .allow_image_urls = options->allow_image_urls,
        .image_roots = options->image_roots.items,
        .image_roots_count = options->image_roots.count,
        .keys = s->started->keys,
        .log = &s->log,
    };
    if (server_create(&s->loop, s->pool, &server, &s->server, &err) != WEIR_OK) {
        status = verb_failed(verb, &err);
    } else {
        start_handles(s);
        if (start(s, &err) != WEIR_OK) {
            status = verb_failed(verb, &err);
            begin_close(s, 0);
        }
    }
    uv_run(&s->loop, UV_RUN_DEFAULT);
    struct server *const server_gone = s->server;
    s->server = NULL; /* weir_close may still report events */
    if (server_gone != NULL)
        server_destroy(server_gone);
    weir_close(s->pool);
    uv_loop_close(&s->loop);
    return status;
}

static int serve(const struct verb *verb, struct serve_config *config,
                 const struct serve_sources *sources)
{
    struct serving s = {
        .sources = *sources,
        .started = config,
        .current = config,
        .drain_ms = config->settings.drain_ms,
    };
    struct weir_error err;
    set_log(&s, &config->options);
    if (open_pool(&s, &err) != WEIR_OK)
        return verb_failed(verb, &err);
    const int status = run_server(verb, &s);
    if (s.current != s.started) {
        serve_config_finish(s.current);
        mem_free(s.current);
    }
    return status;
}

static int print_config(const struct verb *verb, const struct serve_config *config)
{
    struct buffer out;
    buffer_init(&out, 64 * MiB);
    serve_config_print(config, &out);
    return verb_end(verb, &out);
}

static int serve_run(const struct verb *verb, int argc, char **argv)
{
    const struct serve_sources sources = { .argc = argc, .argv = argv, .environment = environ };
    struct serve_options asked = { 0 };
    struct serve_config config;
    struct options o;
    struct weir_error err;
    int status;
    if (!verb_begin(verb, &o, &asked, argc, argv, &status)) /* help, or a wrong flag */
        return status;
    options_finish(&o);
    if (serve_config_read(&config, &sources, &err) != WEIR_OK)
        status = verb_misused(verb, "%s", err.text);
    else if (config.options.print_config)
        status = print_config(verb, &config);
    else
        status = serve(verb, &config, &sources);
    serve_config_finish(&config);
    return status;
}

const struct verb verb_serve = {
    .name = "serve",
    .arguments = "",
    .summary = "serve models over HTTP from one pool",
    .details =
        "Listens for HTTP requests and answers them from a pool of worker processes. Writes one\n"
        "line `weir: listening on http://HOST:PORT` an address to stderr once it accepts\n"
        "connections. SIGTERM and SIGINT end it after what runs has been answered (limit\n"
        "drain_ms, 5 s); a second one ends it at once, with status 128 + the signal's number.\n"
        "\n"
        "What flags and environment leave open, the configuration file says: $WEIR_CONFIG, else\n"
        "$XDG_CONFIG_HOME/weir/weir.conf (~/.config), else /etc/weir/weir.conf. It has options as\n"
        "`name = value`, [limits], and a section [model NAME] a model, whose keys the manual page\n"
        "lists. Models in the folder of models or in the Hugging Face cache are served too.\n"
        "SIGHUP reads and looks again: models come, change and go without losing a request, and\n"
        "the budget moves; a file with an error changes nothing.",
    .options = serve_options_table,
    .options_count = SERVE_OPTIONS_COUNT,
    .run = serve_run,
};
