/* tei_health.c — GET /health: nothing but a status, for whoever balances load. */
#include "server/exchange.h"
#include "server/health.h"
#include "server/routes.h"

void tei_health_begin(struct exchange *x)
{
    struct weir_error err;
    if (health_check(x->server, &err) == WEIR_OK)
        exchange_reply(x, 200, NULL, NULL);
    else
        exchange_fail(x, &err, NULL);
}
