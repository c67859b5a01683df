/* The door of this folder: inspection, loading and embedding on a copy of tiny_bert that is spoiled
 * in one place at a time; and, where $WEIR_MODELS has it, the real all-MiniLM-L6-v2 against vectors
 * that sentence-transformers computed. */
#include "model/model.h"

#include "model/test_folder.h"
#include "tensor/team.h"
#include "text/tokenizer.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct team *team;

static void test_inspection_states_the_plan(void **state)
{
    struct test_folder f;
    struct model_info info, again;
    (void)state;
    test_folder_init(&f);
    assert_int_equal(model_inspect(f.path, NULL, &info, NULL), WEIR_OK);
    assert_string_equal(info.architecture, "bert");
    assert_int_equal(info.capabilities, 1u << WEIR_TEXT_EMBEDDING);
    struct buffer weights = test_folder_read(f.path, "model.safetensors");
    assert_int_equal(info.weights_bytes, weights.len);
    buffer_finish(&weights);
    assert_int_equal(info.positions, 64);
    assert_int_equal(info.tokens_max, 48);
    assert_int_equal(info.dim, 32);
    assert_int_equal(info.slots, 32);
    assert_int_equal(info.per_slot_bytes, 64 * 4 + 32 * 4);
    /* Activations for 1024 tokens alone: x and y of 32 floats, the wide one of 96. */
    assert_true(info.fixed_bytes > 1024 * 4 * (32 + 32 + 96));
    assert_true(info.scratch_per_thread_bytes > 0);

    const struct model_settings longer = { .context = 64 };
    assert_int_equal(model_inspect(f.path, &longer, &again, NULL), WEIR_OK);
    assert_int_equal(again.tokens_max, 64);
    assert_int_equal(again.per_slot_bytes, info.per_slot_bytes); /* a plan knows no settings */
    assert_int_equal(again.fixed_bytes, info.fixed_bytes);
    assert_memory_equal(info.digest, again.digest, sizeof(info.digest));
    assert_int_equal(again.scratch_per_thread_bytes, info.scratch_per_thread_bytes);
    test_folder_finish(&f);
}

/* Any change of a configuration file or of the header is another model. */
static void test_the_digest_tells_models_apart(void **state)
{
    static const struct {
        const char *file, *from, *to;
    } rows[] = {
        {"config.json",                "1e-12", "1e-11"    },
        { "config.json",               "{",     "{ "       },
        { "sentence_bert_config.json", "48",    "47"       },
        { "modules.json",              "idx",   "idy"      },
        { "1_Pooling/config.json",     "{",     "{\"x\":1,"},
        { "tokenizer.json",            "##ter", "##tar"    },
    };
    struct test_folder f;
    struct model_info first, other;
    (void)state;
    test_folder_init(&f);
    assert_int_equal(model_inspect(f.path, NULL, &first, NULL), WEIR_OK);
    assert_int_equal(model_inspect(f.path, NULL, &other, NULL), WEIR_OK);
    assert_memory_equal(first.digest, other.digest, sizeof(first.digest));
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        test_folder_replace(&f, rows[i].file, rows[i].from, rows[i].to);
        assert_int_equal(model_inspect(f.path, NULL, &other, NULL), WEIR_OK);
        assert_memory_not_equal(first.digest, other.digest, sizeof(first.digest));
        first = other;
    }
    struct buffer weights = test_folder_read(f.path, "model.safetensors");
    char *metadata = NULL;
    for (size_t i = 0; metadata == NULL; i++) {
        if (memcmp(weights.data + i, "\"pt\"", 4) == 0)
            metadata = (char *)weights.data + i;
    }
    memcpy(metadata, "\"tp\"", 4);
    test_folder_write(&f, "model.safetensors", weights.data, weights.len);
    buffer_finish(&weights);
    assert_int_equal(model_inspect(f.path, NULL, &other, NULL), WEIR_OK);
    assert_memory_not_equal(first.digest, other.digest, sizeof(first.digest));
    test_folder_finish(&f);
}

static void assert_load_fails(const struct test_folder *f, const char *named)
{
    struct encoder *e = NULL;
    struct weir_error err;
    memset(&err, 0, sizeof(err));
    enum weir_code code = encoder_load(f->path, NULL, team, NULL, NULL, &e, &err);
    if (code != WEIR_LOAD_FAILED || err.code != WEIR_LOAD_FAILED)
        fail_msg("code %d, want %d: %s", code, WEIR_LOAD_FAILED, err.text);
    if (strstr(err.text, named) == NULL)
        fail_msg("'%s' does not name '%s'", err.text, named);
    assert_null(e);
    assert_int_equal(encoder_load(f->path, NULL, team, NULL, NULL, &e, NULL), WEIR_LOAD_FAILED);
}

static void test_missing_and_empty_files_are_named(void **state)
{
    static const char *const files[] = { "config.json", "model.safetensors", "tokenizer.json" };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        struct test_folder f;
        test_folder_init(&f);
        test_folder_write(&f, files[i], "", 0);
        assert_load_fails(&f, "is empty (0 bytes)");
        assert_load_fails(&f, files[i]);
        test_folder_unlink(&f, files[i]);
        assert_load_fails(&f, files[i]);
        test_folder_finish(&f);
    }
}

static void test_weights_that_do_not_fit_are_named(void **state)
{
    static const struct {
        const char *from, *to, *named;
    } rows[] = {
        {"\"num_hidden_layers\": 2",   "\"num_hidden_layers\": 3",  "encoder.layer.2.attention"},
        { "\"intermediate_size\": 64", "\"intermediate_size\": 80", "[64,32]"                  },
        { "\"intermediate_size\": 64", "\"intermediate_size\": 80", "[80,32]"                  },
        { "\"vocab_size\": ",          "\"vocab_size\": 9",         "word_embeddings"          },
        { "\"type_vocab_size\": 2",    "\"type_vocab_size\": 1",    "token_type_embeddings"    },
    };
    struct test_folder f;
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        test_folder_init(&f);
        test_folder_replace(&f, "config.json", rows[i].from, rows[i].to);
        assert_load_fails(&f, rows[i].named);
        test_folder_finish(&f);
    }
    test_folder_init(&f);
    struct buffer weights = test_folder_read(f.path, "model.safetensors");
    test_folder_write(&f, "model.safetensors", weights.data, weights.len - 1);
    assert_load_fails(&f, "model.safetensors");
    buffer_finish(&weights);
    test_folder_finish(&f);
}

static void test_a_tokenizer_that_does_not_fit_is_named(void **state)
{
    struct test_folder f;
    (void)state;
    test_folder_init(&f);
    test_folder_replace(&f, "tokenizer.json", "\"##ter\":2", "\"##ter\":70000");
    assert_load_fails(&f, "70000");
    test_folder_write(&f, "tokenizer.json", "{}", 2);
    assert_load_fails(&f, "tokenizer.json");
    test_folder_finish(&f);
}

static void count_tick(void *context)
{
    ++*(size_t *)context;
}

static void test_embedding_and_its_refusals(void **state)
{
    static const int32_t ids[49] = { 1, 2, 3 };
    static const int32_t strange[] = { 1, -1 };
    struct test_folder f;
    struct encoder *e;
    struct weir_error err;
    size_t ticks = 0;
    float out[2 * 32], before[2 * 32];
    (void)state;
    test_folder_init(&f);
    assert_int_equal(encoder_load(f.path, NULL, team, count_tick, &ticks, &e, NULL), WEIR_OK);
    assert_int_equal(ticks, 2);
    assert_int_equal(tokenizer_vocab_size(encoder_tokenizer(e)), 4);
    assert_int_equal(encoder_batch_tokens(e), 1024);
    assert_int_equal(encoder_info(e)->dim, 32);

    const struct sequence good[] = {
        {.ids = ids,  .count = 3 },
        { .ids = ids, .count = 48}
    };
    assert_int_equal(encoder_embed(e, good, 2, out, NULL), WEIR_OK);
    assert_int_equal(ticks, 4);
    for (size_t i = 0; i < 2; i++) {
        double length = 0;
        for (size_t k = 0; k < 32; k++)
            length += (double)out[i * 32 + k] * (double)out[i * 32 + k];
        assert_true(fabs(length - 1) < 1e-6);
    }
    assert_int_equal(encoder_embed(e, good, 0, NULL, NULL), WEIR_OK);

    memcpy(before, out, sizeof(out));
    const struct {
        struct sequence sequence;
        enum weir_code code;
        const char *named;
    } wrong[] = {
        {{ ids, 0, 0, false },      WEIR_INVALID,        "no tokens"                 },
        { { ids, 49, 0, false },    WEIR_CONTEXT_LENGTH, "49 tokens, the limit is 48"},
        { { strange, 2, 0, false }, WEIR_INVALID,        "-1"                        },
        { { ids, 3, 3, false },     WEIR_INVALID,        "all are its prompt's"      },
    };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        const struct sequence pair[] = { good[0], wrong[i].sequence };
        assert_int_equal(encoder_embed(e, pair, 2, out, &err), wrong[i].code);
        assert_int_equal(err.index, 1);
        assert_non_null(strstr(err.text, wrong[i].named));
        assert_int_equal(encoder_embed(e, pair, 2, out, NULL), wrong[i].code);
    }
    assert_memory_equal(before, out, sizeof(out));
    encoder_destroy(e);
    encoder_destroy(NULL);
    test_folder_finish(&f);
}

/* A folder from before there was a tokenizer.json. */
static void test_a_vocabulary_alone(void **state)
{
    static const char vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nwa\n##ter\nWA\n";
    static const char keeps[] = "{\"do_lower_case\": false, \"model_max_length\": 1e30}";
    struct test_folder f;
    struct encoder *e;
    struct tokens tokens = { .ids = NULL };
    (void)state;
    test_folder_init(&f);
    test_folder_unlink(&f, "tokenizer.json");
    assert_load_fails(&f, "tokenizer.json");
    test_folder_write(&f, "vocab.txt", vocab, strlen(vocab));
    for (int32_t keep = 0; keep < 2; keep++) {
        if (keep)
            test_folder_write(&f, "tokenizer_config.json", keeps, strlen(keeps));
        assert_int_equal(encoder_load(f.path, NULL, team, NULL, NULL, &e, NULL), WEIR_OK);
        assert_int_equal(tokenizer_encode(encoder_tokenizer(e), STR("WA"), true, &tokens, NULL),
                         WEIR_OK);
        assert_int_equal(tokens.count, 3);
        assert_int_equal(tokens.ids[1], keep ? 7 : 5);
        tokens_finish(&tokens);
        tokens = (struct tokens){ .ids = NULL };
        encoder_destroy(e);
    }
    test_folder_write(&f, "vocab.txt", "wa\n", 3);
    assert_load_fails(&f, "vocab.txt");
    test_folder_write(&f, "tokenizer_config.json", "{\"do_lower_case\": 1}", 20);
    assert_load_fails(&f, "do_lower_case");
    test_folder_unlink(&f, "tokenizer_config.json");
    test_folder_unlink(&f, "vocab.txt");
    test_folder_finish(&f);
}

/* The model wants lower case of its tokenizer: fine where it does that anyway. */
static void test_a_tokenizer_that_keeps_upper_case(void **state)
{
    struct test_folder f;
    struct encoder *e;
    (void)state;
    test_folder_init(&f);
    test_folder_replace(&f, "sentence_bert_config.json", "false", "true");
    assert_int_equal(encoder_load(f.path, NULL, team, NULL, NULL, &e, NULL), WEIR_OK);
    encoder_destroy(e);
    /* With every other piece it does not know, only a letter in the vocabulary tells. */
    test_folder_replace(&f, "tokenizer.json", "\"##ter\":2", "\"a\":2");
    test_folder_replace(&f, "tokenizer.json", "\"lowercase\":true", "\"lowercase\":false");
    assert_load_fails(&f, "do_lower_case");
    test_folder_finish(&f);
}

/* A weight that is not a number reaches every vector, and none of them the caller. */
static void test_numbers_that_are_not_finite_are_refused(void **state)
{
    static const int32_t ids[] = { 5, 6 };
    const struct sequence s = { .ids = ids, .count = 2 };
    struct test_folder f;
    struct encoder *e;
    struct weir_error err;
    float out[32];
    (void)state;
    test_folder_init(&f);
    struct buffer weights = test_folder_read(f.path, "model.safetensors");
    memset(weights.data + weights.len - 4, 0xff, 4);
    test_folder_write(&f, "model.safetensors", weights.data, weights.len);
    buffer_finish(&weights);
    assert_int_equal(encoder_load(f.path, NULL, team, NULL, NULL, &e, NULL), WEIR_OK);
    assert_int_equal(encoder_embed(e, &s, 1, out, &err), WEIR_MODEL_FAILED);
    assert_int_equal(err.index, 0);
    encoder_destroy(e);
    test_folder_finish(&f);
}

enum { REAL_DIM = 384, REAL_TOKENS = 256 };

/* One line of minilm_50.jsonl against what we make of its text. */
static void check_line(struct encoder *e, const char *line, size_t number)
{
    json_error_t problem;
    json_t *row = json_loads(line, 0, &problem);
    const json_t *text = json_object_get(row, "text");
    const json_t *ids = json_object_get(row, "tokens");
    const json_t *want = json_object_get(row, "embedding");
    struct tokens tokens = { .ids = NULL };
    float got[REAL_DIM];
    double product = 0, squares = 0, largest = 0;
    CHECK(json_array_size(want) == REAL_DIM);
    struct str s = { json_string_value(text), json_string_length(text) };
    assert_int_equal(tokenizer_encode(encoder_tokenizer(e), s, true, &tokens, NULL), WEIR_OK);
    tokenizer_truncate(encoder_tokenizer(e), &tokens, 0, REAL_TOKENS, false);
    assert_int_equal(tokens.count, json_array_size(ids));
    for (size_t i = 0; i < tokens.count; i++)
        assert_int_equal(tokens.ids[i], json_integer_value(json_array_get(ids, i)));
    const struct sequence sequence = { .ids = tokens.ids, .count = tokens.count };
    assert_int_equal(encoder_embed(e, &sequence, 1, got, NULL), WEIR_OK);
    for (size_t i = 0; i < REAL_DIM; i++) {
        double number_wanted = json_number_value(json_array_get(want, i));
        product += (double)got[i] * number_wanted;
        squares += number_wanted * number_wanted;
        largest = fmax(largest, fabs((double)got[i] - number_wanted));
    }
    if (!(product / sqrt(squares) >= 0.99999) || !(largest <= 1e-5))
        fail_msg("text %zu: cosine %.9f, largest difference %.3g", number, product / sqrt(squares),
                 largest);
    tokens_finish(&tokens);
    json_decref(row);
}

static void test_the_real_minilm(void **state)
{
    const char *models = getenv("WEIR_MODELS");
    struct encoder *e;
    struct weir_error err;
    size_t count = 0;
    (void)state;
    char *path = file_join(models ? models : "", "all-MiniLM-L6-v2");
    if (models == NULL || !file_is_folder(path)) {
        print_message("SKIPPED: $WEIR_MODELS/all-MiniLM-L6-v2 is not there\n");
        mem_free(path);
        skip();
        return;
    }
    if (encoder_load(path, NULL, team, NULL, NULL, &e, &err) != WEIR_OK)
        fail_msg("%s", err.text);
    struct buffer lines = test_folder_read(WEIR_FIXTURES "/texts", "minilm_50.jsonl");
    struct str rest = buffer_view(&lines), line;
    while (str_cut(rest, '\n', &line, &rest)) {
        char *copy = mem_copy_text(line.data, line.len);
        check_line(e, copy, count++);
        mem_free(copy);
    }
    assert_int_equal(count, 50);
    buffer_finish(&lines);
    encoder_destroy(e);
    mem_free(path);
}

static int make_team(void **state)
{
    (void)state;
    team = team_create(2, NULL);
    return 0;
}

static int end_team(void **state)
{
    (void)state;
    team_destroy(team);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inspection_states_the_plan),
        cmocka_unit_test(test_the_digest_tells_models_apart),
        cmocka_unit_test(test_missing_and_empty_files_are_named),
        cmocka_unit_test(test_weights_that_do_not_fit_are_named),
        cmocka_unit_test(test_a_tokenizer_that_does_not_fit_is_named),
        cmocka_unit_test(test_embedding_and_its_refusals),
        cmocka_unit_test(test_a_vocabulary_alone),
        cmocka_unit_test(test_a_tokenizer_that_keeps_upper_case),
        cmocka_unit_test(test_numbers_that_are_not_finite_are_refused),
        cmocka_unit_test(test_the_real_minilm),
    };
    return cmocka_run_group_tests(tests, make_team, end_team);
}
