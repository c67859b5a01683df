#include "cmd/verb.h"

#include "base/check.h"
#include "cmd/backend.h"
#include "cmd/embed_output.h"
#include "cmd/progress.h"
#include "cmd/texts.h"

#include <string.h>
#include <unistd.h>

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
           .fallback = "auto",
           .fallback_says = "npy for a FILE.npy, table for a terminal, else json",
           .choices = "auto|table|json|npy",
           .help = "What is printed: a table, one JSON object a line, or a NumPy file."),
    OPTION(.name = "output", .type = OPTION_STRING, .offset = AT(output), .argument = "FILE",
           .letter = 'o',
           .help = "File to write instead of stdout, replaced when the new one is complete."),
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

static void name_text(const struct texts *texts, struct weir_error *err)
{
    if (!texts_name_error(texts, 0, texts->count, err) && texts->first > 0)
        weir_wrap(err, "%ss %zu to %zu", texts->are_lines ? "line" : "text", texts->first + 1,
                  texts->first + texts->count);
}

static enum weir_code embed_all(struct backend *backend, struct texts *texts,
                                const struct embed_options *options, struct embed_output *output,
                                struct weir_error *err)
{
    const struct embed_choice choice = { .truncate = options->truncate,
                                         .dimensions = (uint32_t)options->dimensions,
                                         .prompt = options->prompt };
    struct progress progress;
    enum weir_code code;
    progress_begin(&progress, texts_total(texts), output->has_file || !isatty(STDOUT_FILENO));
    for (;;) {
        struct embeddings rows;
        code = texts_next(texts, err);
        if (code != WEIR_OK || texts->count == 0)
            break;
        if (texts->first == 0 && texts->count == TEXTS_BATCH) /* and there may be many more */
            progress_show(&progress, 0, texts_share(texts) < 0 ? -1 : 0);
        code = backend->ops->embed(backend, texts->items, texts->count, &choice, &rows, err);
        if (code != WEIR_OK) {
            name_text(texts, err);
            break;
        }
        code = embed_output_rows(output, &rows, texts->first, err);
        embeddings_finish(&rows);
        if (code != WEIR_OK)
            break;
        progress_show(&progress, texts->first + texts->count, texts_share(texts));
    }
    progress_end(&progress);
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
    if (options->output != NULL)
        format = str_ends(str_of(options->output), STR(".npy")) ? EMBED_NPY : EMBED_JSON;
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
    if (code == WEIR_OK)
        code = embed_output_end(&output, &err);
    const int status = verb_status(verb, code, &err);
    embed_output_keep(&output); /* nothing of what is complete */
    backend_close(backend);
    texts_finish(&texts);
    return status;
}

static int embed_run(const struct verb *verb, int argc, char **argv)
{
    struct options o;
    struct embed_options options = { 0 };
    int status;
    if (!verb_begin(verb, &o, &options, argc, argv, &status))
        return status;
    if (o.rest_count < 2)
        status = verb_misused(verb, "a %s is missing", o.rest_count == 0 ? "MODEL" : "TEXT (or -)");
    else if (options.format == EMBED_NPY + 1 && options.output == NULL)
        status = verb_misused(verb, "--format npy needs -o FILE");
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
        "answers there and knows it; otherwise the model of that name in the configuration file,\n"
        "in $WEIR_MODELS (default ~/.local/share/weir/models) or in the Hugging Face cache runs\n"
        "inside this command.\n"
        "\n"
        "Answers are printed as they come, in the order of the texts; stdin is not read to its\n"
        "end first. With -o FILE they go to a file beside it, which becomes FILE when all are\n"
        "there. Ctrl-C (status 130), SIGTERM (143), SIGHUP (129) or an error keep what was\n"
        "answered: stdout has it, and of a FILE it is FILE.part, whole lines or a valid NumPy\n"
        "file. A long input shows how far the work is on a stderr that is a terminal.",
    .options = embed_options_table,
    .options_count = ARRAY_COUNT(embed_options_table),
    .run = embed_run,
};
