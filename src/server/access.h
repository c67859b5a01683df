/* access.h — whose requests are answered: the names that Host may carry, and the origins.
 *
 * A web page may send requests to a server on this machine, and may reach it under a name of its
 * own (DNS rebinding). So Host must name an address we listen on, this machine, or an allowed
 * name, and an Origin must be this machine's, the server's own, or allowed. Where we listen on all
 * addresses, any address will do as Host: it is no name that others could point at us. Pure values;
 * nothing is resolved. */
#ifndef SERVER_ACCESS_H
#define SERVER_ACCESS_H

#include "base/arena.h"
#include "base/str.h"

#include <stdbool.h>

struct access_name;
struct access {
    struct access_name *hosts;
    struct access_name *origins;
    bool takes_addresses;
    struct arena arena;
};

void access_init(struct access *a);
void access_finish(struct access *a);
void access_allow_host(struct access *a, struct str name);     /* "models.lan", "[fe80::1]" */
void access_allow_addresses(struct access *a);                 /* as a Host, any IPv4 or IPv6 */
void access_allow_origin(struct access *a, struct str origin); /* "https://app.example:8443" */

/* Whether a request could say so: a host has no port here, an origin no path. */
bool access_can_be_host(struct str name);
bool access_can_be_origin(struct str origin);

/* `host` is a Host field: a name or address, with or without port. */
bool access_host_is_allowed(const struct access *a, struct str host);
/* `host` is the Host field of the same request, which has been allowed. */
bool access_origin_is_allowed(const struct access *a, struct str origin, struct str host);

/* Splits "name", "name:80", "[::1]:80"; the brackets stay with the name. False when it is none. */
bool access_split(struct str host, struct str *name, struct str *port);

#endif
