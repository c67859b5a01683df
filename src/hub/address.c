#include "hub/address.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Each row is a network that is not public: the IANA registries of special-purpose addresses. */
static const struct {
    uint32_t network;
    uint8_t bits;
} closed_v4[] = {
    {0x00000000,  8 }, /* 0.0.0.0        this network, unspecified */
    { 0x0a000000, 8 }, /* 10.0.0.0       private */
    { 0x64400000, 10}, /* 100.64.0.0     shared by customers of a carrier */
    { 0x7f000000, 8 }, /* 127.0.0.0      loopback */
    { 0xa9fe0000, 16}, /* 169.254.0.0    link-local, and the clouds' metadata */
    { 0xac100000, 12}, /* 172.16.0.0     private */
    { 0xc0000000, 24}, /* 192.0.0.0      protocol assignments */
    { 0xc0000200, 24}, /* 192.0.2.0      documentation */
    { 0xc0586300, 24}, /* 192.88.99.0    relays of 6to4 */
    { 0xc0a80000, 16}, /* 192.168.0.0    private */
    { 0xc6120000, 15}, /* 198.18.0.0     benchmarks */
    { 0xc6336400, 24}, /* 198.51.100.0   documentation */
    { 0xcb007100, 24}, /* 203.0.113.0    documentation */
    { 0xe0000000, 4 }, /* 224.0.0.0      multicast */
    { 0xf0000000, 4 }, /* 240.0.0.0      reserved, broadcast */
};

/* Within 2000::/3, beyond which nothing is public. */
static const struct {
    uint8_t network[6];
    uint8_t bits;
} closed_v6[] = {
    {{ 0x20, 0x01, 0x00, 0x00 },  23}, /* 2001::/23      protocol assignments, Teredo */
    { { 0x20, 0x01, 0x0d, 0xb8 }, 32}, /* 2001:db8::/32  documentation */
    { { 0x3f, 0xff, 0x00, 0x00 }, 20}, /* 3fff::/20      documentation */
};

static bool v4_is_public(uint32_t address)
{
    for (size_t i = 0; i < ARRAY_COUNT(closed_v4); i++)
        if ((address ^ closed_v4[i].network) >> (32 - closed_v4[i].bits) == 0)
            return false;
    return true;
}

static uint32_t v4_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool begins_with(const uint8_t *address, const uint8_t *network, unsigned bits)
{
    for (unsigned i = 0; i < bits; i += 8) {
        const unsigned left = bits - i < 8 ? bits - i : 8;
        if ((address[i / 8] ^ network[i / 8]) >> (8 - left) != 0)
            return false;
    }
    return true;
}

static bool v6_is_public(const uint8_t address[16])
{
    static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
    if (memcmp(address, mapped, sizeof(mapped)) == 0 || memcmp(address, nat64, sizeof(nat64)) == 0)
        return v4_is_public(v4_at(address + 12));
    if (address[0] == 0x20 && address[1] == 0x02) /* 6to4 */
        return v4_is_public(v4_at(address + 2));
    if (address[0] >> 5 != 1)
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(closed_v6); i++)
        if (begins_with(address, closed_v6[i].network, closed_v6[i].bits))
            return false;
    return true;
}

bool address_is_public(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof(in));
        return v4_is_public(ntohl(in.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, address, sizeof(in));
        return v6_is_public(in.sin6_addr.s6_addr);
    }
    return false;
}

const char *address_print(const struct sockaddr *address, char out[64])
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    snprintf(out, 64, "an address of family %d", address->sa_family);
    if (address->sa_family == AF_INET) {
        memcpy(&in, address, sizeof(in));
        inet_ntop(AF_INET, &in.sin_addr, out, 64);
    } else if (address->sa_family == AF_INET6) {
        memcpy(&in6, address, sizeof(in6));
        inet_ntop(AF_INET6, &in6.sin6_addr, out, 64);
    }
    return out;
}
