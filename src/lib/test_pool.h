/* test_pool.h — a pool of real processes for the tests of lib/: its events, its requests' outcomes,
 * each wait bounded. */
#ifndef LIB_TEST_POOL_H
#define LIB_TEST_POOL_H

#include "base/check.h"

#include "weir/weir.h"

#include <stdio.h>
#include <string.h>

struct outcome {
    int outputs, ends;
    enum weir_code code;
    char error[220];
    size_t rows, dim;
    float first;
    uint64_t tokens;
    char text[4096];
};

static struct weir *pool;
static char events[1 << 20];
static size_t events_len;

static inline void on_event(void *context, const char *json, size_t bytes)
{
    (void)context;
    if (events_len + bytes + 2 > sizeof events)
        return;
    memcpy(events + events_len, json, bytes);
    events_len += bytes;
    events[events_len++] = '\n';
    events[events_len] = '\0';
}

static inline void on_output(void *context, uint64_t id, const struct weir_output *output)
{
    struct outcome *o = context;
    (void)id;
    CHECK(o->ends == 0);
    o->outputs++;
    o->rows = output->rows;
    o->dim = output->dim;
    if (output->rows > 0 && output->dim > 0)
        o->first = output->vectors[0];
    if (output->text != NULL && strlen(o->text) + output->bytes < sizeof o->text)
        strncat(o->text, output->text, output->bytes);
}

static inline void on_end(void *context, uint64_t id, const struct weir_end *end)
{
    struct outcome *o = context;
    (void)id;
    o->ends++;
    o->code = end->error.code;
    o->tokens = end->input_tokens;
    snprintf(o->error, sizeof o->error, "%s", end->error.text);
}

static const struct weir_callbacks callbacks = { .size = sizeof callbacks,
                                                 .on_output = on_output,
                                                 .on_end = on_end };

/* With the worker programs of that folder; the rest as the test wants it, or zero. */
static inline void open_pool(const char *worker, struct weir_options o)
{
    struct weir_error err;
    o.size = sizeof o;
    o.worker = worker;
    o.memory_bytes = UINT64_C(1) << 30;
    if (o.on_event == NULL)
        o.on_event = on_event;
    events_len = 0;
    events[0] = '\0';
    pool = weir_open(&o, &err);
    CHECK(pool != NULL);
}

static inline void add_model(const char *name, const char *path)
{
    struct weir_error err;
    const char *answer;
    char json[512];
    int n = snprintf(json, sizeof json, "{\"op\":\"register\",\"name\":\"%s\",\"path\":\"%s\"}",
                     name, path);
    enum weir_code code = weir_control(pool, json, (size_t)n, &answer, NULL, &err);
    if (code != WEIR_OK)
        fprintf(stderr, "register: %s\n", err.text);
    CHECK(code == WEIR_OK);
}

static inline uint64_t embed(const char *model, const char *text, struct outcome *o,
                             struct weir_error *err)
{
    struct weir_input in = {
        .size = sizeof in, .kind = WEIR_INPUT_TEXT, .data = text, .bytes = strlen(text)
    };
    struct weir_embed e = { .size = sizeof e, .inputs = &in, .count = 1 };
    return weir_submit(pool,
                       &(struct weir_request){ .size = sizeof(struct weir_request),
                                               .capability = WEIR_TEXT_EMBEDDING,
                                               .operation = WEIR_EMBED,
                                               .model = model,
                                               .callbacks = &callbacks,
                                               .context = o,
                                               .input = &e },
                       err);
}

/* Steps until `count` outcomes have ended, at most for `seconds`. */
static inline void run(const struct outcome *o, size_t count, int seconds)
{
    struct weir_error err;
    for (int i = 0; i < seconds * 100; i++) {
        size_t ended = 0;
        for (size_t k = 0; k < count; k++)
            ended += o[k].ends > 0;
        if (ended == count)
            return;
        CHECK(weir_step(pool, 10, &err) == WEIR_OK);
    }
    fprintf(stderr, "not all of %zu requests ended within %d s\n", count, seconds);
    CHECK(false); /* every request ends */
}

/* Steps until the events hold that text, at most for `seconds`. */
static inline void run_until_event(const char *text, int seconds)
{
    struct weir_error err;
    for (int i = 0; i < seconds * 100 && strstr(events, text) == NULL; i++)
        CHECK(weir_step(pool, 10, &err) == WEIR_OK);
    if (strstr(events, text) == NULL)
        fprintf(stderr, "no event with '%s' within %d s\n", text, seconds);
    CHECK(strstr(events, text) != NULL);
}

#endif
