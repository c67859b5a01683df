/* A vocab.txt without a tokenizer.json; the ids are those that `transformers` gave. */
#include "base/check.h"
#include "base/mem.h"
#include "text/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BASE "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nworld\n##s\n!\nx\n"

static struct tokenizer *open_vocab(struct str vocab, bool lowercase)
{
    struct tokenizer *t = NULL;
    struct weir_error err;
    if (tokenizer_create_from_vocab(vocab, lowercase, &t, &err) != WEIR_OK)
        fail_msg("%s", err.text);
    return t;
}

static void check(struct str vocab, bool lowercase, const char *text, const int32_t *ids,
                  size_t count)
{
    struct tokenizer *t = open_vocab(vocab, lowercase);
    struct tokens got = { 0 };
    assert_int_equal(tokenizer_encode(t, str_of(text), true, &got, NULL), WEIR_OK);
    assert_int_equal(got.count, count);
    assert_memory_equal(got.ids, ids, count * sizeof(*ids));
    tokens_finish(&got);
    tokenizer_destroy(t);
}
#define CHECK_IDS(vocab, lowercase, text, ...)                                                     \
    check(vocab, lowercase, text, (const int32_t[]){ __VA_ARGS__ },                                \
          ARRAY_COUNT(((const int32_t[]){ __VA_ARGS__ })))

static void encodes_as_bert_does(void **state)
{
    (void)state;
    const struct str base = STR(BASE);
    CHECK_IDS(base, true, "hello worlds! [MASK] [mask] Hello [CLS]", 2, 5, 6, 7, 8, 4, 1, 1, 1, 5,
              2, 3);
    CHECK_IDS(base, true, "x[SEP]y", 2, 9, 3, 1, 3);
    CHECK_IDS(base, false, "Hello hello", 2, 1, 5, 3);
    CHECK_IDS(base, true, "h\xC3\xA9llo\tw\xC3\xB6rlds", 2, 5, 6, 7, 3);
    char word[102];
    memset(word, 'x', 101);
    word[101] = '\0';
    CHECK_IDS(base, true, word, 2, 1, 3);
}

static void takes_lines_as_they_come(void **state)
{
    (void)state;
    CHECK_IDS(STR("[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\nhello\r\nworld\r\n##s\r\n!"), true,
              "hello worlds!", 2, 5, 6, 7, 8, 3);
    /* Of equal lines the last counts; what is empty takes a number and is no piece. */
    CHECK_IDS(STR(BASE "hello\nzzz\n"), true, "hello worlds! zzz", 2, 10, 6, 7, 8, 11, 3);
    CHECK_IDS(STR(BASE "\nabc\n\ndef\n"), true, "hello abc def", 2, 5, 11, 13, 3);
    CHECK_IDS(STR(BASE "u\xE3\x80\x80\nv\xC2\xA0\nw\xC2\x85\ny\t\x0B\x0C\n\xE3\x80\x80\nabc"), true,
              "u v w y abc", 2, 10, 11, 12, 13, 15, 3);
    CHECK_IDS(STR(BASE "trail  \n  lead\nin side\n"), true, "trail lead in side inside", 2, 10, 1,
              1, 1, 1, 3);
    CHECK_IDS(STR("[UNK]\n[CLS]\n[SEP]\n"), true, "[MASK]", 1, 0, 0, 0, 2);
}

static void knows_which_ids_have_a_piece(void **state)
{
    (void)state;
    struct tokenizer *t = open_vocab(STR(BASE "hello\n\nzzz"), true);
    assert_int_equal(tokenizer_vocab_size(t), 13);
    assert_int_equal(tokenizer_piece(t, 5).len, 0);
    assert_int_equal(tokenizer_piece(t, 11).len, 0);
    assert_true(str_eq(tokenizer_piece(t, 10), STR("hello")));
    struct buffer b;
    buffer_init(&b, 100);
    static const int32_t ids[] = { 2, 10, 6, 7, 8, 3 };
    assert_int_equal(tokenizer_decode(t, ids, ARRAY_COUNT(ids), true, &b, NULL), WEIR_OK);
    assert_true(str_eq(buffer_view(&b), STR("hello worlds!")));
    buffer_finish(&b);
    tokenizer_destroy(t);
}

static void refuses_by_name(void **state)
{
    (void)state;
    const struct {
        struct str vocab;
        const char *says;
    } rows[] = {
        {STR("[CLS]\n[SEP]\nhello\n"),        "no line is [UNK], which BERT needs"},
        { STR("[UNK]\n[SEP]\n [CLS]\n"),      "no line is [CLS], which BERT needs"},
        { STR("[UNK]\n[CLS]\n[sep]\n"),       "no line is [SEP], which BERT needs"},
        { STR(""),                            "no line is [UNK], which BERT needs"},
        { STR("[UNK]\n[CLS]\n[SEP]\n\xFF\n"), "not UTF-8 at byte 18"              },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct tokenizer *t = NULL;
        struct weir_error err;
        assert_int_equal(tokenizer_create_from_vocab(rows[i].vocab, true, &t, &err),
                         WEIR_LOAD_FAILED);
        assert_string_equal(err.text, rows[i].says);
        assert_null(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_as_bert_does),
        cmocka_unit_test(takes_lines_as_they_come),
        cmocka_unit_test(knows_which_ids_have_a_piece),
        cmocka_unit_test(refuses_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
