#include "client/http_client.h"

#include "base/clock.h"
#include "base/size.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAX (256 * MiB)

static bool host_is_sane(struct str host, bool v6)
{
    for (size_t i = 0; i < host.len; i++) {
        const char c = host.data[i];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        const bool plain = letter || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
        if (!plain && !(v6 && (c == ':' || c == '%')))
            return false;
    }
    return host.len > 0;
}

enum weir_code http_client_url(const char *text, struct http_url *out, struct weir_error *err)
{
    struct str rest = str_of(text);
    if (!str_starts(rest, STR("http://")))
        return weir_fail(err, WEIR_INVALID, "'%s' is not of the form http://HOST:PORT", text);
    rest.data += strlen("http://");
    rest.len -= strlen("http://");
    if (str_ends(rest, STR("/")))
        rest.len--;
    const bool v6 = str_starts(rest, STR("["));
    struct str host = rest, port = STR("80");
    if (v6) {
        struct str behind;
        rest.data++;
        rest.len--;
        if (!str_cut(rest, ']', &host, &behind) || (behind.len > 0 && behind.data[0] != ':'))
            return weir_fail(err, WEIR_INVALID, "'%s' is not of the form http://[HOST]:PORT", text);
        if (behind.len > 0)
            port = (struct str){ behind.data + 1, behind.len - 1 };
    } else {
        struct str behind;
        if (str_cut(rest, ':', &host, &behind))
            port = behind;
    }
    uint64_t number = 0;
    if (!host_is_sane(host, v6) || host.len >= sizeof(out->host))
        return weir_fail(err, WEIR_INVALID, "'%s' has no host that could be asked", text);
    if (!str_to_u64(port, &number) || number < 1 || number > 65535)
        return weir_fail(err, WEIR_INVALID, "'%s': the port is not a number from 1 to 65535", text);
    *out = (struct http_url){ .host_is_v6 = v6 };
    memcpy(out->host, host.data, host.len);
    str_print(out->port, sizeof(out->port), "%u", (unsigned)number);
    return WEIR_OK;
}

/* Waits for the socket; false with errno ETIMEDOUT when the deadline passes first. */
static bool wait_for(int fd, short events, int64_t deadline_ms)
{
    for (;;) {
        const int64_t left = deadline_ms - clock_ms();
        if (left <= 0) {
            errno = ETIMEDOUT;
            return false;
        }
        struct pollfd p = { .fd = fd, .events = events };
        const int n = poll(&p, 1, left > 60000 ? 60000 : (int)left);
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
    }
}

/* A connected non-blocking socket, or -1 with errno. */
static int connect_one(const struct addrinfo *address, int64_t deadline_ms)
{
    const int fd = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
    if (fd < 0)
        return -1;
    int problem = 0;
    socklen_t size = sizeof(problem);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        goto fail;
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
        return fd;
    if (errno != EINPROGRESS || !wait_for(fd, POLLOUT, deadline_ms))
        goto fail;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) != 0)
        goto fail;
    if (problem == 0)
        return fd;
    errno = problem;
fail:
    problem = errno;
    close(fd);
    errno = problem;
    return -1;
}

static enum weir_code connect_any(const struct http_url *url, int64_t deadline_ms, int *out,
                                  struct weir_error *err)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    const int problem = getaddrinfo(url->host, url->port, &hints, &found);
    if (problem != 0)
        return weir_fail(err, WEIR_UNAVAILABLE, "the host '%s' cannot be resolved: %s", url->host,
                         gai_strerror(problem));
    int fd = -1, why = ECONNREFUSED;
    for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next) {
        fd = connect_one(at, deadline_ms);
        if (fd < 0)
            why = errno;
    }
    freeaddrinfo(found);
    if (fd < 0)
        return weir_fail_os(err, WEIR_UNAVAILABLE, why, "%s port %s", url->host, url->port);
    *out = fd;
    return WEIR_OK;
}

/* A key with a line end in it could write headers of its own. */
static bool key_is_sane(const char *key)
{
    for (; *key != '\0'; key++) {
        if ((unsigned char)*key <= ' ' || (unsigned char)*key >= 0x7f)
            return false;
    }
    return true;
}

static enum weir_code write_request(const struct http_url *url, const struct http_request *request,
                                    struct buffer *out, struct weir_error *err)
{
    const bool has_key = request->api_key != NULL && request->api_key[0] != '\0';
    if (has_key && !key_is_sane(request->api_key))
        return weir_fail(err, WEIR_INVALID, "the API key has a character that no header may carry");
    buffer_printf(out, "%s %s HTTP/1.1\r\n", request->method, request->path);
    buffer_printf(out, url->host_is_v6 ? "Host: [%s]:%s\r\n" : "Host: %s:%s\r\n", url->host,
                  url->port);
    buffer_text(out, "Accept: application/json\r\nConnection: close\r\n");
    if (has_key)
        buffer_printf(out, "Authorization: Bearer %s\r\n", request->api_key);
    if (request->body.data != NULL)
        buffer_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                      request->body.len);
    buffer_text(out, "\r\n");
    buffer_str(out, request->body);
    if (out->failed)
        return weir_fail(err, WEIR_BODY_TOO_LARGE, "a request of %zu bytes, the limit is %llu",
                         request->body.len, (unsigned long long)REQUEST_MAX);
    return WEIR_OK;
}

/* False with errno when the peer went away. It may have answered first ("body too large"), so a
 * failed send does not end the exchange: the response is read all the same. */
static bool send_all(int fd, struct str bytes, int64_t deadline_ms)
{
    while (bytes.len > 0) {
        const ssize_t n = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (n > 0) {
            bytes.data += n;
            bytes.len -= (size_t)n;
        } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return false;
        } else if (!wait_for(fd, POLLOUT, deadline_ms)) {
            return false;
        }
    }
    return true;
}

static enum weir_code receive(int fd, struct response *reply, int64_t deadline_ms,
                              struct weir_error *err)
{
    char block[16 * 1024];
    while (!response_done(reply)) {
        const ssize_t n = recv(fd, block, sizeof(block), 0);
        if (n == 0)
            return response_end(reply, err);
        if (n > 0) {
            const enum weir_code code = response_feed(reply, block, (size_t)n, err);
            if (code != WEIR_OK)
                return code;
        } else if (errno != EAGAIN && errno != EINTR) {
            return weir_fail_os(err, WEIR_UNAVAILABLE, errno, "the connection broke");
        } else if (!wait_for(fd, POLLIN, deadline_ms)) {
            return weir_fail_os(err, WEIR_DEADLINE, errno, "no whole response came in time");
        }
    }
    return WEIR_OK;
}

enum weir_code http_client_send(const struct http_url *url, const struct http_request *request,
                                struct response *reply, bool *connected, struct weir_error *err)
{
    const int64_t start_ms = clock_ms();
    const int64_t deadline_ms = start_ms + request->total_ms;
    int fd = -1;
    struct buffer bytes;
    buffer_init(&bytes, REQUEST_MAX);
    *connected = false;
    enum weir_code code = write_request(url, request, &bytes, err);
    if (code != WEIR_OK)
        goto done;
    code = connect_any(url, start_ms + request->connect_ms, &fd, err);
    if (code != WEIR_OK)
        goto done;
    *connected = true;
    const bool sent = send_all(fd, buffer_view(&bytes), deadline_ms);
    const int why = errno;
    code = receive(fd, reply, deadline_ms, err);
    if (code != WEIR_OK && !sent)
        code = weir_fail_os(err, WEIR_UNAVAILABLE, why, "the request could not be sent");
done:
    if (fd >= 0)
        close(fd);
    buffer_finish(&bytes);
    return code;
}
