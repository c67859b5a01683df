#include "base/size.h"
#include "server/exchange.h"
#include "server/routes.h"
#include "server/server_state.h"

/* GET /weir/v1/status: the pool's own answer, as it is. */
void weir_status_begin(struct exchange *x)
{
    static const char order[] = "{\"op\":\"status\"}";
    const char *answer;
    size_t bytes;
    struct weir_error err;
    struct buffer body;
    if (weir_control(x->server->pool, order, sizeof(order) - 1, &answer, &bytes, &err) != WEIR_OK) {
        exchange_fail(x, &err, NULL);
        return;
    }
    buffer_init(&body, (size_t)(64 * MiB));
    buffer_append(&body, answer, bytes);
    exchange_reply_json(x, 200, &body);
}
