/* listener.h — the sockets that a server listens on. */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include "base/error.h"

#include <stdbool.h>

struct server;

/* Binds every address that "HOST:PORT" stands for; `out_url` gets the URL with the port given. */
enum weir_code listener_open(struct server *s, const char *address, char out_url[128],
                             struct weir_error *err);
/* Closes them all; each close ends in server_settle. */
void listener_close_all(struct server *s);

#endif
