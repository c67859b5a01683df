/* embed-pool — weir in process, resident, for `bench embed`:
 *     bench-embed-pool WORKERS MODEL TEXTS THREADS PRECISION CACHE
 *
 * WORKERS is the folder of the worker programs; TEXTS has one text a line, the last of which is the
 * short one, whose latency is measured. One worker is loaded, then orders are read from stdin, one
 * a line, and each is answered by one line:
 *
 *     pass            all texts but the last in one request: its seconds
 *     latency N       the last text N times, alone: the median in milliseconds
 *     vectors FILE    the texts' vectors as floats, one after another: their dimension */
#include "host.h"

#include <unistd.h>

#define TEXTS_MAX 4096

static struct weir_input texts[TEXTS_MAX];
static size_t texts_count;
static struct samples latencies;

struct answer {
    bool ended;
    size_t dim;
    FILE *vectors; /* NULL: not wanted */
};

static void on_output(void *context, uint64_t id, const struct weir_output *output)
{
    struct answer *a = context;
    (void)id;
    a->dim = output->dim;
    if (a->vectors != NULL)
        BENCH_NEEDS(fwrite(output->vectors, sizeof(float) * output->dim, output->rows,
                           a->vectors) == output->rows);
}

static void on_end(void *context, uint64_t id, const struct weir_end *end)
{
    struct answer *a = context;
    (void)id;
    a->ended = true;
    if (end->error.code != WEIR_OK) {
        fprintf(stderr, "embed-pool: %s\n", end->error.text);
        exit(1);
    }
}

/* Runs the operation to its end. */
static void run(struct host *h, enum weir_operation operation, const struct weir_embed *input,
                struct answer *a)
{
    static const struct weir_callbacks callbacks = { .size = sizeof callbacks,
                                                     .on_output = on_output,
                                                     .on_end = on_end };
    struct weir_error err;
    const uint64_t id = weir_submit(h->pool,
                                    &(struct weir_request){ .size = sizeof(struct weir_request),
                                                            .capability = WEIR_TEXT_EMBEDDING,
                                                            .operation = operation,
                                                            .model = "m",
                                                            .callbacks = &callbacks,
                                                            .context = a,
                                                            .input = input },
                                    &err);
    if (id == 0) {
        fprintf(stderr, "embed-pool: %s\n", err.text);
        exit(1);
    }
    while (!a->ended)
        host_step(h, -1);
}

/* Seconds for `count` texts from `first` on in one request. */
static double embed(struct host *h, size_t first, size_t count, struct answer *a)
{
    const struct weir_embed embed = { .size = sizeof embed,
                                      .inputs = texts + first,
                                      .count = count };
    const int64_t began = bench_ns();
    run(h, WEIR_EMBED, &embed, a);
    return (double)(bench_ns() - began) / 1e9;
}

static void read_texts(const char *path)
{
    static char store[1 << 22];
    size_t used = 0;
    FILE *f = fopen(path, "rb");
    BENCH_NEEDS(f != NULL);
    while (fgets(store + used, (int)(sizeof store - used), f) != NULL) {
        const size_t bytes = strcspn(store + used, "\n");
        BENCH_NEEDS(texts_count < TEXTS_MAX && store[used + bytes] == '\n');
        texts[texts_count++] = (struct weir_input){ .size = sizeof(struct weir_input),
                                                    .data = store + used,
                                                    .bytes = bytes };
        used += bytes + 1;
    }
    fclose(f);
    BENCH_NEEDS(texts_count >= 2);
}

static void register_model(struct host *h, const char *path, const char *precision)
{
    char order[4096], wanted[64] = "";
    /* f32 is the default, and older pools know no other. */
    if (strcmp(precision, "f32") != 0)
        snprintf(wanted, sizeof wanted, ",\"precision\":\"%s\"", precision);
    const int n = snprintf(order, sizeof order,
                           "{\"op\":\"register\",\"name\":\"m\",\"path\":\"%s\"%s}", path, wanted);
    BENCH_NEEDS(n > 0 && (size_t)n < sizeof order);
    host_control(h, order);
}

static void obey(struct host *h, char *order)
{
    struct answer a = { 0 };
    order[strcspn(order, "\n")] = '\0';
    if (strcmp(order, "pass") == 0) {
        printf("%.6f\n", embed(h, 0, texts_count - 1, &a));
    } else if (strncmp(order, "latency ", 8) == 0) {
        latencies.count = 0;
        for (unsigned n = bench_number(order + 8); n > 0; n--) {
            a.ended = false;
            samples_add(&latencies, (int64_t)(embed(h, texts_count - 1, 1, &a) * 1e9));
        }
        printf("%.4f\n", samples_quantile(&latencies, 0.5) / 1e6);
    } else {
        BENCH_NEEDS(strncmp(order, "vectors ", 8) == 0);
        a.vectors = fopen(order + 8, "wb");
        BENCH_NEEDS(a.vectors != NULL);
        embed(h, 0, texts_count - 1, &a);
        BENCH_NEEDS(fclose(a.vectors) == 0);
        printf("%zu\n", a.dim);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    BENCH_NEEDS(argc == 7);
    struct host h = { 0 };
    struct weir_error err;
    char order[4096];
    read_texts(argv[3]);
    const struct weir_options options = { .size = sizeof options,
                                          .worker = argv[1],
                                          .threads = bench_number(argv[4]),
                                          .max_workers = 1,
                                          .idle_ms = 3600000,
                                          .cache = argv[6] };
    h.pool = weir_open(&options, &err);
    BENCH_NEEDS(h.pool != NULL);
    register_model(&h, argv[2], argv[5]);
    run(&h, WEIR_LOAD, NULL, &(struct answer){ 0 });
    while (fgets(order, sizeof order, stdin) != NULL)
        obey(&h, order);
    weir_close(h.pool);
    return 0;
}
