/* weir_requests.c — the requests that wait or run: who asked for what, where each stands, and the
 * end of one of them. They are known by their x-request-id. */
#include "base/check.h"
#include "base/clock.h"
#include "base/jsonw.h"
#include "base/size.h"
#include "server/exchange.h"
#include "server/json_read.h"
#include "server/order.h"
#include "server/router.h"
#include "server/routes.h"
#include "server/server_state.h"

#include <stdlib.h>

#define LISTED_MAX      1000
#define REPLY_BYTES_MAX ((size_t)(4 * MiB))

/* What the pool says: {"state","position","predicted_wait_ms"}. A request that has ended, and whose
 * answer is being written, is unknown to it. */
static void write_standing(struct jsonw *j, struct server *s, uint64_t job)
{
    static const char *const numbers[] = { "position", "predicted_wait_ms" };
    struct str answer;
    struct weir_error err;
    struct json_value *tree = NULL;
    if (order_by_id(s->pool, "request", job, &answer, &err) == WEIR_OK)
        tree = json_read_parse(answer, &err);
    const struct json_value *state = json_read_field(tree, "state");
    jsonw_key(j, "state");
    jsonw_str(j, json_read_kind(state) == JSON_IS_TEXT ? json_read_text(state) : STR("ending"));
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        const struct json_value *number = json_read_field(tree, numbers[i]);
        jsonw_key(j, numbers[i]);
        if (json_read_kind(number) == JSON_IS_INTEGER)
            jsonw_i64(j, json_read_integer(number));
        else
            jsonw_null(j);
    }
    json_read_free(tree);
}

static void write_request(struct jsonw *j, const struct exchange *x)
{
    jsonw_object(j);
    jsonw_key(j, "id"), jsonw_text(j, x->id);
    jsonw_key(j, "route"), jsonw_text(j, x->route ? x->route->path : NULL);
    jsonw_key(j, "model"), jsonw_text(j, x->model);
    jsonw_key(j, "client"), jsonw_text(j, x->connection ? exchange_client(x) : NULL);
    jsonw_key(j, "age_ms"), jsonw_i64(j, clock_ms() - x->began_ms);
    write_standing(j, x->server, x->job);
    jsonw_end(j);
}

/* --- GET /weir/v1/requests: the oldest first -------------------------------------------------- */

static int by_age(const void *a, const void *b)
{
    const struct exchange *const *x = a, *const *y = b;
    if ((*x)->began_ms != (*y)->began_ms)
        return (*x)->began_ms < (*y)->began_ms ? -1 : 1;
    return (*x)->job < (*y)->job ? -1 : 1;
}

void weir_requests_begin(struct exchange *x)
{
    struct server *s = x->server;
    struct exchange **found = arena_try(&x->arena, s->exchange_ids.count + 1, sizeof(*found));
    struct buffer body;
    struct jsonw j;
    size_t count = 0, cursor = 0;
    CHECK(found != NULL); /* connections are bounded, and the arena is empty yet */
    for (struct exchange *at; (at = map_next(&s->exchange_ids, &cursor)) != NULL;)
        if (at->job != 0)
            found[count++] = at;
    qsort(found, count, sizeof(*found), by_age);
    buffer_init(&body, REPLY_BYTES_MAX);
    jsonw_init(&j, &body);
    jsonw_object(&j);
    jsonw_key(&j, "count"), jsonw_u64(&j, count);
    jsonw_key(&j, "requests");
    jsonw_array(&j);
    for (size_t i = 0; i < count && i < LISTED_MAX; i++)
        write_request(&j, found[i]);
    jsonw_end(&j);
    jsonw_end(&j);
    exchange_reply_json(x, 200, &body);
}

/* --- GET and DELETE /weir/v1/requests/ID ------------------------------------------------------ */

static void fail_unknown(struct exchange *x)
{
    struct weir_error err;
    weir_fail(&err, WEIR_NO_SUCH_PATH, "no request '%.*s' waits or runs",
              (int)(x->rest.len < EXCHANGE_ID_MAX ? x->rest.len : EXCHANGE_ID_MAX), x->rest.data);
    exchange_fail(x, &err, NULL);
}

static struct exchange *find(const struct exchange *x)
{
    struct exchange *found = map_get(&x->server->exchange_ids, x->rest);
    return found && found->job != 0 ? found : NULL;
}

void weir_requests_one_begin(struct exchange *x)
{
    const struct exchange *found = find(x);
    struct buffer body;
    struct jsonw j;
    if (found == NULL) {
        fail_unknown(x);
        return;
    }
    buffer_init(&body, REPLY_BYTES_MAX);
    jsonw_init(&j, &body);
    write_request(&j, found);
    exchange_reply_json(x, 200, &body);
}

/* The request's own client is answered with the code `cancelled` when the pool has let go of it. */
void weir_requests_cancel_begin(struct exchange *x)
{
    const struct exchange *found = find(x);
    struct buffer body;
    struct jsonw j;
    if (found == NULL || !weir_cancel(x->server->pool, found->job)) {
        fail_unknown(x);
        return;
    }
    buffer_init(&body, REPLY_BYTES_MAX);
    jsonw_init(&j, &body);
    jsonw_object(&j);
    jsonw_key(&j, "id"), jsonw_text(&j, found->id);
    jsonw_key(&j, "cancelled"), jsonw_bool(&j, true);
    jsonw_end(&j);
    exchange_reply_json(x, 200, &body);
}
