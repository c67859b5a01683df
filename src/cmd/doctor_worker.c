#include "cmd/doctor.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"
#include "base/worker_path.h"
#include "cmd/ask.h"
#include "cmd/machine_limits.h"
#include "cmd/worker_run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKER     "weir-worker"
#define FAKE       "weir-worker-fake"
#define OUTPUT_MAX (64 * KiB)

/* --- confinement ------------------------------------------------------------------------------ */

static const char *who_is(const char *profile)
{
    static const struct {
        const char *profile, *says;
    } rows[] = {
        {"load",     "a worker that loads" },
        { "cpu",     "a worker that serves"},
        { "inspect", "an inspector"        },
        { "prepare", "a preparer"          },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].profile, profile) == 0)
            return rows[i].says;
    }
    return profile;
}

/* "connect, exec". */
static void list_words(const json_t *array, char *out, size_t room)
{
    struct buffer text;
    buffer_init(&text, 4 * KiB);
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *const word = json_string_value(json_array_get(array, i));
        buffer_printf(&text, "%s%s", i > 0 ? ", " : "", word != NULL ? word : "?");
    }
    str_print(out, room, "%.*s", STR_ARG(buffer_view(&text)));
    buffer_finish(&text);
}

static void say_profile(struct doctor *d, const json_t *p)
{
    char refused[100], possible[100], landlock[40] = "no landlock";
    const char *const who = who_is(ask_text(p, "profile", "?"));
    list_words(json_object_get(p, "refused"), refused, sizeof(refused));
    list_words(json_object_get(p, "possible"), possible, sizeof(possible));
    if (ask_number(p, "landlock") > 0)
        str_print(landlock, sizeof(landlock), "landlock %lld",
                  (long long)ask_number(p, "landlock"));
    if (ask_flag(p, "holds")) {
        doctor_say(d, DOCTOR_OK, "%s is refused %s (%s%s)", who, refused,
                   ask_flag(p, "filters") ? "seccomp, " : "", landlock);
        return;
    }
    if (ask_flag(p, "logs")) {
        doctor_say(d, DOCTOR_NOTE, "%s may %s: a build with sanitizers only logs", who, possible);
        doctor_advise(d, "use it for tests, not for foreign models");
        return;
    }
    /* What a filter of calls cannot know is the folder that a preparer may write in. */
    const bool only_folder = ask_flag(p, "filters") && strcmp(possible, "write") == 0;
    doctor_say(d, only_folder ? DOCTOR_NOTE : DOCTOR_WRONG, "%s may %s (%s%s)", who, possible,
               ask_flag(p, "filters") ? "seccomp, " : "no seccomp, ", landlock);
    doctor_advise(d, only_folder ? "a kernel with landlock (5.13, lsm=landlock) would keep it to "
                                   "the cache folder"
                                 : "serve trusted models only, or where workers may confine "
                                   "themselves (a container must not filter seccomp)");
}

/* --- the programs ----------------------------------------------------------------------------- */

static void say_build(struct doctor *d, const char *path, const json_t *line)
{
    const char *const own = ask_text(d->machine, "build", "unknown");
    const char *const its = ask_text(line, "build", "unknown");
    const char *const problem = ask_text(line, "problem", NULL);
    const char *const kernels = ask_text(line, "kernels", "none");
    if (strcmp(own, its) != 0) {
        doctor_say(d, DOCTOR_WRONG, "'%s' is of build %s, this program of %s", path, its, own);
        doctor_advise(d, "install both from one build; $WEIR_WORKER names the folder of workers");
        return;
    }
    doctor_say(d, DOCTOR_OK, "'%s', of the same build", path);
    if (problem != NULL) {
        doctor_say(d, DOCTOR_WRONG, "%s", problem);
        doctor_advise(d, "unset $WEIR_CPU");
    } else if (strcmp(kernels, "scalar") == 0) {
        doctor_say(d, DOCTOR_NOTE, "it computes without vector instructions");
        doctor_advise(d, getenv("WEIR_CPU") != NULL ? "unset $WEIR_CPU"
                                                    : "models are slow on this CPU");
    } else {
        doctor_say(d, DOCTOR_OK, "it computes with %s%s", kernels,
                   getenv("WEIR_CPU") != NULL ? ", as $WEIR_CPU says" : "");
    }
}

static void say_lines(struct doctor *d, const char *path, struct str said)
{
    struct str text;
    bool is_first = true;
    while (said.len > 0) {
        str_cut(said, '\n', &text, &said);
        json_t *const line = json_loadb(text.data, text.len, 0, NULL);
        if (is_first)
            say_build(d, path, line);
        else
            say_profile(d, line);
        is_first = false;
        json_decref(line);
    }
}

void doctor_worker(struct doctor *d)
{
    struct weir_error err;
    struct buffer said;
    char *const path = worker_path(NULL, WORKER, &err);
    buffer_init(&said, OUTPUT_MAX);
    if (path != NULL && worker_run(path, "--doctor", NULL, &said, &err) == WEIR_OK) {
        say_lines(d, path, buffer_view(&said));
    } else {
        doctor_say(d, DOCTOR_WRONG, "%s", err.text);
        doctor_advise(d, "no model can be loaded; $WEIR_WORKER names the folder of workers");
    }
    char *const fake = worker_path(NULL, FAKE, &err);
    if (fake == NULL) {
        doctor_say(d, DOCTOR_NOTE, "%s", err.text);
        doctor_advise(d, "fake: models, which are for tests, cannot be served");
    }
    buffer_finish(&said);
    mem_free(fake);
    mem_free(path);
}

void doctor_speed(struct doctor *d)
{
    struct machine_limits limits;
    struct weir_error err;
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (machine_limits_measure(cores > 1 ? (uint32_t)cores : 1, &limits, &err) != WEIR_OK) {
        doctor_say(d, DOCTOR_WRONG, "%s", err.text);
        return;
    }
    doctor_say(d, DOCTOR_OK,
               "f32 %.0f GFLOP/s, bf16 %.0f GFLOP/s, memory read %.0f GB/s, with %llu threads",
               limits.f32_gflops, limits.bf16_gflops, limits.read_gbs,
               (unsigned long long)limits.threads);
}
