/* test_folder.h — for the tests beside it: a model folder of their own, which they may spoil.
 *
 * It begins as a copy of the fixture tiny_bert, with a tokenizer of four pieces. */
#ifndef MODEL_TEST_FOLDER_H
#define MODEL_TEST_FOLDER_H

#include "base/buffer.h"
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEST_FOLDER_TOKENIZER                                                                      \
    "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[],"               \
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,"                             \
    "\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":true},"                    \
    "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"post_processor\":{"                       \
    "\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},"     \
    "{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}}],\"pair\":[],\"special_tokens\":{"        \
    "\"[SEP]\":{\"id\":\"[SEP]\",\"ids\":[3],\"tokens\":[\"[SEP]\"]}}},"                           \
    "\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},"                     \
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\","                                   \
    "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,"                       \
    "\"vocab\":{\"[UNK]\":0,\"wa\":1,\"##ter\":2,\"[SEP]\":3}}}"

#define TEST_FOLDER_POOLING "1_Pooling"

static const char *const test_folder_files[] = {
    "config.json",  "model.safetensors",     "sentence_bert_config.json",
    "modules.json", "1_Pooling/config.json",
};

struct test_folder {
    char path[512];
};

static inline void test_folder_write(const struct test_folder *f, const char *name,
                                     const void *data, size_t bytes)
{
    char *path = file_join(f->path, name);
    CHECK(file_write_atomic(path, data, bytes, NULL) == WEIR_OK);
    mem_free(path);
}

static inline void test_folder_unlink(const struct test_folder *f, const char *name)
{
    char *path = file_join(f->path, name);
    unlink(path);
    mem_free(path);
}

/* The whole file, with a NUL behind it that `len` does not count. */
static inline struct buffer test_folder_read(const char *folder, const char *name)
{
    struct buffer text;
    char *path = file_join(folder, name);
    buffer_init(&text, 1 << 20);
    CHECK(file_read(path, &text, NULL) == WEIR_OK);
    buffer_u8(&text, 0);
    CHECK(!text.failed);
    text.len--;
    mem_free(path);
    return text;
}

/* Puts `to` where `from` stands in a text file; `from` must be there. */
static inline void test_folder_replace(const struct test_folder *f, const char *name,
                                       const char *from, const char *to)
{
    struct buffer old = test_folder_read(f->path, name), fresh;
    const char *text = (const char *)old.data;
    const char *at = strstr(text, from);
    CHECK(at != NULL);
    buffer_init(&fresh, 1 << 20);
    buffer_append(&fresh, text, (size_t)(at - text));
    buffer_text(&fresh, to);
    buffer_text(&fresh, at + strlen(from));
    test_folder_write(f, name, fresh.data, fresh.len);
    buffer_finish(&old);
    buffer_finish(&fresh);
}

static inline void test_folder_init(struct test_folder *f)
{
    const char *base = getenv("TMPDIR");
    int length = snprintf(f->path, sizeof(f->path), "%s/weir-model-XXXXXX", base ? base : "/tmp");
    CHECK(length > 0 && (size_t)length < sizeof(f->path));
    CHECK(mkdtemp(f->path) != NULL);
    char *pooling = file_join(f->path, TEST_FOLDER_POOLING);
    CHECK(mkdir(pooling, 0700) == 0);
    mem_free(pooling);
    for (size_t i = 0; i < ARRAY_COUNT(test_folder_files); i++) {
        const char *name = test_folder_files[i];
        struct buffer text = test_folder_read(WEIR_FIXTURES "/tiny_bert", name);
        test_folder_write(f, name, text.data, text.len);
        buffer_finish(&text);
    }
    test_folder_write(f, "tokenizer.json", TEST_FOLDER_TOKENIZER, strlen(TEST_FOLDER_TOKENIZER));
}

static inline void test_folder_finish(const struct test_folder *f)
{
    for (size_t i = 0; i < ARRAY_COUNT(test_folder_files); i++)
        test_folder_unlink(f, test_folder_files[i]);
    test_folder_unlink(f, "tokenizer.json");
    char *pooling = file_join(f->path, TEST_FOLDER_POOLING);
    CHECK(rmdir(pooling) == 0 && rmdir(f->path) == 0);
    mem_free(pooling);
}

#endif
