/* test_exchange.h — a request without a connection or a pool, for tests of what reads bodies. */
#ifndef SERVER_TEST_EXCHANGE_H
#define SERVER_TEST_EXCHANGE_H

#include "base/check.h"
#include "server/exchange.h"
#include "server/json_fields.h"
#include "server/server_state.h"

struct test_exchange {
    struct server server;
    struct exchange exchange;
    struct json_fields fields;
};

static inline void test_exchange_init(struct test_exchange *t, const char *body)
{
    struct weir_error err;
    t->server.limits =
        (struct server_limits){ .images = 2, .image_bytes = 64, .image_fetch_ms = 1000 };
    t->exchange = (struct exchange){ .server = &t->server, .holds = 1 };
    arena_init(&t->exchange.arena, 64 * 1024);
    t->exchange.json = json_read_parse(str_of(body), &err);
    CHECK(t->exchange.json != NULL);
    t->fields = json_fields_of(t->exchange.json);
}

static inline void test_exchange_finish(struct test_exchange *t)
{
    json_read_free(t->exchange.json);
    arena_finish(&t->exchange.arena);
}

#endif
