#include "worker/doctor.h"

#include "base/check.h"
#include "base/jsonw.h"
#include "base/size.h"
#include "tensor/cpu/kernels.h"
#include "wire/build_id.h"
#include "worker/confine.h"
#include "worker/probe.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static bool print_line(struct buffer *line)
{
    buffer_u8(line, '\n');
    const bool written =
        !line->failed && write(STDOUT_FILENO, line->data, line->len) == (ssize_t)line->len;
    buffer_finish(line);
    return written;
}

static bool print_build(void)
{
    struct buffer line;
    struct jsonw j;
    struct kernels k;
    struct weir_error err;
    const bool found = kernels_choose(NULL, &k, &err) == WEIR_OK;
    buffer_init(&line, 4 * KiB);
    jsonw_init(&j, &line);
    jsonw_object(&j);
    jsonw_key(&j, "build"), jsonw_text(&j, build_id);
    jsonw_key(&j, found ? "kernels" : "problem"), jsonw_text(&j, found ? k.name : err.text);
    jsonw_end(&j);
    return print_line(&line);
}

/* A model's files are there to be read until it is loaded. */
static bool must_be_refused(enum confine_profile profile, enum probe_attempt attempt)
{
    return attempt != PROBE_OPEN || profile == CONFINE_CPU;
}

static void print_attempts(struct jsonw *j, enum confine_profile profile, const struct probe *p,
                           bool refused)
{
    jsonw_key(j, refused ? "refused" : "possible");
    jsonw_array(j);
    for (unsigned i = 0; i < PROBE_COUNT; i++) {
        if (probe_refused(p, i) == refused && (refused || must_be_refused(profile, i)))
            jsonw_text(j, probe_name(i));
    }
    jsonw_end(j);
}

static bool print_profile(enum confine_profile profile, const struct confinement *c,
                          const struct probe *p)
{
    struct buffer line;
    struct jsonw j;
    bool holds = true;
    for (unsigned i = 0; i < PROBE_COUNT; i++)
        holds = holds && (probe_refused(p, i) || !must_be_refused(profile, i));
    buffer_init(&line, 4 * KiB);
    jsonw_init(&j, &line);
    jsonw_object(&j);
    jsonw_key(&j, "profile"), jsonw_text(&j, confine_name(profile));
    jsonw_key(&j, "filters"), jsonw_bool(&j, c->filters);
    jsonw_key(&j, "logs"), jsonw_bool(&j, c->logs);
    jsonw_key(&j, "landlock"), jsonw_i64(&j, c->landlock);
    print_attempts(&j, profile, p, true);
    print_attempts(&j, profile, p, false);
    jsonw_key(&j, "holds"), jsonw_bool(&j, holds);
    jsonw_end(&j);
    return print_line(&line);
}

/* A thread as a worker's team has them: started before the last confinement, and bound by it. */
struct second {
    pthread_mutex_t held; /* until the process is confined */
    struct probe probe;
};

static void *probe_second(void *context)
{
    struct second *s = context;
    pthread_mutex_lock(&s->held);
    probe_run(&s->probe);
    pthread_mutex_unlock(&s->held);
    return NULL;
}

/* The life of a process that ends with it. */
static bool try_profile(enum confine_profile profile, const char *name)
{
    pthread_t thread;
    struct second s = { .held = PTHREAD_MUTEX_INITIALIZER };
    const enum confine_profile first = profile == CONFINE_CPU ? CONFINE_LOAD : profile;
    confine_settle();
    struct confinement c = confine_enter(first, NULL, name);
    pthread_mutex_lock(&s.held);
    CHECK(pthread_create(&thread, NULL, probe_second, &s) == 0);
    if (profile != first)
        c = confine_enter(profile, NULL, name);
    pthread_mutex_unlock(&s.held);
    CHECK(pthread_join(thread, NULL) == 0);
    return print_profile(profile, &c, &s.probe);
}

static bool try_apart(enum confine_profile profile, const char *name)
{
    int status;
    const pid_t pid = fork();
    if (pid < 0)
        return false;
    if (pid == 0)
        _exit(try_profile(profile, name) ? EXIT_SUCCESS : EXIT_FAILURE);
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return false;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

int doctor_run(const char *name)
{
    bool good = print_build();
    for (unsigned profile = CONFINE_NONE + 1; profile < CONFINE_PROFILE_COUNT && good; profile++) {
        good = try_apart(profile, name);
        if (!good)
            fprintf(stderr, "%s: the profile '%s' could not be tried\n", name,
                    confine_name(profile));
    }
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
