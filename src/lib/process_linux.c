#define _GNU_SOURCE
#include "lib/process.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHANNEL_OUT_MAX (WIRE_PAYLOAD_MAX * 4)
#define CHANNEL_IN_MAX  ((size_t)4 * 1024 * 1024)
#define READ_AT_ONCE    ((size_t)256 * 1024)
#define END_OF_FILE_MS  1000 /* a process that goes closes its channel before it can be reaped */
#define HEAR_AT_ONCE    ((size_t)1024)
#define HEAR_ROUNDS     16
#define OUT_KEPT        ((size_t)1024 * 1024) /* memory of an empty channel that is worth keeping */
#define REGION_IDLE_MS  1000                  /* until the pages of a region are given back */
#define LOW_FDS         10                    /* ours stay above what the child's are numbered */

extern char **environ;

/* What a worker may know of our environment. */
static bool may_pass(const char *entry)
{
    static const char *const names[] = { "WEIR_CPU=",     "ASAN_OPTIONS=", "UBSAN_OPTIONS=",
                                         "TSAN_OPTIONS=", "LSAN_OPTIONS=", "LLVM_PROFILE_FILE=" };
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strncmp(entry, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static void pass_environment(char *out[16])
{
    size_t count = 0;
    for (char **e = environ; e != NULL && *e != NULL && count < 15; e++)
        if (may_pass(*e))
            out[count++] = *e;
    out[count] = NULL;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Above the numbers that the child's own descriptors get, so that none is overwritten on the way.
 */
static bool lift(int *fd)
{
    int high = fcntl(*fd, F_DUPFD_CLOEXEC, LOW_FDS);
    if (high < 0)
        return false;
    close(*fd);
    *fd = high;
    return true;
}

/* Memory shared with the child: sealed, so that no touch of it here can fault, whatever the child
 * does. Its pages come as they are used. NULL and errno on failure. */
static void *share_memory(const char *name, size_t bytes, int *fd)
{
    *fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0 || ftruncate(*fd, (off_t)bytes) != 0 ||
        fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0 || !lift(fd))
        return NULL;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

static bool make_page(struct process *p, int *fd)
{
    p->page = share_memory("weir-control", CONTROL_PAGE_BYTES, fd);
    return p->page != NULL;
}

static bool make_region(const struct process *p, enum control_region which, struct region *r,
                        int *fd)
{
    static const char *const names[] = {
        [CONTROL_REQUESTS] = "weir-requests", [CONTROL_REPLIES] = "weir-replies"
    };
    void *memory = share_memory(names[which], REGION_BYTES, fd);
    if (memory != NULL)
        region_init(r, memory, &p->page->returned[which]);
    return memory != NULL;
}

/* What the child gets as its descriptors 2 to 6; -1: not at all. */
enum child_fd { CHILD_WORDS, CHILD_SOCKET, CHILD_PAGE, CHILD_REQUESTS, CHILD_REPLIES, CHILD_FDS };
#define CHILD_FIRST_FD 2

static void close_all(int fds[CHILD_FDS])
{
    for (int i = 0; i < CHILD_FDS; i++)
        close_fd(&fds[i]);
}

static bool make_shared(struct process *p, const struct process_spec *spec, int fds[CHILD_FDS])
{
    if (spec->with_page && !make_page(p, &fds[CHILD_PAGE]))
        return false;
    return !spec->with_regions ||
           (make_region(p, CONTROL_REQUESTS, &p->requests, &fds[CHILD_REQUESTS]) &&
            make_region(p, CONTROL_REPLIES, &p->replies, &fds[CHILD_REPLIES]));
}

static int start(struct process *p, const struct process_spec *spec, const int fds[CHILD_FDS])
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t all, none;
    char *argv[] = { (char *)spec->title, (char *)spec->argument, NULL };
    char *env[16];
    pid_t pid = 0;
    int count = 0;
    pass_environment(env);
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    for (; count < CHILD_FDS && fds[count] >= 0; count++)
        posix_spawn_file_actions_adddup2(&actions, fds[count], CHILD_FIRST_FD + count);
    posix_spawn_file_actions_addclosefrom_np(&actions, CHILD_FIRST_FD + count);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETPGROUP);
    int failure = posix_spawn(&pid, spec->program, &actions, &attr, argv, env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    p->pid = failure == 0 ? pid : 0;
    return failure;
}

struct process *process_start(uint32_t id, const struct process_spec *spec, struct weir_error *err)
{
    struct process *p = mem_new(1, sizeof *p);
    int theirs[CHILD_FDS] = { -1, -1, -1, -1, -1 };
    int sockets[2] = { -1, -1 }, words[2] = { -1, -1 };
    p->key = id;
    p->pid_fd = p->socket = p->stderr_fd = -1;
    buffer_init(&p->in, CHANNEL_IN_MAX);
    buffer_init(&p->out, CHANNEL_OUT_MAX);
    buffer_init(&p->words, spec->words_max + HEAR_AT_ONCE);
    p->words_max = spec->words_max;
    CHECK(spec->with_page || !spec->with_regions);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
        goto fail;
    p->socket = sockets[0];
    theirs[CHILD_SOCKET] = sockets[1];
    if (pipe2(words, O_CLOEXEC) != 0)
        goto fail;
    p->stderr_fd = words[0];
    theirs[CHILD_WORDS] = words[1];
    if (!lift(&theirs[CHILD_SOCKET]) || !lift(&theirs[CHILD_WORDS]) ||
        !make_shared(p, spec, theirs))
        goto fail;
    if (fcntl(p->socket, F_SETFL, O_NONBLOCK) != 0 || fcntl(p->stderr_fd, F_SETFL, O_NONBLOCK) != 0)
        goto fail;
    errno = start(p, spec, theirs);
    if (errno != 0)
        goto fail;
    p->pid_fd = pidfd_open((pid_t)p->pid, 0); /* close-on-exec by itself */
    if (p->pid_fd < 0) {
        int failure = errno;
        char status[64];
        process_kill(p, true);
        process_reap(p, true, status);
        errno = failure;
        goto fail;
    }
    close_all(theirs);
    return p;

fail:
    weir_fail_os(err, WEIR_LOAD_FAILED, errno, "cannot start '%.120s'", spec->program);
    close_all(theirs);
    process_free(p);
    return NULL;
}

/* With all of its blocks, whoever held them: the other end is gone. */
static void drop_region(struct region *r)
{
    if (r->memory != NULL)
        munmap(r->memory, REGION_BYTES);
}

void process_free(struct process *p)
{
    if (p == NULL)
        return;
    CHECK(p->pid == 0);
    close_fd(&p->pid_fd);
    close_fd(&p->socket);
    close_fd(&p->stderr_fd);
    if (p->page != NULL)
        munmap(p->page, CONTROL_PAGE_BYTES);
    drop_region(&p->requests);
    drop_region(&p->replies);
    buffer_finish(&p->in);
    buffer_finish(&p->out);
    buffer_finish(&p->words);
    mem_free(p);
}

/* The pidfd names this process for ever; its number may be another's once the host has reaped it,
 * and its group is its own only as long as it stays there. So the group gets the signal while the
 * process is certainly there, and the process by its pidfd. */
void process_kill(const struct process *p, bool hard)
{
    const int signal = hard ? SIGKILL : SIGTERM;
    if (p->pid == 0 || (p->pid_fd >= 0 && pidfd_send_signal(p->pid_fd, 0, NULL, 0) != 0))
        return;
    kill(-(pid_t)p->pid, signal);
    if (p->pid_fd >= 0)
        pidfd_send_signal(p->pid_fd, signal, NULL, 0);
}

static int wait_for(const struct process *p, siginfo_t *info, int options)
{
    int result;
    do
        result = p->pid_fd >= 0 ? waitid(P_PIDFD, (id_t)p->pid_fd, info, options)
                                : waitid(P_PID, (id_t)p->pid, info, options);
    while (result != 0 && errno == EINTR);
    return result;
}

bool process_reap(struct process *p, bool wait, char status[64])
{
    siginfo_t info = { 0 };
    int result = wait_for(p, &info, WEXITED | WNOWAIT | (wait ? 0 : WNOHANG));
    if (result == 0 && info.si_pid == 0)
        return false;
    if (result == 0) {
        /* Until it is reaped its group is surely its own: nothing of it stays behind. */
        kill(-(pid_t)p->pid, SIGKILL);
        result = wait_for(p, &info, WEXITED);
    }
    /* The host reaps every child, or ignores SIGCHLD: gone, and nobody knows how. */
    if (result != 0)
        snprintf(status, 64, "status unknown");
    else if (info.si_code == CLD_EXITED)
        snprintf(status, 64, "exit status %d", info.si_status);
    else
        snprintf(status, 64, "signal %d", info.si_status);
    p->pid = 0;
    return true;
}

static void channel_problem(struct process *p, const char *what, int64_t grace_ms)
{
    p->channel_closed = true;
    if (p->problem[0] != '\0')
        return;
    snprintf(p->problem, sizeof p->problem, "%s", what);
    p->problem_ms = clock_ms() + grace_ms;
}

void process_flush(struct process *p)
{
    while (!p->channel_closed && p->out_sent < p->out.len) {
        ssize_t n = send(p->socket, p->out.data + p->out_sent, p->out.len - p->out_sent,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            p->out_sent += (size_t)n;
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            break;
        } else {
            channel_problem(p, "its channel is closed", END_OF_FILE_MS);
        }
    }
    if (p->channel_closed || p->out_sent == p->out.len) {
        buffer_reuse(&p->out, OUT_KEPT); /* one large request must not cost its memory for ever */
        p->out_sent = 0;
    }
    p->wants_write = p->out.len > 0;
}

void process_send(struct process *p, enum frame_type type, uint64_t job, struct str body,
                  struct str payload)
{
    if (p->channel_closed)
        return;
    if (p->out_sent > READ_AT_ONCE) {
        buffer_drop(&p->out, p->out_sent);
        p->out_sent = 0;
    }
    frame_write(&p->out, type, job, body.data, body.len);
    for (size_t at = 0; at < payload.len && !p->out.failed;)
        at += region_write_part(&p->requests, &p->out, job, payload.data + at, payload.len - at);
    if (type == FRAME_RUN) {
        p->jobs++;
        p->busy_ms = clock_ms();
    }
    if (p->out.failed)
        channel_problem(p, "it does not read what it is sent", 0);
    else if (p->requests.broken)
        channel_problem(p, "it gave back a block that it was not lent", 0);
}

bool process_open(struct process *p, struct frame *f, struct message_part *part,
                  struct weir_error *err)
{
    *part = (struct message_part){ 0 };
    if (f->type == FRAME_END && p->jobs > 0) {
        p->jobs--;
        p->busy_ms = clock_ms();
    }
    if (f->flags == 0)
        return true;
    if (!region_part_read(&p->replies, f, part, err))
        return false;
    *f = (struct frame){
        .type = FRAME_PART, .job = f->job, .body = part->data, .length = part->bytes
    };
    return true;
}

static void trim(struct region *r)
{
    if (r->touched != 0 && madvise(r->memory, REGION_BYTES, MADV_REMOVE) == 0)
        r->touched = 0;
}

/* Without a job the worker has nothing to write: all its outputs came before the ends. */
void process_trim(struct process *p)
{
    if (p->jobs > 0 || clock_ms() - p->busy_ms < REGION_IDLE_MS)
        return;
    if (region_collect(&p->requests))
        trim(&p->requests);
    trim(&p->replies);
}

size_t process_region_bytes(const struct process *p)
{
    return region_touched_bytes(&p->requests) + region_touched_bytes(&p->replies);
}

size_t process_read(struct process *p)
{
    const size_t most = READ_AT_ONCE / 4;
    size_t taken = 0;
    bool is_more = true;
    while (!p->channel_closed && is_more && taken < READ_AT_ONCE) {
        uint8_t *room = buffer_reserve(&p->in, most);
        if (room == NULL) {
            channel_problem(p, "it sends faster than it is read", 0);
            break;
        }
        ssize_t n = recv(p->socket, room, most, MSG_DONTWAIT);
        if (n > 0) {
            p->in.len += (size_t)n;
            taken += (size_t)n;
            is_more = (size_t)n == most; /* less was all that there was */
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            break;
        } else {
            channel_problem(p, "it closed its channel", END_OF_FILE_MS);
        }
    }
    return taken;
}

bool process_hear(struct process *p)
{
    for (int i = 0; i < HEAR_ROUNDS && !p->words_closed; i++) {
        uint8_t *room = buffer_reserve(&p->words, HEAR_AT_ONCE);
        CHECK(room != NULL);
        ssize_t n = read(p->stderr_fd, room, HEAR_AT_ONCE);
        if (n < 0 && errno == EINTR)
            continue;
        p->words_closed = n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
        if (n <= 0)
            return false;
        p->words.len += (size_t)n;
        if (p->words.len > p->words_max)
            buffer_drop(&p->words, p->words.len - p->words_max);
    }
    return !p->words_closed;
}
