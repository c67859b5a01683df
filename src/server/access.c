#include "server/access.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define NAMES_BYTES_MAX (1024 * 1024)

struct access_name {
    struct access_name *next;
    struct str name;
};

static const struct str loopback_names[] = {
    {"localhost",  9},
    { "127.0.0.1", 9},
    { "[::1]",     5},
};

void access_init(struct access *a)
{
    *a = (struct access){ 0 };
    arena_init(&a->arena, NAMES_BYTES_MAX);
}

void access_finish(struct access *a)
{
    arena_finish(&a->arena);
    a->hosts = a->origins = NULL;
}

static void add(struct access *a, struct access_name **list, struct str name)
{
    struct access_name *n = arena_try(&a->arena, 1, sizeof(*n));
    CHECK(n != NULL);
    n->name = arena_str(&a->arena, name);
    CHECK(n->name.data != NULL);
    n->next = *list;
    *list = n;
}

void access_allow_host(struct access *a, struct str name)
{
    add(a, &a->hosts, name);
}

void access_allow_addresses(struct access *a)
{
    a->takes_addresses = true;
}

void access_allow_origin(struct access *a, struct str origin)
{
    add(a, &a->origins, origin);
}

static bool is_on(const struct access_name *list, struct str name)
{
    for (; list; list = list->next)
        if (str_eq_ignore_case(list->name, name))
            return true;
    return false;
}

static bool is_loopback(struct str name)
{
    for (size_t i = 0; i < ARRAY_COUNT(loopback_names); i++)
        if (str_eq_ignore_case(loopback_names[i], name))
            return true;
    return false;
}

static bool is_address(struct str name)
{
    struct in6_addr address;
    char text[INET6_ADDRSTRLEN];
    bool is_v6 = name.len > 1 && name.data[0] == '[';
    if (is_v6)
        name = (struct str){ name.data + 1, name.len - 2 };
    if (name.len >= sizeof(text))
        return false;
    memcpy(text, name.data, name.len);
    text[name.len] = '\0';
    return inet_pton(is_v6 ? AF_INET6 : AF_INET, text, &address) == 1;
}

static bool is_port(struct str port)
{
    uint64_t number;
    return port.len <= 5 && str_to_u64(port, &number) && number <= 65535;
}

bool access_split(struct str host, struct str *name, struct str *port)
{
    size_t end = 0;
    *name = host;
    *port = (struct str){ NULL, 0 };
    if (host.len > 0 && host.data[0] == '[') {
        while (end < host.len && host.data[end] != ']')
            end++;
        if (end++ == host.len)
            return false;
    } else {
        while (end < host.len && host.data[end] != ':')
            end++;
    }
    *name = (struct str){ host.data, end };
    if (end == host.len)
        return end > 0;
    *port = (struct str){ host.data + end + 1, host.len - end - 1 };
    return end > 0 && host.data[end] == ':' && is_port(*port);
}

static bool has_any(struct str text, const char *bytes)
{
    for (size_t i = 0; i < text.len; i++)
        if (strchr(bytes, text.data[i]) != NULL)
            return true;
    return false;
}

static bool is_host(struct str host, bool with_port)
{
    struct str name, port;
    return access_split(host, &name, &port) && (with_port || port.data == NULL) &&
           !has_any(name, "/?#@*, \t");
}

bool access_can_be_host(struct str name)
{
    return is_host(name, false);
}

bool access_can_be_origin(struct str origin)
{
    for (size_t i = 1; i + 3 <= origin.len; i++)
        if (memcmp(origin.data + i, "://", 3) == 0)
            return is_host((struct str){ origin.data + i + 3, origin.len - i - 3 }, true);
    return str_eq(origin, STR("null"));
}

bool access_host_is_allowed(const struct access *a, struct str host)
{
    struct str name, port;
    if (!access_split(host, &name, &port))
        return false;
    if (name.len > 1 && name.data[name.len - 1] == '.')
        name.len--; /* the same name, written absolutely */
    return is_loopback(name) || is_on(a->hosts, name) || (a->takes_addresses && is_address(name));
}

bool access_origin_is_allowed(const struct access *a, struct str origin, struct str host)
{
    static const struct str schemes[] = {
        {"http://",   7},
        { "https://", 8}
    };
    if (is_on(a->origins, origin))
        return true;
    for (size_t i = 0; i < ARRAY_COUNT(schemes); i++) {
        struct str name, port;
        if (!str_starts(origin, schemes[i]))
            continue;
        struct str rest = { origin.data + schemes[i].len, origin.len - schemes[i].len };
        if (host.len > 0 && str_eq_ignore_case(rest, host))
            return true;
        return access_split(rest, &name, &port) && is_loopback(name);
    }
    return false;
}
