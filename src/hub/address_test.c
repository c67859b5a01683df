#include "hub/address.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

struct row {
    const char *text;
    bool is_public;
};

/* The first and last address of each closed network, and their neighbours outside. */
static const struct row v4[] = {
    {"0.0.0.0",          false},
    { "0.255.255.255",   false},
    { "1.0.0.0",         true },
    { "9.255.255.255",   true },
    { "10.0.0.0",        false},
    { "10.255.255.255",  false},
    { "11.0.0.0",        true },
    { "100.63.255.255",  true },
    { "100.64.0.0",      false},
    { "100.127.255.255", false},
    { "100.128.0.0",     true },
    { "126.255.255.255", true },
    { "127.0.0.1",       false},
    { "127.255.255.255", false},
    { "128.0.0.0",       true },
    { "169.253.255.255", true },
    { "169.254.169.254", false},
    { "169.255.0.0",     true },
    { "172.15.255.255",  true },
    { "172.16.0.0",      false},
    { "172.31.255.255",  false},
    { "172.32.0.0",      true },
    { "191.255.255.255", true },
    { "192.0.0.1",       false},
    { "192.0.1.0",       true },
    { "192.0.2.7",       false},
    { "192.88.99.1",     false},
    { "192.167.255.255", true },
    { "192.168.0.0",     false},
    { "192.168.255.255", false},
    { "192.169.0.0",     true },
    { "198.17.255.255",  true },
    { "198.18.0.0",      false},
    { "198.19.255.255",  false},
    { "198.20.0.0",      true },
    { "198.51.100.4",    false},
    { "203.0.113.255",   false},
    { "203.0.114.0",     true },
    { "223.255.255.255", true },
    { "224.0.0.1",       false},
    { "239.255.255.255", false},
    { "240.0.0.0",       false},
    { "255.255.255.255", false},
    { "8.8.8.8",         true },
};

static const struct row v6[] = {
    {"::",                      false},
    { "::1",                    false},
    { "::8.8.8.8",              false}, /* compatible: long out of use */
    { "::ffff:8.8.8.8",         true },
    { "::ffff:127.0.0.1",       false},
    { "::ffff:10.1.2.3",        false},
    { "::ffff:169.254.169.254", false},
    { "64:ff9b::8.8.8.8",       true },
    { "64:ff9b::192.168.1.1",   false},
    { "64:ff9b:1::8.8.8.8",     false}, /* for use within one network */
    { "100::1",                 false},
    { "1fff:ffff::1",           false},
    { "2000::1",                true },
    { "2001::1",                false},
    { "2001:1ff:ffff::1",       false},
    { "2001:200::1",            true },
    { "2001:db7:ffff::1",       true },
    { "2001:db8::1",            false},
    { "2001:db9::1",            true },
    { "2002:0808:0808::1",      true },
    { "2002:7f00:0001::1",      false},
    { "2002:c0a8:0101::1",      false},
    { "2606:4700:4700::1111",   true },
    { "3ffe:ffff::1",           true },
    { "3fff::1",                false},
    { "3fff:0fff:ffff::1",      false},
    { "3fff:1000::1",           true },
    { "4000::1",                false},
    { "fc00::1",                false},
    { "fdff:ffff::1",           false},
    { "fe80::1",                false},
    { "fec0::1",                false},
    { "ff02::1",                false},
};

static void addresses_are_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(v4); i++) {
        struct sockaddr_in in = { .sin_family = AF_INET };
        char shown[64];
        assert_int_equal(inet_pton(AF_INET, v4[i].text, &in.sin_addr), 1);
        if (address_is_public((const struct sockaddr *)&in) != v4[i].is_public)
            fail_msg("%s is judged wrongly", v4[i].text);
        assert_string_equal(address_print((const struct sockaddr *)&in, shown), v4[i].text);
    }
    for (size_t i = 0; i < ARRAY_COUNT(v6); i++) {
        struct sockaddr_in6 in = { .sin6_family = AF_INET6 };
        assert_int_equal(inet_pton(AF_INET6, v6[i].text, &in.sin6_addr), 1);
        if (address_is_public((const struct sockaddr *)&in) != v6[i].is_public)
            fail_msg("%s is judged wrongly", v6[i].text);
    }
}

static void other_families_are_closed(void **state)
{
    struct sockaddr_storage other = { .ss_family = AF_UNIX };
    char shown[64];
    (void)state;
    assert_false(address_is_public((const struct sockaddr *)&other));
    address_print((const struct sockaddr *)&other, shown);
    assert_non_null(strstr(shown, "family"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_judged),
        cmocka_unit_test(other_families_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
