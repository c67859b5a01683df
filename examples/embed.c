/* embed.c — the smallest whole use of libweir: open a pool, register a model, ask, step, print.
 *
 *     cc embed.c $(pkg-config --cflags --libs weir) -o embed
 *     ./embed ~/models/all-MiniLM-L6-v2 "a text" "another"
 *
 * Prints one line a text: the numbers of its vector. Where the workers are not in the place that
 * the library knows, WEIR_WORKER=$(pkg-config --variable=workerdir weir) says it. */
#include <weir/weir.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TEXTS_MAX 64

struct answer {
    bool ended;
    bool ok;
};

/* The vectors are borrowed for the call: whoever wants to keep them copies them here. */
static void on_output(void *context, uint64_t id, const struct weir_output *out)
{
    (void)context, (void)id;
    for (size_t row = 0; row < out->rows; row++) {
        for (size_t i = 0; i < out->dim; i++)
            printf("%s%.9g", i > 0 ? " " : "", (double)out->vectors[row * out->dim + i]);
        printf("\n");
    }
}

/* Comes exactly once and last, whatever happened. */
static void on_end(void *context, uint64_t id, const struct weir_end *end)
{
    struct answer *answer = context;
    (void)id;
    answer->ended = true;
    answer->ok = end->error.code == WEIR_OK;
    if (answer->ok)
        fprintf(stderr, "%" PRIu64 " tokens, %" PRId64 " ms\n", end->input_tokens, end->total_ms);
    else
        fprintf(stderr, "embed: %s\n", end->error.text);
}

static const struct weir_callbacks callbacks = { .size = sizeof callbacks,
                                                 .on_output = on_output,
                                                 .on_end = on_end };

/* weir_control speaks JSON. A path with a character that JSON would want escaped is refused here; a
 * program that takes any path escapes it. */
static bool register_model(struct weir *w, const char *path, struct weir_error *err)
{
    char order[4200];
    const char *answer;
    for (const char *c = path; *c != '\0'; c++)
        if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ')
            return false;
    int n = snprintf(order, sizeof order, "{\"op\":\"register\",\"name\":\"mine\",\"path\":\"%s\"}",
                     path);
    return n > 0 && (size_t)n < sizeof order &&
           weir_control(w, order, (size_t)n, &answer, NULL, err) == WEIR_OK;
}

static uint64_t ask(struct weir *w, char **texts, size_t count, struct answer *answer,
                    struct weir_error *err)
{
    struct weir_input inputs[TEXTS_MAX];
    for (size_t i = 0; i < count; i++)
        inputs[i] = (struct weir_input){ .size = sizeof inputs[i],
                                         .kind = WEIR_INPUT_TEXT,
                                         .data = texts[i],
                                         .bytes = strlen(texts[i]) };
    struct weir_embed embed = { .size = sizeof embed, .inputs = inputs, .count = count };
    struct weir_request request = { .size = sizeof request,
                                    .capability = WEIR_TEXT_EMBEDDING,
                                    .operation = WEIR_EMBED,
                                    .model = "mine",
                                    .callbacks = &callbacks,
                                    .context = answer,
                                    .input = &embed };
    return weir_submit(w, &request, err);
}

int main(int argc, char **argv)
{
    struct weir_error err = { .text = "this path cannot be put into JSON as it is" };
    struct weir_options options = { .size = sizeof options };
    struct answer answer = { 0 };
    if (argc < 3 || argc > 2 + TEXTS_MAX) {
        fprintf(stderr, "usage: embed MODEL TEXT… (at most %d texts)\n", TEXTS_MAX);
        return 2;
    }
    struct weir *w = weir_open(&options, &err);
    if (w == NULL) {
        fprintf(stderr, "embed: %s\n", err.text);
        return 1;
    }
    bool going =
        register_model(w, argv[1], &err) && ask(w, argv + 2, (size_t)argc - 2, &answer, &err) != 0;
    /* The first step starts the worker that looks at the model; one of the next starts one that
     * loads it. Nothing happens in between: the library has no thread of its own. */
    while (going && !answer.ended)
        going = weir_step(w, -1, &err) == WEIR_OK;
    if (!going)
        fprintf(stderr, "embed: %s\n", err.text);
    weir_close(w);
    return answer.ok ? 0 : 1;
}
