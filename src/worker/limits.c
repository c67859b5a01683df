#include "worker/limits.h"

#include "base/jsonw.h"
#include "base/size.h"
#include "tensor/peak.h"
#include "tensor/team.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool print_limits(const struct kernels *k, uint32_t threads)
{
    struct team *const team = team_create(threads, NULL);
    struct buffer line;
    struct jsonw j;
    struct peak peak;
    peak_measure(k, team, &peak);
    buffer_init(&line, 4 * KiB);
    jsonw_init(&j, &line);
    jsonw_object(&j);
    jsonw_key(&j, "cpu"), jsonw_text(&j, k->name);
    jsonw_key(&j, "threads"),
        jsonw_u64(&j, team_threads(team)); /* the system may have refused some */
    jsonw_key(&j, "f32_gflops"), jsonw_double(&j, peak.f32_gflops);
    jsonw_key(&j, "bf16_gflops"), jsonw_double(&j, peak.bf16_gflops);
    jsonw_key(&j, "read_gbs"), jsonw_double(&j, peak.read_gbs);
    jsonw_end(&j);
    buffer_u8(&line, '\n');
    const bool written =
        !line.failed && fwrite(line.data, 1, line.len, stdout) == line.len && fflush(stdout) == 0;
    buffer_finish(&line);
    team_destroy(team);
    return written;
}

static uint32_t cores(void)
{
    const long found = sysconf(_SC_NPROCESSORS_ONLN);
    return found < 1 ? 1 : found < TEAM_THREADS_MAX ? (uint32_t)found : TEAM_THREADS_MAX;
}

int limits_run(const char *name, int argc, char **argv)
{
    uint64_t threads = 0;
    struct kernels k;
    struct weir_error err;
    if (argc > 1 || (argc == 1 && (!str_to_u64(str_of(argv[0]), &threads) || threads == 0 ||
                                   threads > TEAM_THREADS_MAX))) {
        fprintf(stderr, "%s: usage: --limits [THREADS], of 1 to %d threads\n", name,
                TEAM_THREADS_MAX);
        return 2;
    }
    if (kernels_choose(NULL, &k, &err) != WEIR_OK) {
        fprintf(stderr, "%s: %s\n", name, err.text);
        return EXIT_FAILURE;
    }
    bool written;
    if (threads > 0) {
        written = print_limits(&k, (uint32_t)threads);
    } else {
        written = print_limits(&k, 1);
        if (written && cores() > 1)
            written = print_limits(&k, cores());
    }
    if (!written)
        fprintf(stderr, "%s: stdout cannot be written\n", name);
    return written ? EXIT_SUCCESS : EXIT_FAILURE;
}
