#include "server/access.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct access sample(void)
{
    struct access a;
    access_init(&a);
    access_allow_host(&a, STR("192.168.1.5"));
    access_allow_host(&a, STR("Models.lan"));
    access_allow_origin(&a, STR("https://app.example:8443"));
    return a;
}

static void assert_hosts(const struct access *a, const char *const *hosts, size_t count,
                         bool are_allowed)
{
    for (size_t i = 0; i < count; i++)
        if (access_host_is_allowed(a, str_of(hosts[i])) != are_allowed)
            fail_msg("%s: %s", are_allowed ? "refused" : "allowed", hosts[i]);
}

static void hosts_are_matched(void **state)
{
    static const char *const allowed[] = {
        "localhost",        "LOCALHOST:9347", "localhost.", "localhost.:80", "127.0.0.1",
        "127.0.0.1:65535",  "[::1]",          "[::1]:9347", "192.168.1.5:1", "models.LAN",
        "models.lan:00080",
    };
    static const char *const refused[] = {
        "",
        ":80",
        ".",
        "localhost:",
        "localhost:x",
        "localhost:65536",
        "localhost:-1",
        "localhost:80:80",
        "localhost.evil.example",
        "evil-localhost",
        "127.0.0.1.evil.example",
        "127.0.0.2",
        "::1",
        "[::1",
        "[::1]80",
        "[::1]:",
        "[]",
        "user@localhost",
        "localhost/",
        "lan",
        "192.168.1.50",
    };
    struct access a = sample();
    (void)state;
    assert_hosts(&a, allowed, ARRAY_COUNT(allowed), true);
    assert_hosts(&a, refused, ARRAY_COUNT(refused), false);
    access_finish(&a);
}

static void addresses_are_taken_where_all_are_listened_on(void **state)
{
    static const char *const allowed[] = {
        "192.168.1.50:9347", "10.0.0.1", "[2001:db8::7]:9347", "[fe80::1]", "models.lan",
    };
    static const char *const refused[] = {
        "evil.example",
        "192.168.1",
        "192.168.1.50.evil.example",
        "[evil.example]",
        "[]",
        "0x7f000001",
        "[192.168.1.5]",
        "192.168.1.50:x",
        "2130706433",
    };
    struct access a = sample();
    (void)state;
    assert_false(access_host_is_allowed(&a, STR("10.0.0.1")));
    access_allow_addresses(&a);
    assert_hosts(&a, allowed, ARRAY_COUNT(allowed), true);
    assert_hosts(&a, refused, ARRAY_COUNT(refused), false);
    assert_false(access_origin_is_allowed(&a, STR("http://10.0.0.2"), STR("10.0.0.1:9347")));
    access_finish(&a);
}

static void origins_are_matched(void **state)
{
    static const char *const allowed[] = {
        "http://localhost",  "http://localhost:3000",    "https://127.0.0.1:1",
        "http://[::1]:5173", "HTTPS://APP.example:8443", "http://192.168.1.5:9347",
    };
    static const char *const refused[] = {
        "",
        "null",
        "localhost",
        "http://",
        "http://evil.example",
        "http://localhost.evil.example",
        "http://localhost:80@evil.example",
        "http://evil.example/localhost",
        "https://app.example",
        "http://app.example:8443",
        "file://localhost",
        "http://192.168.1.5",
        "http://models.lan",
        "chrome-extension://localhost",
    };
    struct access a = sample();
    struct str host = STR("192.168.1.5:9347");
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(allowed); i++)
        if (!access_origin_is_allowed(&a, str_of(allowed[i]), host))
            fail_msg("refused: %s", allowed[i]);
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++)
        if (access_origin_is_allowed(&a, str_of(refused[i]), host))
            fail_msg("allowed: %s", refused[i]);
    assert_false(access_origin_is_allowed(&a, STR("http://"), (struct str){ NULL, 0 }));
    access_finish(&a);
}

static void what_nobody_says_is_told(void **state)
{
    static const char *const hosts[] = { "models.lan", "10.0.0.1", "[fe80::1]" };
    static const char *const no_hosts[] = {
        "", "models.lan:80", "http://models.lan", "models.lan/", "*", "::1", "a b", "a,b",
    };
    static const char *const origins[] = { "https://app.example", "http://[::1]:80", "null",
                                           "chrome-extension://abcd" };
    static const char *const no_origins[] = {
        "",  "app.example", "https://app.example/", "https://", "https://a:", "https://*.a.example",
        "*", "://a",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(hosts); i++)
        if (!access_can_be_host(str_of(hosts[i])))
            fail_msg("no host: %s", hosts[i]);
    for (size_t i = 0; i < ARRAY_COUNT(no_hosts); i++)
        if (access_can_be_host(str_of(no_hosts[i])))
            fail_msg("a host: %s", no_hosts[i]);
    for (size_t i = 0; i < ARRAY_COUNT(origins); i++)
        if (!access_can_be_origin(str_of(origins[i])))
            fail_msg("no origin: %s", origins[i]);
    for (size_t i = 0; i < ARRAY_COUNT(no_origins); i++)
        if (access_can_be_origin(str_of(no_origins[i])))
            fail_msg("an origin: %s", no_origins[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_are_matched),
        cmocka_unit_test(addresses_are_taken_where_all_are_listened_on),
        cmocka_unit_test(origins_are_matched),
        cmocka_unit_test(what_nobody_says_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
