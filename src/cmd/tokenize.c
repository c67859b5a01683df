#include "cmd/verb.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/size.h"
#include "cmd/backend.h"
#include "cmd/texts.h"

#include <string.h>
#include <unistd.h>

struct tokenize_options {
    struct pool_settings pool;
    bool decode, no_special, local;
};

#define AT(member) offsetof(struct tokenize_options, member)

static const struct option tokenize_options_table[] = {
    OPTION(.name = "decode", .type = OPTION_FLAG, .offset = AT(decode),
           .help = "The other way: each TEXT is a list of ids, such as \"101 7592 102\"."),
    OPTION(.name = "no-special", .type = OPTION_FLAG, .offset = AT(no_special),
           .help = "Leave out the special tokens that the model's tokenizer adds."),
    OPTION(.name = "local", .type = OPTION_FLAG, .offset = AT(local),
           .help = "Run the model inside this command, whatever server there is."),
    POOL_OPTIONS(struct tokenize_options),
};

/* Reads "1 2 3", also with commas between. *out is the caller's. */
static enum weir_code read_ids(struct str text, int32_t **out, size_t *out_count,
                               struct weir_error *err)
{
    int32_t *const ids = mem_new(text.len + 1, sizeof(*ids));
    size_t count = 0;
    while (text.len > 0) {
        struct str word = { text.data, 0 };
        while (word.len < text.len && strchr(" ,\t", text.data[word.len]) == NULL)
            word.len++;
        uint64_t id;
        if (word.len > 0 && (!str_to_u64(word, &id) || id > INT32_MAX)) {
            mem_free(ids);
            return weir_fail(err, WEIR_INVALID, "'%.*s' is no token id (0 to %d)", STR_ARG(word),
                             INT32_MAX);
        }
        if (word.len > 0)
            ids[count++] = (int32_t)id;
        text.data += word.len;
        text.len -= word.len;
        if (text.len > 0) {
            text.data++;
            text.len--;
        }
    }
    *out = ids;
    *out_count = count;
    return WEIR_OK;
}

static enum weir_code decode_batch(struct backend *backend, const struct texts *texts,
                                   struct buffer *lines, struct weir_error *err)
{
    enum weir_code code = WEIR_OK;
    for (size_t i = 0; i < texts->count && code == WEIR_OK; i++) {
        int32_t *ids = NULL;
        size_t count = 0;
        code = read_ids(texts->items[i], &ids, &count, err);
        if (code == WEIR_OK) {
            code = backend->ops->detokenize(backend, ids, count, lines, err);
            mem_free(ids);
        }
        if (code != WEIR_OK && err->code != WEIR_CANCELLED && !texts_name_error(texts, i, 1, err))
            weir_wrap(err, "%s %zu", texts->are_lines ? "line" : "text", texts->first + i + 1);
    }
    return code;
}

static enum weir_code tokenize_all(struct backend *backend, struct texts *texts,
                                   const struct tokenize_options *options, struct weir_error *err)
{
    enum weir_code code;
    while ((code = texts_next(texts, err)) == WEIR_OK && texts->count > 0) {
        struct buffer lines;
        buffer_init(&lines, GiB);
        code = options->decode ? decode_batch(backend, texts, &lines, err)
                               : backend->ops->tokenize(backend, texts->items, texts->count,
                                                        !options->no_special, &lines, err);
        if (code == WEIR_OK && lines.failed)
            code =
                weir_fail(err, WEIR_NO_MEMORY, "no memory for %zu lines of output", texts->count);
        if (code != WEIR_OK && !options->decode)
            texts_name_error(texts, 0, texts->count, err);
        const enum weir_code written = verb_write(&lines, code == WEIR_OK ? err : NULL);
        buffer_finish(&lines);
        if (code != WEIR_OK || written != WEIR_OK)
            return code != WEIR_OK ? code : written;
    }
    return code;
}

static int tokenize(const struct verb *verb, const struct tokenize_options *options,
                    const char *model, const char *const *arguments, size_t count)
{
    const struct backend_choice choice = { .verb = verb->name,
                                           .local = options->local,
                                           .pool = options->pool };
    struct backend *backend = NULL;
    struct texts texts;
    struct weir_error err;
    if (count == 1 && strcmp(arguments[0], "-") == 0)
        texts_of_lines(&texts, STDIN_FILENO);
    else
        texts_of_arguments(&texts, arguments, count);
    enum weir_code code = backend_open(model, &choice, &backend, &err);
    if (code == WEIR_OK)
        code = tokenize_all(backend, &texts, options, &err);
    backend_close(backend);
    texts_finish(&texts);
    return verb_status(verb, code, &err);
}

static int tokenize_run(const struct verb *verb, int argc, char **argv)
{
    struct options o;
    struct tokenize_options options = { 0 };
    int status;
    if (!verb_begin(verb, &o, &options, argc, argv, &status))
        return status;
    if (o.rest_count < 2)
        status = verb_misused(verb, "a %s is missing", o.rest_count == 0 ? "MODEL" : "TEXT (or -)");
    else if (options.decode && options.no_special)
        status = verb_misused(verb, "--no-special is not for --decode");
    else
        status = tokenize(verb, &options, o.rest[0], o.rest + 1, o.rest_count - 1);
    options_finish(&o);
    return status;
}

const struct verb verb_tokenize = {
    .name = "tokenize",
    .arguments = "MODEL TEXT… | MODEL -",
    .summary = "texts to the ids of a model's tokens, and back",
    .details =
        "Prints {\"tokens\":[…],\"pieces\":[…]} a TEXT, or a line of stdin with -; with --decode\n"
        "{\"text\":…} a list of ids. MODEL and the server are chosen as for `weir embed`.",
    .options = tokenize_options_table,
    .options_count = ARRAY_COUNT(tokenize_options_table),
    .run = tokenize_run,
};
