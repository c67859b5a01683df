#include "cmd/serve_config.h"

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* A folder of its own for the test, with a configuration file in it. */
static char folder[] = "/tmp/weir-serve-config-XXXXXX";
static char file[64];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    str_print(file, sizeof(file), "%s/weir.conf", folder);
    setenv("HOME", folder, 1);
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("XDG_DATA_HOME");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HF_HUB_CACHE");
    unsetenv("HUGGINGFACE_HUB_CACHE");
    unsetenv("HF_HOME");
    unsetenv("WEIR_MODELS");
    return 0;
}

static void write_file(const char *path, const char *text)
{
    struct weir_error err;
    if (file_write_atomic(path, text, strlen(text), &err) != WEIR_OK)
        fail_msg("%s", err.text);
}

/* Reads the file with this text, and flags given as one NULL-terminated list. */
static enum weir_code read(struct serve_config *c, const char *text, const char *const *flags,
                           struct weir_error *err)
{
    static char words[8][160];
    char *argv[9];
    int argc = 1;
    write_file(file, text);
    str_print(words[0], sizeof(words[0]), "--config=%s", file);
    argv[0] = words[0];
    for (; flags[argc - 1] != NULL; argc++) {
        str_print(words[argc], sizeof(words[argc]), "%s", flags[argc - 1]);
        argv[argc] = words[argc];
    }
    return serve_config_read(c, &(struct serve_sources){ .argc = argc, .argv = argv }, err);
}

#define FLAGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static const char *order_of(const struct serve_config *c, const char *name)
{
    static char text[1024];
    const struct serve_model *const m = serve_models_find(&c->models, name);
    assert_non_null(m);
    str_print(text, sizeof(text), "%.*s", (int)m->order.len, (const char *)m->order.data);
    return text;
}

static void test_a_flag_beats_the_file(void **state)
{
    struct serve_config c;
    struct weir_error err;
    (void)state;
    assert_int_equal(read(&c, "memory = 6GiB\nmax_workers = 3\nlisten = 127.0.0.1:1\n",
                          FLAGS("--memory=7GiB"), &err),
                     WEIR_OK);
    assert_int_equal(c.options.memory.bytes >> 30, 7);
    assert_int_equal(c.options.max_workers, 3);
    assert_int_equal(c.options.listen.count, 1);
    assert_string_equal(c.options.listen.items[0], "127.0.0.1:1");
    serve_config_finish(&c);
}

static void test_models_of_all_sources(void **state)
{
    struct serve_config c;
    struct weir_error err;
    (void)state;
    assert_int_equal(read(&c,
                          "idle = 5\n[model b]\npath = fake:b\nmax_workers = 2\nidle = 9\n"
                          "alias = bee, b2\ncapability = text_embedding\npin = yes\npreload = yes\n"
                          "context = 128\nslots = 3\npriority = high\nprecision = bf16\n"
                          "truncate = yes\n[model a]\nmin_workers = 1\n",
                          FLAGS("--model", "a=fake:a", "--max-workers=6"), &err),
                     WEIR_OK);
    assert_int_equal(c.models.count, 2);
    assert_string_equal(order_of(&c, "a"),
                        "{\"op\":\"register\",\"name\":\"a\",\"path\":\"fake:a\",\"max_workers\":6,"
                        "\"min_workers\":1,\"idle_ms\":5000,\"idle_label_ms\":5000}");
    assert_string_equal(order_of(&c, "b"),
                        "{\"op\":\"register\",\"name\":\"b\",\"path\":\"fake:b\",\"max_workers\":2,"
                        "\"min_workers\":0,\"idle_ms\":9000,\"idle_label_ms\":9000,\"slots\":3,"
                        "\"context\":128,\"aliases\":[\"bee\",\"b2\"],"
                        "\"capabilities\":[\"text_embedding\"],\"priority\":\"high\","
                        "\"precision\":\"bf16\",\"truncate\":true,\"pin\":true,"
                        "\"preload\":true}");
    serve_config_finish(&c);
}

static void test_the_flags_path_wins(void **state)
{
    struct serve_config c;
    struct weir_error err;
    (void)state;
    assert_int_equal(
        read(&c, "[model a]\npath = fake:file\nslots = 2\n", FLAGS("--model=a=fake:flag"), &err),
        WEIR_OK);
    assert_string_equal(serve_models_find(&c.models, "a")->path, "fake:flag");
    assert_int_equal(serve_models_find(&c.models, "a")->options.slots, 2);
    serve_config_finish(&c);
}

static void make_model(const char *below, const char *name)
{
    char path[256];
    str_print(path, sizeof(path), "%s/%s", folder, below);
    mkdir(path, 0700);
    str_print(path, sizeof(path), "%s/%s/%s", folder, below, name);
    write_file(path, "{}");
}

static void test_a_folder_of_models(void **state)
{
    char flag[128], expected[128];
    struct serve_config c;
    struct weir_error err;
    (void)state;
    make_model("models", "quant.gguf");
    make_model("models/mini", "config.json");
    make_model("models", "large.gguf");
    make_model("models/large", "config.json"); /* the folder has the name */
    make_model("models/org", "readme");
    make_model("models/org/large", "config.json");
    make_model("models/no name", "config.json");
    make_model("models/.hidden", "config.json");
    make_model("models/mini.gguf", "config.json"); /* a folder: that is its whole name */
    str_print(flag, sizeof(flag), "--models=%s/models", folder);
    assert_int_equal(
        read(&c, "[model quant]\nslots = 2\n[model mini]\npath = fake:mini\n", FLAGS(flag), &err),
        WEIR_OK);
    assert_int_equal(c.models.count, 5);
    assert_int_equal(c.models.found.passed_over[FOUND_IN_FOLDER], 1);
    str_print(expected, sizeof(expected), "%s/models/quant.gguf", folder);
    assert_string_equal(serve_models_find(&c.models, "quant")->path, expected);
    assert_int_equal(serve_models_find(&c.models, "quant")->options.slots, 2);
    str_print(expected, sizeof(expected), "%s/models/org/large", folder);
    assert_string_equal(serve_models_find(&c.models, "org/large")->path, expected);
    str_print(expected, sizeof(expected), "%s/models/large", folder);
    assert_string_equal(serve_models_find(&c.models, "large")->path, expected);
    assert_string_equal(serve_models_find(&c.models, "mini")->path, "fake:mini");
    assert_non_null(serve_models_find(&c.models, "mini.gguf"));
    serve_config_finish(&c);
}

/* A model in the Hugging Face cache, fetched as main. */
static void make_fetched(const char *name, const char *commit)
{
    char path[256];
    str_print(path, sizeof(path), "%s/hf/hub/models--%s/refs", folder, name);
    assert_true(file_make_folders(path));
    str_print(path, sizeof(path), "%s/hf/hub/models--%s/refs/main", folder, name);
    write_file(path, commit);
    str_print(path, sizeof(path), "%s/hf/hub/models--%s/snapshots/%s", folder, name, commit);
    assert_true(file_make_folders(path));
    str_print(path, sizeof(path), "%s/hf/hub/models--%s/snapshots/%s/config.json", folder, name,
              commit);
    write_file(path, "{}");
}

static const char *path_of(const struct serve_config *c, const char *name)
{
    const struct serve_model *const m = serve_models_find(&c->models, name);
    return m == NULL                                       ? ""
           : strncmp(m->path, folder, strlen(folder)) == 0 ? m->path + strlen(folder)
                                                           : m->path;
}

/* The configuration is the strongest, then the folder of models, then the Hugging Face cache. */
static void test_a_hugging_face_cache(void **state)
{
    char flag[128], home[64];
    struct serve_config c;
    struct weir_error err;
    (void)state;
    str_print(home, sizeof(home), "%s/hf", folder);
    setenv("HF_HOME", home, 1);
    make_fetched("org--both", "c1");
    make_fetched("org--alone", "c2");
    make_fetched("org--alone", "c3");
    make_fetched("org--section", "c4");
    make_fetched("flagged", "c5");
    make_fetched("taken", "c6");
    make_fetched("no name", "c7");
    make_model("both", "x");
    make_model("both/org", "x");
    make_model("both/org/both", "modules.json");
    str_print(flag, sizeof(flag), "--models=%s/both", folder);
    assert_int_equal(read(&c,
                          "[model org/section]\nslots = 2\n[model org/alone@c2]\n"
                          "[model other]\npath = fake:other\nalias = taken\n",
                          FLAGS(flag, "--model=flagged=fake:flag"), &err),
                     WEIR_OK);
    assert_int_equal(c.models.count, 6);
    assert_int_equal(c.models.found.passed_over[FOUND_IN_HUB], 1);
    assert_string_equal(path_of(&c, "org/both"), "/both/org/both");
    assert_string_equal(path_of(&c, "org/alone"), "/hf/hub/models--org--alone/snapshots/c3");
    assert_string_equal(path_of(&c, "org/alone@c2"), "/hf/hub/models--org--alone/snapshots/c2");
    assert_string_equal(path_of(&c, "org/section"), "/hf/hub/models--org--section/snapshots/c4");
    assert_int_equal(serve_models_find(&c.models, "org/section")->options.slots, 2);
    assert_string_equal(path_of(&c, "flagged"), "fake:flag");
    assert_null(serve_models_find(&c.models, "taken")); /* whose name is an alias */
    assert_string_equal(serve_models_find(&c.models, "org/alone")->path_origin,
                        "the Hugging Face cache");
    serve_config_finish(&c);
    unsetenv("HF_HOME");
}

static void refuses(const char *text, const char *flag, const char *first, const char *second)
{
    struct serve_config c;
    struct weir_error err;
    if (read(&c, text, FLAGS(flag), &err) != WEIR_INVALID)
        fail_msg("taken: %s", text);
    if (strstr(err.text, first) == NULL || strstr(err.text, second) == NULL)
        fail_msg("'%s' does not say '%s' and '%s'", err.text, first, second);
    serve_config_finish(&c);
}

static void test_refusals_name_the_line(void **state)
{
    (void)state;
    refuses("memroy = 6GiB", NULL, "weir.conf:1", "perhaps 'memory'");
    refuses("memory = lots", NULL, "weir.conf:1: memory", "lots");
    refuses("memory = 1GiB\nmemory = 2GiB", NULL, "weir.conf:2", "set before, at");
    refuses("print-config = yes", NULL, "weir.conf:1", "command line only");
    refuses("config = /x", NULL, "weir.conf:1", "command line only");
    refuses("\n[limits]\nqueue_job = 5", NULL, "weir.conf:3", "perhaps 'queue_jobs'");
    refuses("[limits]\nqueue_jobs = 0", NULL, "weir.conf:2", "less than 1");
    refuses("listen = here", NULL, "weir.conf:1", "HOST:PORT");
    refuses("models = /nonexistent", NULL, "weir.conf:1", "/nonexistent");
    refuses("idle = 1\nidle_label = 2", NULL, "weir.conf:2 (idle-label): 2 s", "weir.conf:1)");
    refuses("max_workers = 2\nmin_workers = 3", NULL, "weir.conf:2 (min-workers): 3",
            "weir.conf:1)");
    refuses("model = a=/x\nmodel = a=/y", NULL, "weir.conf:2", "'a' is given twice");
}

static void test_refusals_of_flags(void **state)
{
    (void)state;
    refuses("", "--models=/nonexistent", "models (flag)", "/nonexistent");
    refuses("", "--model=a", "--model", "NAME=PATH");
    refuses("", "--model==/x", "--model", "is no name");
    refuses("", "--model=a b=/x", "--model", "'a b' is no name");
    refuses("", "stray", "'stray'", "no option");
}

static void test_refusals_of_models(void **state)
{
    static const struct {
        const char *text, *first, *second;
    } cases[] = {
        {"slot = 5",                             "weir.conf:3", "perhaps 'slots'"           },
        { "slots = 0",                           "weir.conf:3", "1 to 64"                   },
        { "priority = 1",                        "weir.conf:3", "critical|high"             },
        { "precision = f16",                     "weir.conf:3", "f32|bf16"                  },
        { "truncate = maybe",                    "weir.conf:3", "truncate"                  },
        { "path = /y",                           "weir.conf:3", "set before, at"            },
        { "capability = text_embed",             "weir.conf:3", "no capability 'text_embed'"},
        { "alias = b,,c",                        "weir.conf:1", "lists with commas"         },
        { "alias = b c",                         "weir.conf:3", "'b c' is no name"          },
        { "alias = a",                           "weir.conf:3", "the name of a model"       },
        { "alias = b, b",                        "weir.conf:3", "'b' is there twice"        },
        { "min_workers = 9",                     "weir.conf:1", "more than max_workers"     },
        { "idle=1\nidle_label=2",                "weir.conf:1", "idle_label (2 s)"          },
        { "alias=c\n[model b]\npath=y\nalias=c", "weir.conf:6", "alias of 'a' too"          },
    };
    char text[256];
    (void)state;
    refuses("[model a]", NULL, "weir.conf:1", "[model a] has no path");
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        str_print(text, sizeof(text), "[model a]\npath = x\n%s", cases[i].text);
        refuses(text, NULL, cases[i].first, cases[i].second);
    }
}

static void test_printing_names_every_source(void **state)
{
    static const char *const expected[] = {
        "max-workers = 6  (flag)\n",
        "weir.conf:1)\n",
        "limit = queue_jobs=5  (/tmp/",
        "limit = ping_ms=10000  (default)\n",
        "limit = inputs=2048  (default)\n",
        "\n[model b]\npath = fake:b  (/tmp/",
        "slots = 3  (/tmp/",
        "priority = normal  (default)\n",
    };
    struct serve_config c;
    struct weir_error err;
    struct buffer out;
    (void)state;
    assert_int_equal(read(&c, "idle = 5\n[limits]\nqueue_jobs = 5\n[model b]\npath=fake:b\nslots=3",
                          FLAGS("--max-workers=6", "--limit=pong_ms=1s", "--limit=pong_ms=3s"),
                          &err),
                     WEIR_OK);
    buffer_init(&out, 1 << 20);
    serve_config_print(&c, &out);
    buffer_u8(&out, '\0');
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        if (strstr((const char *)out.data, expected[i]) == NULL)
            fail_msg("'%s' is not in:\n%s", expected[i], (const char *)out.data);
    }
    assert_null(strstr((const char *)out.data, "queue_jobs=1024"));
    assert_non_null(strstr((const char *)out.data, "limit = pong_ms=3s  (flag)"));
    assert_null(strstr((const char *)out.data, "pong_ms=1s"));
    buffer_finish(&out);
    serve_config_finish(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_flag_beats_the_file),
        cmocka_unit_test(test_models_of_all_sources),
        cmocka_unit_test(test_the_flags_path_wins),
        cmocka_unit_test(test_a_folder_of_models),
        cmocka_unit_test(test_a_hugging_face_cache),
        cmocka_unit_test(test_refusals_name_the_line),
        cmocka_unit_test(test_refusals_of_flags),
        cmocka_unit_test(test_refusals_of_models),
        cmocka_unit_test(test_printing_names_every_source),
    };
    return cmocka_run_group_tests(tests, make_folder, NULL);
}
