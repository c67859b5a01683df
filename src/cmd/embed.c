#include "cmd/verb.h"

#include "base/check.h"
#include "base/clock.h"
#include "cmd/backend.h"
#include "cmd/embed_output.h"
#include "cmd/texts.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROGRESS_MS 100

struct embed_options {
    struct pool_settings pool;
    int64_t dimensions;
    int format; /* 0 as it fits, then enum embed_format + 1 */
    const char *output, *prompt;
    bool local, truncate;
};

#define AT(member) offsetof(struct embed_options, member)

static const struct option embed_options_table[] = {
    OPTION(.name = "format", .type = OPTION_CHOICE, .offset = AT(format), .argument = "FORM",
           .fallback = "auto", .fallback_says = "table for a terminal, else json",
           .choices = "auto|table|json|npy",
           .help = "What is printed: a table, one JSON object a line, or a NumPy file."),
    OPTION(.name = "output", .type = OPTION_STRING, .offset = AT(output), .argument = "FILE",
           .help = "File that --format npy writes, replaced when the new one is complete.",
           .letter = 'o'),
    OPTION(.name = "truncate", .type = OPTION_FLAG, .offset = AT(truncate),
           .help = "Cut texts that are too long for the model instead of refusing them."),
    OPTION(.name = "dimensions", .type = OPTION_INTEGER, .offset = AT(dimensions), .argument = "N",
           .fallback_says = "all that the model gives", .least = 1, .most = 1000000,
           .help = "Cut the vectors to the first N numbers and normalise them again."),
    OPTION(.name = "prompt-name", .type = OPTION_STRING, .offset = AT(prompt), .argument = "NAME",
           .fallback_says = "the model's default one, if it has one",
           .help = "Put the model's prompt of that name before each text."),
    OPTION(.name = "local", .type = OPTION_FLAG, .offset = AT(local),
           .help = "Run the model inside this command, whatever server there is."),
    POOL_OPTIONS(struct embed_options),
};

/* How far the work is, on a terminal's stderr when stdout goes elsewhere. */
struct progress {
    bool shown;
    int64_t start_ms, last_ms;
};

static void progress_show(struct progress *p, size_t done)
{
    const int64_t now_ms = clock_ms();
    if (!p->shown || now_ms - p->last_ms < PROGRESS_MS)
        return;
    p->last_ms = now_ms;
    const double seconds = (double)(now_ms - p->start_ms) / 1000;
    fprintf(stderr, "\r\033[K%zu texts, %.0f a second", done, (double)done / seconds);
    fflush(stderr);
}

static void progress_end(const struct progress *p)
{
    if (p->shown && p->last_ms > p->start_ms)
        fprintf(stderr, "\r\033[K");
}

/* An error of one text names it by its number among all, not within the batch. */
static void name_text(const struct texts *texts, struct weir_error *err)
{
    const char *const kind = texts->are_lines ? "line" : "text";
    if (err->index >= 0 && (size_t)err->index < texts->count)
        weir_wrap(err, "%s %zu", kind, texts->first + (size_t)err->index + 1);
    else if (texts->first > 0)
        weir_wrap(err, "%ss %zu to %zu", kind, texts->first + 1, texts->first + texts->count);
}

static enum weir_code embed_all(struct backend *backend, struct texts *texts,
                                const struct embed_options *options, struct embed_output *output,
                                struct weir_error *err)
{
    struct progress progress = {
        .shown = texts->are_lines && isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO),
        .start_ms = clock_ms(),
    };
    progress.last_ms = progress.start_ms;
    const struct embed_choice choice = { .truncate = options->truncate,
                                         .dimensions = (uint32_t)options->dimensions,
                                         .prompt = options->prompt };
    enum weir_code code;
    npy_guard(&output->npy);
    for (;;) {
        struct embeddings rows;
        code = texts_next(texts, err);
        if (code != WEIR_OK || texts->count == 0)
            break;
        code = backend->ops->embed(backend, texts->items, texts->count, &choice, &rows, err);
        if (code != WEIR_OK) {
            name_text(texts, err);
            break;
        }
        npy_guard(&output->npy); /* again: a batch that ran in this command took the signals */
        code = embed_output_rows(output, &rows, texts->first, err);
        embeddings_finish(&rows);
        if (code != WEIR_OK)
            break;
        progress_show(&progress, texts->first + texts->count);
    }
    progress_end(&progress);
    if (code == WEIR_OK)
        code = embed_output_end(output, err);
    npy_unguard();
    return code;
}

static int embed(const struct verb *verb, const struct embed_options *options, const char *model,
                 const char *const *arguments, size_t count)
{
    const struct backend_choice choice = {
        .verb = verb->name,
        .local = options->local,
        .pool = options->pool,
    };
    struct backend *backend = NULL;
    struct embed_output output = { 0 };
    struct texts texts;
    struct weir_error err;
    enum embed_format format = isatty(STDOUT_FILENO) ? EMBED_TABLE : EMBED_JSON;
    if (options->format > 0)
        format = (enum embed_format)(options->format - 1);
    if (count == 1 && strcmp(arguments[0], "-") == 0)
        texts_of_lines(&texts, STDIN_FILENO);
    else
        texts_of_arguments(&texts, arguments, count);
    enum weir_code code = backend_open(model, &choice, &backend, &err);
    if (code == WEIR_OK)
        code = embed_output_begin(&output, format, options->output, &err);
    if (code == WEIR_OK)
        code = embed_all(backend, &texts, options, &output, &err);
    embed_output_discard(&output);
    backend_close(backend);
    texts_finish(&texts);
    return verb_status(verb, code, &err);
}

static int embed_run(const struct verb *verb, int argc, char **argv)
{
    struct options o;
    struct embed_options options = { 0 };
    int status;
    if (!verb_begin(verb, &o, &options, argc, argv, &status))
        return status;
    const bool is_npy = options.format == EMBED_NPY + 1;
    if (o.rest_count < 2)
        status = verb_misused(verb, "a %s is missing", o.rest_count == 0 ? "MODEL" : "TEXT (or -)");
    else if (is_npy && options.output == NULL)
        status = verb_misused(verb, "--format npy needs -o FILE");
    else if (!is_npy && options.output != NULL)
        status = verb_misused(verb, "--output is for --format npy only");
    else
        status = embed(verb, &options, o.rest[0], o.rest + 1, o.rest_count - 1);
    options_finish(&o);
    return status;
}

const struct verb verb_embed = {
    .name = "embed",
    .arguments = "MODEL TEXT… | MODEL -",
    .summary = "texts to vectors",
    .details =
        "Prints the embedding of each TEXT, or with - of each line of stdin. MODEL is a path when\n"
        "it begins with /, ./, ../, ~ or fake:, else a name. A name goes to the server at\n"
        "$WEIR_HOST (default http://127.0.0.1:9347, with $WEIR_API_KEY as its key) when one\n"
        "answers there and knows it; otherwise the model of that name in $WEIR_MODELS (default\n"
        "~/.local/share/weir/models) runs inside this command.",
    .options = embed_options_table,
    .options_count = ARRAY_COUNT(embed_options_table),
    .run = embed_run,
};
