/* test_server.h — a server of one exchange, for the tests of client/. */
#ifndef CLIENT_TEST_SERVER_H
#define CLIENT_TEST_SERVER_H

#include "base/check.h"
#include "client/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Keeps what it is sent up to a body of "{}", answers with `answer`, closes. */
struct one_shot {
    int listener;
    pthread_t thread;
    const char *answer;
    char got[4096];
};

static inline void *one_shot_serve(void *context)
{
    struct one_shot *const s = context;
    const int fd = accept(s->listener, NULL, NULL);
    size_t len = 0;
    while (len < sizeof(s->got) - 1 && strstr(s->got, "{}") == NULL) {
        const ssize_t n = recv(fd, s->got + len, sizeof(s->got) - 1 - len, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    if (s->answer != NULL)
        send(fd, s->answer, strlen(s->answer), MSG_NOSIGNAL);
    else
        recv(fd, s->got, 1, 0); /* until the client has had enough */
    close(fd);
    return NULL;
}

static inline struct http_url one_shot_listen(struct one_shot *s)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(address);
    s->listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(s->listener, (struct sockaddr *)&address, size) == 0);
    CHECK(listen(s->listener, 1) == 0);
    CHECK(getsockname(s->listener, (struct sockaddr *)&address, &size) == 0);
    struct http_url url = { .host = "127.0.0.1" };
    snprintf(url.port, sizeof(url.port), "%u", ntohs(address.sin_port));
    return url;
}

static inline void one_shot_start(struct one_shot *s)
{
    CHECK(pthread_create(&s->thread, NULL, one_shot_serve, s) == 0);
}

static inline void one_shot_end(struct one_shot *s)
{
    pthread_join(s->thread, NULL);
    close(s->listener);
}

#endif
