/* The configuration files of a model folder. The input is a text of several files, each begun by a
 * line with its name:
 *
 *     #config.json
 *     {"model_type": "bert", …
 *     #1_Pooling/config.json
 *     {"pooling_mode": "mean"}
 *
 * Beside them the folder has a tokenizer, the weights of tiny_bert (as model.safetensors, or as
 * whole.safetensors where the input has an index of shards) and those of a Dense in 2_Dense. It is
 * read, which gives values within the bounds that config.h states, the same each time; and it is
 * inspected, which needs all of its files. What is refused names a file. */
#include "fuzz/fuzz.h"

#include "base/buffer.h"
#include "base/check.h"
#include "model/config.h"
#include "model/model.h"
#include "model/prompts.h"

#include <string.h>

static const char index_name[] = "model.safetensors.index.json";
static const char weights_name[] = "model.safetensors";

static const char *const files[] = {
    "config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "tokenizer_config.json",
    "1_Pooling/config.json",
    "2_Dense/config.json",
    index_name,
};

static struct str weights;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char header[] =
        "{\"linear.weight\":{\"dtype\":\"F32\",\"shape\":[16,32],\"data_offsets\":[0,2048]},"
        "\"linear.bias\":{\"dtype\":\"F32\",\"shape\":[16],\"data_offsets\":[2048,2112]}}";
    static const uint8_t zeros[2112];
    struct buffer dense;
    (void)argc;
    (void)argv;
    buffer_init(&dense, sizeof(header) + sizeof(zeros) + 8);
    buffer_u64(&dense, strlen(header));
    buffer_text(&dense, header);
    buffer_append(&dense, zeros, sizeof(zeros));
    fuzz_folder_write("2_Dense/model.safetensors", buffer_view(&dense));
    buffer_finish(&dense);
    weights = fuzz_file("tests/fixtures/tiny_bert/model.safetensors");
    fuzz_folder_write("whole.safetensors", weights);
    fuzz_folder_write("tokenizer.json", fuzz_file("tests/fixtures/tiny_bert/tokenizer.json"));
    return 0;
}

/* Written again only where the last input had it otherwise. */
static void put_weights(bool has_index)
{
    static bool are_there;
    if (has_index)
        fuzz_folder_remove(weights_name);
    else if (!are_there)
        fuzz_folder_write(weights_name, weights);
    are_there = !has_index;
}

/* Says whether it was an index. */
static bool put_file(struct str file)
{
    struct str name, text;
    fuzz_split(file, '\n', &name, &text);
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        if (str_eq(name, str_of(files[i])))
            fuzz_folder_write(files[i], text);
    }
    return str_eq(name, str_of(index_name));
}

static void put_files(struct str input)
{
    struct str line, rest = input;
    size_t begin = input.len;
    bool has_index = false;
    for (size_t i = 0; i < ARRAY_COUNT(files); i++)
        fuzz_folder_remove(files[i]);
    while (rest.len > 0) {
        const size_t at = input.len - rest.len;
        fuzz_split(rest, '\n', &line, &rest);
        if (!str_starts(line, STR("#")))
            continue;
        if (begin < at)
            has_index |= put_file((struct str){ input.data + begin, at - begin });
        begin = at + 1;
    }
    if (begin < input.len)
        has_index |= put_file((struct str){ input.data + begin, input.len - begin });
    put_weights(has_index);
}

static void check_refusal(const struct weir_error *err, enum weir_code code)
{
    CHECK(code == WEIR_LOAD_FAILED);
    fuzz_check_error(err, code, NULL);
    CHECK(strstr(err->text, ".json") != NULL || strstr(err->text, ".safetensors") != NULL);
}

static void check_config(const struct encoder_config *c)
{
    CHECK(c->hidden > 0 && c->heads > 0 && c->hidden % c->heads == 0);
    CHECK(c->layers > 0 && c->intermediate > 0 && c->vocab > 0 && c->positions > 0);
    CHECK(c->tokens_max > 0 && c->tokens_max <= c->positions);
    CHECK(c->eps > 0 && c->eps < 1);
}

/* NULL: the folder's configuration can't be read. */
static void check_inspection(const struct encoder_config *c)
{
    struct model_info info;
    struct weir_error err;
    memset(&err, 0, sizeof(err));
    const enum weir_code code = model_inspect(fuzz_folder(), NULL, &info, &err);
    if (code != WEIR_OK) {
        check_refusal(&err, code);
        return;
    }
    CHECK(c != NULL && info.dim > 0 && info.vocab == c->vocab);
    CHECK(info.positions == c->positions && info.tokens_max == c->tokens_max);
    CHECK(info.weights_bytes > 0 && info.fixed_bytes > 0);
}

/* Each prompt is found by its name, the default by none. */
static void check_prompts(struct folder *folder)
{
    struct prompts p;
    struct weir_error err;
    struct str text;
    memset(&err, 0, sizeof(err));
    memset(&p, 0, sizeof(p));
    const enum weir_code code = prompts_read(folder, &p, &err);
    if (code != WEIR_OK) {
        check_refusal(&err, code);
        return;
    }
    CHECK(p.count <= PROMPTS_MAX && p.default_index <= p.count);
    for (size_t i = 0; i < p.count; i++) {
        CHECK(prompts_find(&p, str_of(p.list[i].name), &text, NULL) == WEIR_OK);
        CHECK(text.len <= PROMPT_BYTES_MAX);
    }
    CHECK(prompts_find(&p, (struct str){ NULL, 0 }, &text, NULL) == WEIR_OK);
    if (prompts_find(&p, STR("no such name"), &text, &err) != WEIR_OK)
        fuzz_check_error(&err, WEIR_INVALID, "no such name");
    prompts_finish(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct folder folder;
    struct encoder_config first, again;
    struct weir_error err;
    memset(&err, 0, sizeof(err));
    memset(&first, 0, sizeof(first));
    memset(&again, 0, sizeof(again));
    put_files((struct str){ (const char *)data, size });
    folder_init(&folder, fuzz_folder());
    const enum weir_code code = config_read(&folder, 0, &first, &err);
    check_prompts(&folder);
    folder_finish(&folder);
    check_inspection(code == WEIR_OK ? &first : NULL);
    if (code != WEIR_OK) {
        check_refusal(&err, code);
        return 0;
    }
    check_config(&first);
    folder_init(&folder, fuzz_folder());
    CHECK(config_read(&folder, UINT32_MAX, &again, NULL) == WEIR_OK);
    folder_finish(&folder);
    CHECK(again.hidden == first.hidden && again.tokens_max == again.positions);
    return 0;
}
