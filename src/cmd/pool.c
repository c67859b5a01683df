#include "cmd/pool.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/size.h"
#include "cmd/bodies.h"
#include "cmd/folders.h"
#include "cmd/stderr_log.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <uv.h>

/* What ends a request early. */
static const int caught[] = { SIGINT, SIGTERM, SIGHUP };

struct pool {
    struct weir *weir;
    char *name;
    enum weir_capability capability; /* the first one that works on texts */
    struct pool_model model;
    struct stderr_log sink;
    uv_loop_t loop;
    uv_poll_t poll;
    uv_async_t wake;                              /* by a signal */
    struct sigaction before[ARRAY_COUNT(caught)]; /* who had the signals, and gets them back */
    volatile sig_atomic_t signal;
    bool changed;            /* an event came: worth asking again */
    bool ended;              /* the request that runs has ended */
    struct weir_error error; /* how it ended */
    void (*on_output)(void *context, const struct weir_output *output);
    void *context;
};

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct pool *const p = poll->data;
    struct weir_error err;
    (void)status, (void)events;
    if (weir_step(p->weir, 0, &err) != WEIR_OK && !p->ended) {
        p->ended = true;
        p->error = err;
    }
}

/* The one that waits: signals know no context. */
static struct pool *volatile waiting;

static void on_signal(int number)
{
    const int before = errno;
    waiting->signal = number;
    uv_async_send(&waiting->wake);
    errno = before;
}

static void on_wake(uv_async_t *wake)
{
    (void)wake; /* whoever waits looks at the signal after each turn of the loop */
}

static void on_event(void *context, const char *json, size_t bytes)
{
    struct pool *const p = context;
    (void)json, (void)bytes;
    p->changed = true;
}

static void on_output(void *context, uint64_t id, const struct weir_output *output)
{
    struct pool *const p = context;
    (void)id;
    p->on_output(p->context, output);
}

static void on_end(void *context, uint64_t id, const struct weir_end *end)
{
    struct pool *const p = context;
    (void)id;
    p->ended = true;
    p->error = end->error;
}

/* Not by libuv's handles: to stop one loses a signal that came just then, and leaves a moment in
 * which the next one has its default effect. Here it is either this pool's or the caller's. */
static void catch_signals(struct pool *p)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < ARRAY_COUNT(caught); i++)
        sigaddset(&action.sa_mask, caught[i]);
    waiting = p;
    for (size_t i = 0; i < ARRAY_COUNT(caught); i++) {
        sigaction(caught[i], NULL, &p->before[i]);
        if (p->before[i].sa_handler != SIG_IGN) /* as nohup and shells without jobs mean it */
            sigaction(caught[i], &action, NULL);
    }
}

static void release_signals(struct pool *p)
{
    for (size_t i = 0; i < ARRAY_COUNT(caught); i++)
        sigaction(caught[i], &p->before[i], NULL);
    waiting = NULL;
}

static enum weir_code interrupted(const struct pool *p, struct weir_error *err)
{
    weir_fail(err, WEIR_CANCELLED, "interrupted by signal %d", (int)p->signal);
    if (err != NULL)
        err->value = p->signal;
    return WEIR_CANCELLED;
}

enum weir_code pool_ask(struct pool *p, struct str order, json_t **out, struct weir_error *err)
{
    const char *answer;
    size_t bytes;
    const enum weir_code code = weir_control(p->weir, order.data, order.len, &answer, &bytes, err);
    if (code == WEIR_OK && out != NULL)
        *out = json_loadb(answer, bytes, 0, NULL);
    return code;
}

static uint64_t read_figure(const json_t *model, const char *key)
{
    const json_int_t figure = json_integer_value(json_object_get(model, key));
    return figure > 0 ? (uint64_t)figure : 0;
}

/* Picks the capability from {"models":[{…}]}, of which there is one, inspected. */
static enum weir_code read_model(struct pool *p, struct weir_error *err)
{
    static const enum weir_capability texts[] = { WEIR_TEXT_EMBEDDING, WEIR_TEXT_TO_TEXT,
                                                  WEIR_VISION };
    json_t *answer = NULL;
    enum weir_code code = pool_ask(p, STR("{\"op\":\"models\"}"), &answer, err);
    const json_t *const model = json_array_get(json_object_get(answer, "models"), 0);
    const char *const problem = json_string_value(json_object_get(model, "problem"));
    const json_t *const names = json_object_get(model, "capabilities");
    if (code == WEIR_OK && problem != NULL)
        code = weir_fail(err, WEIR_LOAD_FAILED, "model '%s': %s", p->name, problem);
    p->model = (struct pool_model){ .tokens_max = read_figure(model, "tokens_max"),
                                    .flops_per_token = read_figure(model, "flops_per_token") };
    for (size_t i = ARRAY_COUNT(texts); i > 0; i--) { /* the first of `texts` has the last word */
        for (size_t k = 0; k < json_array_size(names); k++) {
            const char *const name = json_string_value(json_array_get(names, k));
            if (name == NULL || strcmp(name, weir_capability_name(texts[i - 1])) != 0)
                continue;
            p->capability = texts[i - 1];
            p->model.embeds = p->model.embeds || texts[i - 1] == WEIR_TEXT_EMBEDDING;
        }
    }
    json_decref(answer);
    return code;
}

static enum weir_code ask_inspected(struct pool *p, bool *all, struct weir_error *err)
{
    json_t *answer = NULL;
    const enum weir_code code = pool_ask(p, STR("{\"op\":\"inspection\"}"), &answer, err);
    *all = read_figure(answer, "inspected") == read_figure(answer, "models");
    json_decref(answer);
    return code;
}

/* Asks on events only, of which the inspection's end is one: asking makes weir_fd readable, so that
 * asking after every step would never sleep. */
enum weir_code pool_wait_inspected(struct pool *p, struct weir_error *err)
{
    enum weir_code code = WEIR_OK;
    bool all = false;
    p->changed = true;
    catch_signals(p);
    while (code == WEIR_OK && !all) {
        if (p->changed) {
            p->changed = false;
            code = ask_inspected(p, &all, err);
        }
        if (code != WEIR_OK || all)
            break;
        uv_run(&p->loop, UV_RUN_ONCE);
        if (p->signal != 0)
            code = interrupted(p, err);
        else if (p->ended)
            code = err != NULL ? (*err = p->error).code : p->error.code;
    }
    release_signals(p);
    return code;
}

static void start_loop(struct pool *p)
{
    CHECK(uv_loop_init(&p->loop) == 0);
    p->poll.data = p;
    CHECK(uv_poll_init(&p->loop, &p->poll, weir_fd(p->weir)) == 0);
    CHECK(uv_async_init(&p->loop, &p->wake, on_wake) == 0);
    CHECK(uv_poll_start(&p->poll, UV_READABLE, on_readable) == 0);
}

enum weir_code pool_start(const struct pool_settings *settings, struct pool **out,
                          struct weir_error *err)
{
    struct pool *const p = mem_new(1, sizeof(*p));
    p->sink = (struct stderr_log){ .least = LOG_ERROR };
    char *const cache = folders_cache();
    p->weir = weir_open(&(struct weir_options){ .size = sizeof(struct weir_options),
                                                .memory_bytes = settings->memory.bytes,
                                                .memory_percent = settings->memory.percent,
                                                .threads = (uint32_t)settings->threads,
                                                .max_workers = 1,
                                                .cache = cache,
                                                .log = stderr_log_pool,
                                                .log_context = &p->sink,
                                                .on_event = on_event,
                                                .event_context = p },
                        err);
    mem_free(cache);
    if (p->weir == NULL) {
        mem_free(p);
        return err->code;
    }
    start_loop(p);
    *out = p;
    return WEIR_OK;
}

enum weir_code pool_take_model(struct pool *p, const char *name, struct weir_error *err)
{
    p->name = mem_copy_text(name, strlen(name));
    const enum weir_code code = pool_wait_inspected(p, err);
    return code == WEIR_OK ? read_model(p, err) : code;
}

void pool_close(struct pool *p)
{
    if (p == NULL)
        return;
    uv_close((uv_handle_t *)&p->poll, NULL);
    uv_close((uv_handle_t *)&p->wake, NULL);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    weir_close(p->weir);
    CHECK(uv_loop_close(&p->loop) == 0);
    mem_free(p->name);
    mem_free(p);
}

const struct pool_model *pool_model(const struct pool *p)
{
    return &p->model;
}

enum weir_code pool_run(struct pool *p, enum weir_operation operation, const void *input,
                        void (*output)(void *context, const struct weir_output *output),
                        void *context, struct weir_error *err)
{
    static const struct weir_callbacks callbacks = { .size = sizeof(struct weir_callbacks),
                                                     .on_output = on_output,
                                                     .on_end = on_end };
    p->ended = false;
    p->on_output = output;
    p->context = context;
    const uint64_t id =
        weir_submit(p->weir,
                    &(struct weir_request){
                        .size = sizeof(struct weir_request),
                        .capability = operation == WEIR_EMBED ? WEIR_TEXT_EMBEDDING : p->capability,
                        .operation = operation,
                        .model = p->name,
                        .callbacks = &callbacks,
                        .context = p,
                        .input = input },
                    err);
    if (id == 0)
        return err->code;
    catch_signals(p);
    while (!p->ended) {
        uv_run(&p->loop, UV_RUN_ONCE);
        if (p->signal != 0)
            weir_cancel(p->weir, id); /* its end comes with one of the next turns */
    }
    release_signals(p);
    if (p->signal != 0)
        return interrupted(p, err);
    if (p->error.code != WEIR_OK)
        *err = p->error;
    return p->error.code;
}
