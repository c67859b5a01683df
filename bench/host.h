/* host.h — a host of the library, as the benches need one: a pool of fake workers whose transitions
 * are heard as they are told. */
#ifndef BENCH_HOST_H
#define BENCH_HOST_H

#include "bench.h"

#include "weir/weir.h"

#include <string.h>

struct host {
    struct weir *pool;
    bool ready, idle; /* a worker became Ready from Loading, or from Processing */
    unsigned dead;
    uint64_t ends;
};

static inline void host_on_event(void *context, const char *json, size_t bytes)
{
    struct host *h = context;
    (void)bytes;
    h->ready = h->ready || strstr(json, "\"from\":\"Loading\",\"to\":\"Ready\"") != NULL;
    h->idle = h->idle || strstr(json, "\"from\":\"Processing\",\"to\":\"Ready\"") != NULL;
    h->dead += strstr(json, "\"to\":\"Dead\"") != NULL;
}

static inline void host_on_end(void *context, uint64_t id, const struct weir_end *end)
{
    struct host *h = context;
    (void)id, (void)end;
    h->ends++;
}

static const struct weir_callbacks host_callbacks = { .size = sizeof(struct weir_callbacks),
                                                      .on_end = host_on_end };

static inline void host_step(struct host *h, int timeout_ms)
{
    struct weir_error err;
    if (weir_step(h->pool, timeout_ms, &err) != WEIR_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
}

static inline void host_wait(struct host *h, const bool *flag)
{
    const int64_t until = bench_ns() + INT64_C(30000000000);
    while (!*flag) {
        host_step(h, 1000);
        BENCH_NEEDS(bench_ns() < until);
    }
}

static inline const char *host_control(struct host *h, const char *json)
{
    const char *answer;
    struct weir_error err;
    if (weir_control(h->pool, json, strlen(json), &answer, NULL, &err) != WEIR_OK) {
        fprintf(stderr, "%s: %s\n", json, err.text);
        exit(1);
    }
    return answer;
}

static inline uint64_t host_embed(struct host *h, const char *model, const char *text)
{
    struct weir_error err;
    const struct weir_input input = { .size = sizeof input, .data = text, .bytes = strlen(text) };
    const struct weir_embed embed = { .size = sizeof embed, .inputs = &input, .count = 1 };
    const uint64_t id = weir_submit(h->pool,
                                    &(struct weir_request){ .size = sizeof(struct weir_request),
                                                            .capability = WEIR_TEXT_EMBEDDING,
                                                            .operation = WEIR_EMBED,
                                                            .model = model,
                                                            .callbacks = &host_callbacks,
                                                            .context = h,
                                                            .input = &embed },
                                    &err);
    if (id == 0) {
        fprintf(stderr, "%s: %s\n", model, err.text);
        exit(1);
    }
    return id;
}

#endif
