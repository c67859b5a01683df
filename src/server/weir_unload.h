/* weir_unload.h — those who asked for an unload and wait until the model's workers are gone. */
#ifndef SERVER_WEIR_UNLOAD_H
#define SERVER_WEIR_UNLOAD_H

#include "base/str.h"

struct server;

/* An event of the pool, as JSON: answers those whose last worker has died. */
void weir_unload_event(struct server *s, struct str json);

#endif
