#include "cmd/machine_limits.h"

#include "base/buffer.h"
#include "base/mem.h"
#include "base/size.h"
#include "base/str.h"
#include "base/worker_path.h"

#include <errno.h>
#include <jansson.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM    "weir-worker"
#define OUTPUT_MAX (64 * KiB)

extern char **environ; /* POSIX leaves the declaration to the program */

/* Starts the program with its stdout into a pipe, whose reading end becomes *out_fd. */
static enum weir_code start(char *path, uint32_t threads, pid_t *out_pid, int *out_fd,
                            struct weir_error *err)
{
    char number[16], flag[] = "--limits";
    char *const arguments[] = { path, flag, threads > 0 ? number : NULL, NULL };
    posix_spawn_file_actions_t actions;
    int ends[2];
    str_print(number, sizeof(number), "%u", (unsigned)threads);
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

static enum weir_code read_limits(struct str said, struct machine_limits *out,
                                  struct weir_error *err)
{
    struct str line = STR(""), head, rest = said;
    while (rest.len > 0) {
        str_cut(rest, '\n', &head, &rest);
        if (head.len > 0)
            line = head;
    }
    json_t *const o = json_loadb(line.data, line.len, 0, NULL);
    const char *const cpu = json_string_value(json_object_get(o, "cpu"));
    const json_int_t threads = json_integer_value(json_object_get(o, "threads"));
    struct machine_limits found = {
        .threads = threads > 0 ? (uint64_t)threads : 0,
        .f32_gflops = json_number_value(json_object_get(o, "f32_gflops")),
        .bf16_gflops = json_number_value(json_object_get(o, "bf16_gflops")),
        .read_gbs = json_number_value(json_object_get(o, "read_gbs")),
    };
    str_print(found.cpu, sizeof(found.cpu), "%s", cpu != NULL ? cpu : "");
    json_decref(o);
    if (found.threads == 0 || found.cpu[0] == '\0' || !(found.f32_gflops > 0))
        return weir_fail(err, WEIR_INTERNAL, "'" PROGRAM " --limits' said '%.*s'",
                         (int)(line.len < 100 ? line.len : 100), line.data);
    *out = found;
    return WEIR_OK;
}

enum weir_code machine_limits_measure(uint32_t threads, struct machine_limits *out,
                                      struct weir_error *err)
{
    struct buffer said;
    pid_t pid;
    int fd = -1, status = 0;
    char *const path = worker_path(NULL, PROGRAM, err);
    if (path == NULL)
        return err->code;
    enum weir_code code = start(path, threads, &pid, &fd, err);
    if (code == WEIR_OK) {
        buffer_init(&said, OUTPUT_MAX);
        read_all(fd, &said);
        close(fd);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            continue;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            code = weir_fail(err, WEIR_INTERNAL, "'%s --limits' failed", path);
        else
            code = read_limits(buffer_view(&said), out, err);
        buffer_finish(&said);
    }
    mem_free(path);
    return code;
}
