#include "worker/probe.h"

#include "base/buffer.h"
#include "base/size.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define DISCARD_PORT 9

extern char **environ; /* POSIX leaves the declaration to the program */

static int try_connect(void)
{
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons(DISCARD_PORT),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        return errno;
    const int why =
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : errno;
    close(fd);
    return why;
}

static int try_exec(void)
{
    char name[] = "sh", option[] = "-c", nothing[] = ":";
    char *const arguments[] = { name, option, nothing, NULL };
    pid_t pid;
    const int why = posix_spawn(&pid, "/bin/sh", NULL, NULL, arguments, environ);
    if (why == 0) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    return why;
}

static int try_to_open(const char *path, int flags)
{
    const int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static int try_open(void)
{
    return try_to_open("/etc/passwd", O_RDONLY);
}

static int try_write(void)
{
    return try_to_open("/dev/null", O_WRONLY);
}

static const struct {
    const char *name;
    int (*try)(void);
} attempts[] = {
#define X(NAME, name) [PROBE_##NAME] = { #name, try_##name },
    PROBE_ATTEMPTS(X)
#undef X
};

void probe_run(struct probe *out)
{
    for (unsigned i = 0; i < PROBE_COUNT; i++)
        out->why[i] = attempts[i].try();
}

const char *probe_name(enum probe_attempt attempt)
{
    return attempts[attempt].name;
}

bool probe_refused(const struct probe *p, enum probe_attempt attempt)
{
    return p->why[attempt] == EPERM || p->why[attempt] == EACCES;
}

void probe_say(const struct probe *p, char *out, size_t room)
{
    struct buffer text;
    buffer_init(&text, 4 * KiB);
    for (unsigned i = 0; i < PROBE_COUNT; i++)
        buffer_printf(&text, "%s%s: %s", i > 0 ? ", " : "", attempts[i].name,
                      p->why[i] == 0 ? "done" : strerror(p->why[i]));
    str_print(out, room, "%.*s", STR_ARG(buffer_view(&text)));
    buffer_finish(&text);
}
