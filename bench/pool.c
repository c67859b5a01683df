/* pool — jobs a second through the library and real worker processes: bench-pool FOLDER SECONDS
 *
 * 64 requests are always under way to one model of two fake workers with 16 slots each, whose work
 * is nothing: what is left is the pool's own. Prints one number. Compiles against older commits'
 * headers too, so that bench/against can run it beside them. */
#include "host.h"

#define OUTSTANDING 64

int main(int argc, char **argv)
{
    BENCH_NEEDS(argc == 3);
    struct host h = { 0 };
    struct weir_error err;
    const double seconds = strtod(argv[2], NULL);
    const struct weir_options options = { .size = sizeof options,
                                          .worker = argv[1],
                                          .max_workers = 2,
                                          .min_workers = 2,
                                          .on_event = host_on_event,
                                          .event_context = &h };
    h.pool = weir_open(&options, &err);
    BENCH_NEEDS(h.pool != NULL);
    host_control(&h, "{\"op\":\"register\",\"name\":\"m\","
                     "\"path\":\"fake:text_embedding?slots=16&dim=8\"}");
    host_wait(&h, &h.ready);
    uint64_t sent = 0, number = 0;
    char text[32];
    int64_t began = 0;
    uint64_t ends_then = 0;
    for (bool measured = false;;) {
        while (sent - h.ends < OUTSTANDING) {
            snprintf(text, sizeof text, "text %llu", (unsigned long long)number++);
            host_embed(&h, "m", text);
            sent++;
        }
        host_step(&h, 1000);
        const int64_t now = bench_ns();
        if (!measured && h.ends > 2000) {
            measured = true;
            began = now;
            ends_then = h.ends;
        }
        if (measured && (double)(now - began) > seconds * 1e9) {
            printf("%.0f\n", (double)(h.ends - ends_then) * 1e9 / (double)(now - began));
            break;
        }
    }
    weir_close(h.pool);
    return 0;
}
