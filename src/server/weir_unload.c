/* weir_unload.c — POST /weir/v1/unload: answers when the workers that the model had are gone.
 *
 * The pool is told to let them go and answers at once; their ids are kept, and each worker's death
 * is an event. A worker that is started meanwhile, for another request, is nobody's to wait for. */
#include "server/weir_unload.h"

#include "base/check.h"
#include "base/jsonw.h"
#include "base/size.h"
#include "server/exchange.h"
#include "server/json_body.h"
#include "server/json_fields.h"
#include "server/models.h"
#include "server/order.h"
#include "server/routes.h"
#include "server/server_state.h"

#include <string.h>

#define REPLY_BYTES_MAX ((size_t)(1 * MiB))

struct unload {
    struct link link; /* in server.unloads */
    struct exchange *exchange;
    const char *model; /* in the arena of the exchange */
    int64_t *ids;      /* of workers */
    size_t count, waiting;
};

/* The name that the status has for it: an alias is only known to the list of models. */
static const char *own_name(struct exchange *x, const char *name)
{
    struct models models;
    struct model model;
    struct weir_error err;
    struct str own = str_of(name);
    if (models_read(x->server->pool, name, &models, &err) != WEIR_OK)
        return name;
    if (models_find(&models, name, &model))
        own = arena_str(&x->arena, str_of(model.name));
    models_finish(&models);
    CHECK(own.data != NULL); /* names are short, and the arena is as good as empty */
    return own.data;
}

/* What the status says of a model; NULL: nothing. */
static const struct json_value *find_model(const struct json_value *status, const char *name)
{
    const struct json_value *models = json_read_field(status, "models");
    size_t count = json_read_kind(models) == JSON_IS_ARRAY ? json_read_count(models) : 0;
    for (size_t i = 0; i < count; i++) {
        const struct json_value *model = json_read_item(models, i);
        const struct json_value *own = json_read_field(model, "name");
        if (json_read_kind(own) == JSON_IS_TEXT && strcmp(json_read_text(own).data, name) == 0)
            return model;
    }
    return NULL;
}

static bool is_dead(const struct json_value *worker)
{
    const struct json_value *state = json_read_field(worker, "state");
    return json_read_kind(state) != JSON_IS_TEXT || str_eq(json_read_text(state), STR("Dead"));
}

/* Keeps the ids of the workers that have not left yet. */
static bool keep_workers(struct unload *u, const struct json_value *model, struct arena *arena)
{
    const struct json_value *workers = json_read_field(model, "workers");
    size_t count = json_read_kind(workers) == JSON_IS_ARRAY ? json_read_count(workers) : 0;
    u->ids = arena_try(arena, count + 1, sizeof(*u->ids));
    if (u->ids == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct json_value *worker = json_read_item(workers, i);
        const struct json_value *id = json_read_field(worker, "id");
        if (json_read_kind(id) == JSON_IS_INTEGER && !is_dead(worker))
            u->ids[u->count++] = json_read_integer(id);
    }
    u->waiting = u->count;
    return true;
}

static void answer(struct unload *u)
{
    struct buffer body;
    struct jsonw j;
    buffer_init(&body, REPLY_BYTES_MAX);
    jsonw_init(&j, &body);
    jsonw_object(&j);
    jsonw_key(&j, "model"), jsonw_text(&j, u->model);
    jsonw_key(&j, "unloaded"), jsonw_bool(&j, true);
    jsonw_key(&j, "workers"), jsonw_u64(&j, u->count);
    jsonw_end(&j);
    exchange_reply_json(u->exchange, 200, &body);
}

static void on_over(struct exchange *x)
{
    struct unload *u = x->state;
    list_remove(&u->link);
}

/* The event of one worker's death; 0: it is of something else. */
static int64_t dead_worker(struct str json)
{
    struct weir_error err;
    int64_t id = 0;
    struct json_value *tree = json_read_parse(json, &err);
    const struct json_value *kind = json_read_field(tree, "kind");
    const struct json_value *to = json_read_field(tree, "to");
    const struct json_value *worker = json_read_field(tree, "worker");
    if (json_read_kind(kind) == JSON_IS_TEXT && str_eq(json_read_text(kind), STR("state")) &&
        json_read_kind(to) == JSON_IS_TEXT && str_eq(json_read_text(to), STR("Dead")) &&
        json_read_kind(worker) == JSON_IS_INTEGER)
        id = json_read_integer(worker);
    json_read_free(tree);
    return id;
}

static void forget_worker(struct unload *u, int64_t id)
{
    for (size_t i = 0; i < u->count; i++)
        if (u->ids[i] == id) {
            u->ids[i] = 0;
            u->waiting--;
        }
}

void weir_unload_event(struct server *s, struct str json)
{
    struct link all;
    if (list_empty(&s->unloads))
        return;
    int64_t id = dead_worker(json);
    if (id == 0)
        return;
    list_move(&all, &s->unloads);
    while (!list_empty(&all)) {
        struct unload *u = CONTAINER_OF(list_first(&all), struct unload, link);
        list_remove(&u->link);
        list_push_back(&s->unloads, &u->link);
        forget_worker(u, id);
        if (u->waiting == 0)
            answer(u);
    }
}

static void wait_for_workers(struct exchange *x, struct unload *u)
{
    struct str status;
    struct weir_error err;
    struct json_value *tree = NULL;
    const char *own = own_name(x, u->model);
    if (order_plain(x->server->pool, "status", &status, &err) != WEIR_OK ||
        (tree = json_read_parse(status, &err)) == NULL) {
        exchange_fail(x, &err, NULL);
        return;
    }
    bool is_kept = keep_workers(u, find_model(tree, own), &x->arena);
    json_read_free(tree);
    u->exchange = x;
    if (!is_kept) {
        weir_fail(&err, WEIR_NO_MEMORY, "there is no memory to wait for the workers of '%.100s'",
                  u->model);
        exchange_fail(x, &err, NULL);
    } else if (u->waiting == 0) {
        answer(u);
    } else {
        x->state = u;
        x->over = on_over;
        list_push_back(&x->server->unloads, &u->link);
    }
}

static void on_json(struct exchange *x)
{
    struct json_fields f = json_fields_of(x->json);
    const char *model = json_fields_model(&f);
    struct unload *u = arena_try(&x->arena, 1, sizeof(*u));
    struct str done;
    struct weir_error err;
    CHECK(u != NULL);
    if (!json_fields_ok(&f)) {
        exchange_fail(x, &f.problem, f.param);
        return;
    }
    u->model = arena_str(&x->arena, str_of(model)).data;
    CHECK(u->model != NULL); /* the arena has room for more than the body */
    exchange_forget_body(x); /* the workers may take a minute to leave */
    if (order_by_name(x->server->pool, "unload", u->model, &done, &err) == WEIR_OK)
        wait_for_workers(x, u);
    else
        exchange_fail(x, &err, NULL);
}

void weir_unload_begin(struct exchange *x)
{
    json_body_read(x, on_json);
}
