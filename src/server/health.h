/* health.h — whether the server is ready, for every route that says so. */
#ifndef SERVER_HEALTH_H
#define SERVER_HEALTH_H

#include "base/error.h"

struct server;

/* WEIR_OK; WEIR_SHUTTING_DOWN while a drain runs; WEIR_UNAVAILABLE until every model was inspected;
 * or what kept the pool from telling. */
enum weir_code health_check(const struct server *s, struct weir_error *err);

#endif
