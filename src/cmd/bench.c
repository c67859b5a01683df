#include "cmd/verb.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include "base/size.h"
#include "cmd/local_models.h"
#include "cmd/machine_limits.h"
#include "cmd/pool.h"
#include "cmd/table.h"

#include <stdlib.h>
#include <string.h>

/* Repetitions: at least the first number, then until the time is over, at most the second. */
enum { REPEAT_LEAST = 5, REPEAT_MOST = 64, REPEAT_MS = 3000, WARM_UPS = 2, BATCH_DEFAULT = 32 };
#define TOKENS_DEFAULT 512
#define OUTPUT_MAX     MiB

struct bench_options {
    struct pool_settings pool;
    int64_t tokens, batch; /* 0: not given */
    bool json;
};

#define AT(member) offsetof(struct bench_options, member)

static const struct option bench_options_table[] = {
    OPTION(.name = "prompt", .type = OPTION_INTEGER, .offset = AT(tokens), .argument = "N",
           .letter = 'p', .fallback_says = "512, or what the model takes at most", .least = 1,
           .most = 1000000, .help = "Tokens of each text."),
    OPTION(.name = "batch", .type = OPTION_INTEGER, .offset = AT(batch), .argument = "N",
           .fallback_says = "32", .least = 1, .most = 4096, .help = "Texts of one request."),
    OPTION(.name = "json", .type = OPTION_FLAG, .offset = AT(json),
           .help = "Print one JSON object instead of a table."),
    POOL_OPTIONS(struct bench_options),
};

/* What was measured: the seconds of each repetition. */
struct bench {
    struct pool *pool;
    uint64_t tokens, batch; /* of a text, of a request */
    int32_t *ids;           /* batch * tokens */
    struct weir_input *inputs;
    double seconds[REPEAT_MOST];
    size_t count;
    struct machine_limits limits;
};

/* --- the texts -------------------------------------------------------------------------------- */

/* The ids of a short text as the model's tokenizer makes them, with what it adds at both ends. */
struct sample {
    int32_t ids[64];
    size_t count;
};

static void take_sample(void *context, const struct weir_output *output)
{
    struct sample *const s = context;
    const size_t count = output->rows > 0 ? output->starts[1] : 0;
    s->count = count < ARRAY_COUNT(s->ids) ? count : ARRAY_COUNT(s->ids);
    memcpy(s->ids, output->ids, s->count * sizeof(*s->ids));
}

/* Texts of exactly so many tokens, given as ids: the sample's ends, and between them its middle
 * over and over, begun elsewhere in each text. */
static enum weir_code make_texts(struct bench *b, struct weir_error *err)
{
    static const char words[] = "the pool holds its level while the river rises and falls";
    const struct weir_input text = {
        .size = sizeof(text), .kind = WEIR_INPUT_TEXT, .data = words, .bytes = sizeof(words) - 1
    };
    const struct weir_tokenize tokenize = { .size = sizeof(tokenize), .inputs = &text, .count = 1 };
    struct sample s = { .count = 0 };
    if (pool_run(b->pool, WEIR_TOKENIZE, &tokenize, take_sample, &s, err) != WEIR_OK)
        return err->code;
    if (s.count < 3)
        return weir_fail(err, WEIR_INTERNAL, "the model made %zu tokens of '%s'", s.count, words);
    uint64_t numbers;
    if (!size_mul(b->batch, b->tokens, &numbers) || numbers > SIZE_MAX / sizeof(*b->ids))
        return weir_fail(err, WEIR_INVALID, "--batch times -p is too much");
    b->ids = mem_try((size_t)numbers, sizeof(*b->ids));
    if (b->ids == NULL)
        return weir_fail(err, WEIR_NO_MEMORY, "no memory for %llu token ids",
                         (unsigned long long)numbers);
    b->inputs = mem_new((size_t)b->batch, sizeof(*b->inputs));
    for (size_t t = 0; t < b->batch; t++) {
        int32_t *const ids = b->ids + t * b->tokens;
        for (size_t i = 0; i < b->tokens; i++)
            ids[i] = s.ids[1 + (t + i) % (s.count - 2)];
        ids[0] = s.ids[0];
        if (b->tokens > 1)
            ids[b->tokens - 1] = s.ids[s.count - 1];
        b->inputs[t] = (struct weir_input){ .size = sizeof(*b->inputs),
                                            .kind = WEIR_INPUT_IDS,
                                            .data = ids,
                                            .bytes = (size_t)b->tokens * sizeof(*ids) };
    }
    return WEIR_OK;
}

/* --- the measurement -------------------------------------------------------------------------- */

static void ignore_vectors(void *context, const struct weir_output *output)
{
    (void)context, (void)output;
}

static enum weir_code embed_once(struct bench *b, double *seconds, struct weir_error *err)
{
    const struct weir_embed embed = { .size = sizeof(embed),
                                      .inputs = b->inputs,
                                      .count = (size_t)b->batch };
    const int64_t began = clock_ns();
    const enum weir_code code = pool_run(b->pool, WEIR_EMBED, &embed, ignore_vectors, NULL, err);
    *seconds = (double)(clock_ns() - began) / 1e9;
    return code;
}

static enum weir_code repeat(struct bench *b, struct weir_error *err)
{
    double warm;
    for (int i = 0; i < WARM_UPS; i++) {
        if (embed_once(b, &warm, err) != WEIR_OK)
            return err->code;
    }
    const int64_t until = clock_ms() + REPEAT_MS;
    while (b->count < REPEAT_LEAST || (b->count < REPEAT_MOST && clock_ms() < until)) {
        if (embed_once(b, &b->seconds[b->count], err) != WEIR_OK)
            return err->code;
        b->count++;
    }
    return WEIR_OK;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Before and after the repetitions; each limit is the larger of the two. */
static enum weir_code measure(struct bench *b, uint32_t threads, struct weir_error *err)
{
    struct machine_limits after;
    if (machine_limits_measure(threads, &b->limits, err) != WEIR_OK || repeat(b, err) != WEIR_OK ||
        machine_limits_measure(threads, &after, err) != WEIR_OK)
        return err->code;
    if (after.f32_gflops > b->limits.f32_gflops)
        b->limits.f32_gflops = after.f32_gflops;
    if (after.bf16_gflops > b->limits.bf16_gflops)
        b->limits.bf16_gflops = after.bf16_gflops;
    if (after.read_gbs > b->limits.read_gbs)
        b->limits.read_gbs = after.read_gbs;
    qsort(b->seconds, b->count, sizeof(b->seconds[0]), compare);
    return WEIR_OK;
}

/* --- what is printed -------------------------------------------------------------------------- */

struct figures {
    double median, min, max;
};

/* So much work a repetition, as a rate. */
static struct figures rate(const struct bench *b, double work)
{
    const double middle =
        (b->seconds[(b->count - 1) / 2] + b->seconds[b->count / 2]) / 2; /* they are sorted */
    return (struct figures){ work / middle, work / b->seconds[b->count - 1], work / b->seconds[0] };
}

static void write_figures(struct jsonw *j, const char *key, struct figures f)
{
    jsonw_key(j, key);
    jsonw_object(j);
    jsonw_key(j, "median"), jsonw_double(j, f.median);
    jsonw_key(j, "min"), jsonw_double(j, f.min);
    jsonw_key(j, "max"), jsonw_double(j, f.max);
    jsonw_end(j);
}

static void write_limits(struct jsonw *j, const struct machine_limits *l)
{
    jsonw_key(j, "limits");
    jsonw_object(j);
    jsonw_key(j, "cpu"), jsonw_text(j, l->cpu);
    jsonw_key(j, "threads"), jsonw_u64(j, l->threads);
    jsonw_key(j, "f32_gflops"), jsonw_double(j, l->f32_gflops);
    jsonw_key(j, "bf16_gflops"), jsonw_double(j, l->bf16_gflops);
    jsonw_key(j, "read_gbs"), jsonw_double(j, l->read_gbs);
    jsonw_end(j);
}

/* Of the matrix products with weights; 0 when the model does not state their work. */
static struct figures arithmetic(const struct bench *b)
{
    const double work = (double)pool_model(b->pool)->flops_per_token * (double)b->tokens;
    return rate(b, work * (double)b->batch / 1e9);
}

static void print_json(const struct bench *b, struct buffer *out)
{
    const struct figures gflops = arithmetic(b);
    struct jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j);
    jsonw_key(&j, "embedding");
    jsonw_object(&j);
    jsonw_key(&j, "tokens"), jsonw_u64(&j, b->tokens);
    jsonw_key(&j, "texts"), jsonw_u64(&j, b->batch);
    jsonw_key(&j, "repetitions"), jsonw_u64(&j, b->count);
    write_figures(&j, "texts_per_s", rate(b, (double)b->batch));
    write_figures(&j, "tokens_per_s", rate(b, (double)b->batch * (double)b->tokens));
    if (gflops.median > 0) {
        write_figures(&j, "gflops", gflops);
        jsonw_key(&j, "share_of_f32"), jsonw_double(&j, gflops.median / b->limits.f32_gflops);
    }
    jsonw_end(&j);
    write_limits(&j, &b->limits);
    jsonw_end(&j);
    buffer_u8(out, '\n');
}

static void print_row(struct table *t, const char *what, struct figures f)
{
    table_cell(t, "  %s", what);
    table_cell(t, "%.1f", f.median), table_cell(t, "%.1f", f.min), table_cell(t, "%.1f", f.max);
}

static void print_table(const struct bench *b, const char *model, struct buffer *out)
{
    const struct machine_limits *const l = &b->limits;
    const struct figures gflops = arithmetic(b);
    struct table t;
    buffer_printf(out, "%s: %llu texts of %llu tokens, %zu times\n", model,
                  (unsigned long long)b->batch, (unsigned long long)b->tokens, b->count);
    table_init(&t, 4);
    table_cell(&t, "  A SECOND"), table_cell(&t, "MEDIAN");
    table_cell(&t, "LEAST"), table_cell(&t, "MOST");
    print_row(&t, "texts", rate(b, (double)b->batch));
    print_row(&t, "tokens", rate(b, (double)b->batch * (double)b->tokens));
    if (gflops.median > 0)
        print_row(&t, "GFLOP", gflops);
    table_print(&t, out);
    table_finish(&t);
    if (gflops.median > 0)
        buffer_printf(out, "  %.0f %% of the f32 limit\n", 100 * gflops.median / l->f32_gflops);
    buffer_printf(out,
                  "limits of this machine now, %s, %llu threads: f32 %.0f GFLOP/s, "
                  "bf16 %.0f GFLOP/s, memory read %.0f GB/s\n",
                  l->cpu, (unsigned long long)l->threads, l->f32_gflops, l->bf16_gflops,
                  l->read_gbs);
}

/* --- the verb --------------------------------------------------------------------------------- */

/* How much is done, from what was asked for and what the model takes. */
static enum weir_code settle(struct bench *b, const struct bench_options *options,
                             struct weir_error *err)
{
    const struct pool_model *const m = pool_model(b->pool);
    if (!m->embeds)
        return weir_fail(err, WEIR_INVALID, "the model makes no vectors of texts");
    const uint64_t most = m->tokens_max > 0 ? m->tokens_max : TOKENS_DEFAULT;
    b->tokens = options->tokens > 0 ? (uint64_t)options->tokens : TOKENS_DEFAULT;
    if (b->tokens > most && options->tokens > 0)
        return weir_fail(err, WEIR_INVALID, "-p %llu: the model takes texts of at most %llu tokens",
                         (unsigned long long)b->tokens, (unsigned long long)most);
    if (b->tokens > most)
        b->tokens = most;
    b->batch = options->batch > 0 ? (uint64_t)options->batch : BATCH_DEFAULT;
    return WEIR_OK;
}

static int bench(const struct verb *verb, struct bench_options *options, const char *model)
{
    struct bench b = { .pool = NULL };
    struct weir_error err;
    struct buffer out;
    int status;
    buffer_init(&out, OUTPUT_MAX);
    enum weir_code code = local_models_open(model, &options->pool, &b.pool, &err);
    if (code == WEIR_OK)
        code = settle(&b, options, &err);
    if (code == WEIR_OK)
        code = make_texts(&b, &err);
    if (code == WEIR_OK)
        code = measure(&b, (uint32_t)options->pool.threads, &err);
    if (code == WEIR_OK && options->json)
        print_json(&b, &out);
    else if (code == WEIR_OK)
        print_table(&b, model, &out);
    status = code == WEIR_OK ? verb_end(verb, &out) : verb_status(verb, code, &err);
    buffer_finish(&out);
    pool_close(b.pool);
    mem_free(b.inputs);
    mem_free(b.ids);
    return status;
}

static int bench_run(const struct verb *verb, int argc, char **argv)
{
    struct options o;
    struct bench_options options = { 0 };
    int status;
    if (!verb_begin(verb, &o, &options, argc, argv, &status))
        return status;
    if (o.rest_count == 0)
        status = verb_misused(verb, "a MODEL is missing");
    else if (o.rest_count > 1)
        status = verb_misused(verb, "one MODEL at a time, and '%s' is a second", o.rest[1]);
    else
        status = bench(verb, &options, o.rest[0]);
    options_finish(&o);
    return status;
}

const struct verb verb_bench = {
    .name = "bench",
    .arguments = "MODEL",
    .summary = "how fast a model is on this machine, beside the machine's limits",
    .details =
        "Runs MODEL inside this command with one worker, several times over the same texts of -p\n"
        "tokens, given as token ids, --batch of them in a request. Prints the median, least and\n"
        "most of its texts and tokens a second. The limits are measured before and after it; the\n"
        "share of them counts the matrix products with the model's weights. MODEL is a path when\n"
        "it begins with /, ./, ../, ~ or fake:, else a name of the configuration file, in\n"
        "$WEIR_MODELS (default ~/.local/share/weir/models) or in the Hugging Face cache.",
    .options = bench_options_table,
    .options_count = ARRAY_COUNT(bench_options_table),
    .run = bench_run,
};
