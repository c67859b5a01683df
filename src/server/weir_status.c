#include "base/size.h"
#include "server/exchange.h"
#include "server/order.h"
#include "server/routes.h"
#include "server/server_state.h"

/* GET /weir/v1/status: the pool's own answer, as it is. */
void weir_status_begin(struct exchange *x)
{
    struct str answer;
    struct weir_error err;
    struct buffer body;
    if (order_plain(x->server->pool, "status", &answer, &err) != WEIR_OK) {
        exchange_fail(x, &err, NULL);
        return;
    }
    buffer_init(&body, (size_t)(64 * MiB));
    buffer_str(&body, answer);
    exchange_reply_json(x, 200, &body);
}
