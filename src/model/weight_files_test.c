/* Shards and their index, made here: a good set first, then one for each way of being wrong. */
#include "model/weight_files.h"

#include "model/test_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define INDEX "model.safetensors.index.json"

static const char *const names[] = { INDEX, "a.safetensors", "b.safetensors", "pytorch_model.bin" };

/* A file that holds one float of each of the tensors named. */
static void write_shard(const struct test_folder *t, const char *name, const char *first,
                        const char *second)
{
    struct buffer header, file;
    const size_t tensors = second ? 2 : 1;
    buffer_init(&header, 4096);
    buffer_init(&file, 4096);
    buffer_printf(&header, "{\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}",
                  first);
    if (second)
        buffer_printf(&header, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}",
                      second);
    buffer_text(&header, "}");
    buffer_u64(&file, header.len);
    buffer_append(&file, header.data, header.len);
    for (size_t i = 0; i < tensors; i++)
        buffer_f32(&file, (float)i);
    CHECK(!file.failed);
    test_folder_write(t, name, file.data, file.len);
    buffer_finish(&header);
    buffer_finish(&file);
}

static void shards_init(struct test_folder *t, const char *index)
{
    test_folder_init(t);
    test_folder_unlink(t, "model.safetensors");
    write_shard(t, "a.safetensors", "x", "y");
    write_shard(t, "b.safetensors", "z", NULL);
    if (index)
        test_folder_write(t, INDEX, index, strlen(index));
}

static void shards_finish(struct test_folder *t)
{
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        test_folder_unlink(t, names[i]);
    test_folder_finish(t);
}

static enum weir_code open_folder(const struct test_folder *t, struct weight_files *out,
                                  struct weir_error *err)
{
    struct folder f;
    folder_init(&f, t->path);
    enum weir_code code = weight_files_open(&f, "", out, err);
    folder_finish(&f);
    return code;
}

static void test_shards(void **state)
{
    struct test_folder t;
    struct weight_files w;
    (void)state;
    /* A tensor that is not listed is found all the same. */
    shards_init(&t, "{\"metadata\": {\"total_size\": 12},"
                    "\"weight_map\": {\"x\": \"a.safetensors\", \"z\": \"b.safetensors\"}}");
    assert_int_equal(open_folder(&t, &w, NULL), WEIR_OK);
    assert_int_equal(w.count, 2);
    assert_int_equal(w.bytes, w.files[0].map.size + w.files[1].map.size);
    assert_string_equal(w.name, INDEX);
    assert_non_null(weight_files_find(&w, "x"));
    assert_non_null(weight_files_find(&w, "y"));
    assert_non_null(weight_files_find(&w, "z"));
    assert_null(weight_files_find(&w, "w"));
    weight_files_close(&w);
    weight_files_close(&w);
    /* One file goes before an index. */
    write_shard(&t, "model.safetensors", "only", NULL);
    assert_int_equal(open_folder(&t, &w, NULL), WEIR_OK);
    assert_int_equal(w.count, 1);
    assert_string_equal(w.name, "model.safetensors");
    assert_null(weight_files_find(&w, "x"));
    assert_non_null(weight_files_find(&w, "only"));
    weight_files_close(&w);
    shards_finish(&t);
}

static void test_what_is_refused_is_named(void **state)
{
    /* A column as wide as its widest text does not fit. */
    /* clang-format off */
    static const struct {
        const char *index, *named;
    } rows[] = {
        { "{", "JSON" },
        { "[]", "object" },
        { "{}", "weight_map is missing" },
        { "{\"weight_map\": []}", "weight_map" },
        { "{\"weight_map\": {}}", "lists no tensor" },
        { "{\"weight_map\": {\"x\": 1}}", "weight_map.x" },
        { "{\"weight_map\": {\"x\": \"a.safetensors\", \"x\": \"b.safetensors\"}}", "duplicate" },
        { "{\"weight_map\": {\"x\": \"c.safetensors\"}}", "c.safetensors" },
        { "{\"weight_map\": {\"x\": \"b.safetensors\"}}", "'x' is not in its shard" },
        { "{\"weight_map\": {\"q\": \"a.safetensors\"}}", "'q' is not in its shard" },
        { "{\"weight_map\": {\"x\": \"../a.safetensors\"}}", "'../a.safetensors'" },
        { "{\"weight_map\": {\"x\": \"/a.safetensors\"}}", "'/a.safetensors'" },
        { "{\"weight_map\": {\"x\": \"..\"}}", "'..'" },
        { "{\"weight_map\": {\"x\": \"\"}}", "''" },
        { "{\"weight_map\": {\"x\": \"config.json\"}}", "config.json" },
        { "{\"weight_map\": {\"x\": \"1_Pooling\"}}", "1_Pooling" },
    };
    /* clang-format on */
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct test_folder t;
        struct weight_files w;
        struct weir_error err;
        shards_init(&t, rows[i].index);
        assert_int_equal(open_folder(&t, &w, &err), WEIR_LOAD_FAILED);
        if (strstr(err.text, rows[i].named) == NULL || strstr(err.text, INDEX) == NULL)
            fail_msg("'%s' does not name '%s' and the index", err.text, rows[i].named);
        assert_int_equal(open_folder(&t, &w, NULL), WEIR_LOAD_FAILED);
        shards_finish(&t);
    }
}

static void test_a_tensor_in_two_shards(void **state)
{
    struct test_folder t;
    struct weight_files w;
    struct weir_error err;
    (void)state;
    shards_init(&t, "{\"weight_map\": {\"x\": \"a.safetensors\", \"z\": \"b.safetensors\"}}");
    write_shard(&t, "b.safetensors", "z", "y");
    assert_int_equal(open_folder(&t, &w, &err), WEIR_LOAD_FAILED);
    assert_non_null(strstr(err.text, "tensor 'y' is in 'a.safetensors' and in 'b.safetensors'"));
    shards_finish(&t);
}

static void test_what_is_not_there_is_named(void **state)
{
    struct test_folder t;
    struct weight_files w;
    struct weir_error err;
    (void)state;
    shards_init(&t, NULL);
    assert_int_equal(open_folder(&t, &w, &err), WEIR_LOAD_FAILED);
    assert_non_null(strstr(err.text, "'model.safetensors' is missing"));
    test_folder_write(&t, "pytorch_model.bin", "x", 1);
    assert_int_equal(open_folder(&t, &w, &err), WEIR_LOAD_FAILED);
    assert_non_null(strstr(err.text, "'pytorch_model.bin'"));
    shards_finish(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_what_is_refused_is_named),
        cmocka_unit_test(test_a_tensor_in_two_shards),
        cmocka_unit_test(test_what_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
