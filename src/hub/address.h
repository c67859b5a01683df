/* address.h — which network addresses are public.
 *
 * What a stranger names must not make this machine talk to itself, to its neighbours, or to the
 * service that gives a virtual machine its keys. Public is what the registries give out for use in
 * the Internet and nothing else: not this host, private or shared networks, links, test networks,
 * multicast, or what is reserved. An address that carries an IPv4 address inside (mapped, NAT64,
 * 6to4) is as public as that one. Pure values; nothing is resolved. */
#ifndef HUB_ADDRESS_H
#define HUB_ADDRESS_H

#include <stdbool.h>

struct sockaddr;

bool address_is_public(const struct sockaddr *address);
/* "10.0.0.1", "fe80::1"; "an address of family 1" for what is no Internet address. */
const char *address_print(const struct sockaddr *address, char out[64]);

#endif
