#include "hub/fetch.h"

#include "base/check.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PNG  "\x89PNG\r\n\x1a\nbytes"
#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nConnection: close\r\n"

/* A server on loopback that answers by path, one connection after another. */
struct host {
    int listener;
    unsigned port;
    pthread_t thread;
    int stop[2];
    pthread_mutex_t lock;
    int connections;
};

static int connections_of(struct host *h, int more)
{
    pthread_mutex_lock(&h->lock);
    const int count = h->connections += more;
    pthread_mutex_unlock(&h->lock);
    return count;
}

static void redirect(int fd, const char *to)
{
    char text[256];
    snprintf(text, sizeof(text),
             "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 6\r\nConnection: "
             "close\r\n\r\nmoved!",
             to);
    send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void answer(const struct host *h, int fd, const char *path)
{
    static const char *const answers[][2] = {
        {"/image.png", HEAD "\r\n" PNG                                                },
        { "/text",     "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>"     },
        { "/untyped",  "HTTP/1.1 200 OK\r\n\r\n" PNG                                  },
        { "/none",     HEAD "Content-Length: 0\r\n\r\n"                               },
        { "/missing",  "HTTP/1.1 404 Not Found\r\nContent-Type: image/png\r\n\r\n" PNG},
        { "/long",     HEAD "Content-Length: 1000000\r\n\r\n"                         },
        { "/short",    HEAD "Content-Length: 50\r\n\r\n" PNG                          },
        { "/garbage",  "SSH-2.0-whatever\r\n"                                         },
    };
    char to[64];
    int hop;
    for (size_t i = 0; i < ARRAY_COUNT(answers); i++)
        if (strcmp(path, answers[i][0]) == 0)
            send(fd, answers[i][1], strlen(answers[i][1]), MSG_NOSIGNAL);
    if (sscanf(path, "/hop/%d", &hop) == 1) {
        snprintf(to, sizeof(to), hop > 1 ? "/hop/%d" : "/image.png", hop - 1);
        redirect(fd, to);
    } else if (strcmp(path, "/to-other") == 0) {
        snprintf(to, sizeof(to), "http://127.0.0.2:%u/image.png", h->port);
        redirect(fd, to);
    } else if (strcmp(path, "/to-file") == 0) {
        redirect(fd, "file:///etc/passwd");
    } else if (strcmp(path, "/endless") == 0) {
        char block[4096];
        memset(block, 'x', sizeof(block));
        ssize_t sent = send(fd, HEAD "\r\n", strlen(HEAD "\r\n"), MSG_NOSIGNAL);
        for (int i = 0; i < 1000 && sent > 0; i++)
            sent = send(fd, block, sizeof(block), MSG_NOSIGNAL);
    } else if (strcmp(path, "/never") == 0) {
        struct pollfd wait = { .fd = h->stop[0], .events = POLLIN };
        poll(&wait, 1, 1000);
    }
}

static void *serve(void *context)
{
    struct host *h = context;
    for (;;) {
        struct pollfd wait[2] = {
            {.fd = h->listener, .events = POLLIN},
            { .fd = h->stop[0], .events = POLLIN}
        };
        poll(wait, 2, -1);
        if (wait[1].revents)
            return NULL;
        char request[4096] = "", path[128] = "";
        const int fd = accept(h->listener, NULL, NULL);
        const ssize_t n = recv(fd, request, sizeof(request) - 1, 0);
        connections_of(h, 1);
        if (n > 0 && sscanf(request, "GET %127s", path) == 1)
            answer(h, fd, path);
        close(fd);
    }
}

static int start(void **state)
{
    static struct host h;
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof(address);
    fetch_prepare();
    h = (struct host){ .listener = socket(AF_INET, SOCK_STREAM, 0),
                       .lock = PTHREAD_MUTEX_INITIALIZER };
    CHECK(bind(h.listener, (struct sockaddr *)&address, size) == 0); /* also as 127.0.0.2 */
    CHECK(listen(h.listener, 8) == 0 && pipe(h.stop) == 0);
    CHECK(getsockname(h.listener, (struct sockaddr *)&address, &size) == 0);
    h.port = ntohs(address.sin_port);
    CHECK(pthread_create(&h.thread, NULL, serve, &h) == 0);
    *state = &h;
    return 0;
}

static int stop(void **state)
{
    struct host *h = *state;
    CHECK(write(h->stop[1], "x", 1) == 1);
    pthread_join(h->thread, NULL);
    close(h->listener), close(h->stop[0]), close(h->stop[1]);
    return 0;
}

/* What the tests take for public: the host's first address. */
static bool only_first(const struct sockaddr *address)
{
    struct sockaddr_in in;
    memcpy(&in, address, sizeof(in));
    return in.sin_family == AF_INET && ntohl(in.sin_addr.s_addr) == INADDR_LOOPBACK;
}

static const struct fetch_options usual = { .timeout_ms = 5000,
                                            .content_type = "image/",
                                            .is_public = only_first };

static enum weir_code get(const struct host *h, const char *path,
                          const struct fetch_options *options, struct buffer *out,
                          struct weir_error *err)
{
    char url[256];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", h->port, path);
    return fetch_get(url, options, out, err);
}

static void image_is_fetched(void **state)
{
    static const char *const paths[] = { "/image.png", "/hop/1", "/hop/3" };
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        struct buffer b;
        struct weir_error err = { .code = WEIR_OK };
        buffer_init(&b, sizeof(PNG) - 1); /* it just fits */
        if (get(*state, paths[i], &usual, &b, &err) != WEIR_OK)
            fail_msg("%s: %s", paths[i], err.text);
        assert_true(str_eq(buffer_view(&b), STR(PNG)));
        buffer_finish(&b);
    }
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *path;
        enum weir_code code;
        const char *says;
    } rows[] = {
        {"/text",      WEIR_INVALID,   "text/html"          },
        { "/untyped",  WEIR_INVALID,   "no content type"    },
        { "/none",     WEIR_INVALID,   "sent nothing"       },
        { "/missing",  WEIR_INVALID,   "404"                },
        { "/long",     WEIR_INVALID,   "more than the limit"},
        { "/endless",  WEIR_INVALID,   "more than the limit"},
        { "/short",    WEIR_INVALID,   "cannot fetch"       },
        { "/garbage",  WEIR_INVALID,   "speaks no HTTP"     },
        { "/hop/4",    WEIR_INVALID,   "more than 3 times"  },
        { "/to-file",  WEIR_INVALID,   "leads away"         },
        { "/to-other", WEIR_FORBIDDEN, "127.0.0.2"          },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct buffer b;
        struct weir_error err = { .code = WEIR_OK };
        buffer_init(&b, 1000);
        buffer_text(&b, "kept");
        if (get(*state, rows[i].path, &usual, &b, &err) != rows[i].code ||
            strstr(err.text, rows[i].says) == NULL)
            fail_msg("%s: code %d, %s", rows[i].path, err.code, err.text);
        assert_true(str_eq(buffer_view(&b), STR("kept")));
        assert_false(b.failed);
        buffer_finish(&b);
    }
}

/* By the rule that holds outside of tests no connection is even tried. */
static void loopback_is_refused(void **state)
{
    struct host *h = *state;
    const struct fetch_options options = { .timeout_ms = 5000 };
    static const char *const hosts[] = { "127.0.0.1", "localhost",  "[::1]",
                                         "0.0.0.0",   "2130706433", "0x7f.1" };
    const int before = connections_of(h, 0);
    for (size_t i = 0; i < ARRAY_COUNT(hosts); i++) {
        struct buffer b;
        struct weir_error err = { .code = WEIR_OK };
        char url[128];
        buffer_init(&b, 1000);
        snprintf(url, sizeof(url), "http://%s:%u/image.png", hosts[i], h->port);
        if (fetch_get(url, &options, &b, &err) != WEIR_FORBIDDEN)
            fail_msg("%s: code %d, %s", url, err.code, err.text);
        assert_non_null(strstr(err.text, "no public address"));
        buffer_finish(&b);
    }
    assert_int_equal(connections_of(h, 0), before);
}

static void other_urls_are_refused(void **state)
{
    static const char *const urls[] = { "file:///etc/passwd",
                                        "ftp://127.0.0.1/x",
                                        "gopher://x/1",
                                        "http://",
                                        "nonsense://x",
                                        "",
                                        "http://user:secret@127.0.0.1/image.png" };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(urls); i++) {
        struct buffer b;
        struct weir_error err = { .code = WEIR_OK };
        buffer_init(&b, 100000);
        if (fetch_get(urls[i], &usual, &b, &err) != WEIR_INVALID || b.len > 0)
            fail_msg("%s: code %d, %s", urls[i], err.code, err.text);
        assert_null(strstr(err.text, "secret"));
        buffer_finish(&b);
    }
}

static void no_proxy_is_used(void **state)
{
    struct buffer b;
    struct weir_error err = { .code = WEIR_OK };
    buffer_init(&b, 100);
    setenv("http_proxy", "http://127.0.0.2:9", 1);
    assert_int_equal(get(*state, "/image.png", &usual, &b, &err), WEIR_OK);
    unsetenv("http_proxy");
    buffer_finish(&b);
}

static bool at_once(void *context)
{
    int *asked = context;
    return ++*asked > 2;
}

static void time_is_bounded(void **state)
{
    struct buffer b;
    struct weir_error err = { .code = WEIR_OK };
    int asked = 0;
    struct fetch_options options = usual;
    buffer_init(&b, 100);
    options.timeout_ms = 200;
    assert_int_equal(get(*state, "/never", &options, &b, &err), WEIR_INVALID);
    assert_non_null(strstr(err.text, "200 ms"));
    options.timeout_ms = 60000;
    options.is_cancelled = at_once;
    options.context = &asked;
    const int64_t began_ms = clock_ms();
    assert_int_equal(get(*state, "/never", &options, &b, &err), WEIR_CANCELLED);
    assert_true(clock_ms() - began_ms < 10000);
    buffer_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_is_fetched),    cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(loopback_is_refused), cmocka_unit_test(other_urls_are_refused),
        cmocka_unit_test(no_proxy_is_used),    cmocka_unit_test(time_is_bounded),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
