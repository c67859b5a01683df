#include "cmd/worker_run.h"

#include "base/size.h"

#include <errno.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ; /* POSIX leaves the declaration to the program */

/* Starts the program with its stdout into a pipe, whose reading end becomes *out_fd. */
static enum weir_code start(const char *path, char *const *arguments, pid_t *out_pid, int *out_fd,
                            struct weir_error *err)
{
    posix_spawn_file_actions_t actions;
    int ends[2];
    if (pipe(ends) != 0)
        return weir_fail_os(err, WEIR_INTERNAL, errno, "no pipe for '%s'", path);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    const int failed = posix_spawn(out_pid, path, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (failed != 0) {
        close(ends[0]);
        return weir_fail_os(err, WEIR_INTERNAL, failed, "'%s' cannot be started", path);
    }
    *out_fd = ends[0];
    return WEIR_OK;
}

/* Everything until the end of the file; a bounded amount, so that the program can end. */
static void read_all(int fd, struct buffer *out)
{
    ssize_t n;
    do {
        uint8_t *const room = buffer_reserve(out, 4 * KiB);
        if (room == NULL)
            return;
        n = read(fd, room, 4 * KiB);
        if (n > 0)
            out->len += (size_t)n;
    } while (n > 0 || (n < 0 && errno == EINTR));
}

enum weir_code worker_run(const char *path, const char *argument, const char *second,
                          struct buffer *out, struct weir_error *err)
{
    /* posix_spawn takes texts that it could change, and changes none. */
    char *const arguments[] = { (char *)(uintptr_t)path, (char *)(uintptr_t)argument,
                                (char *)(uintptr_t)second, NULL };
    pid_t pid;
    int fd = -1, status = 0;
    if (start(path, arguments, &pid, &fd, err) != WEIR_OK)
        return err->code;
    read_all(fd, out);
    close(fd);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return weir_fail(err, WEIR_INTERNAL, "'%s %s' failed", path, argument);
    return WEIR_OK;
}
