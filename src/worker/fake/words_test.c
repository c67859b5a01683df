#include "worker/fake/words.h"

#include "base/buffer.h"
#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct str joined(const struct words *w, struct buffer *out)
{
    buffer_clear(out);
    for (size_t i = 0; i < w->count; i++)
        buffer_str(out, w->pieces[i]);
    return buffer_view(out);
}

static void words_come_from_last_to_first(void **state)
{
    (void)state;
    static const struct {
        const char *question, *last, *answer;
        size_t pieces;
    } rows[] = {
        {"",                            "",     "",                           0},
        { " \n ",                       "",     "",                           0},
        { "one",                        "",     "one",                        1},
        { "a  b\tc ",                   "",     "c b a",                      3},
        { "a b",                        "more", "b a more",                   3},
        { "",                           "more", "more",                       1},
        { "\xc3\xa9 x\xf0\x9f\x9a\xa2", "",     "x\xf0\x9f\x9a\xa2 \xc3\xa9", 2}
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct arena arena;
        struct buffer text;
        struct words w;
        arena_init(&arena, 1 << 16);
        buffer_init(&text, 1000);
        assert_true(words_reversed(&arena, str_of(rows[i].question), str_of(rows[i].last), &w));
        assert_int_equal(w.count, rows[i].pieces);
        assert_true(str_eq(joined(&w, &text), str_of(rows[i].answer)));
        buffer_finish(&text);
        arena_finish(&arena);
    }
}

static void a_text_ends_before_the_first_stop(void **state)
{
    (void)state;
    static const struct {
        const char *stops[3];
        size_t count;
        const char *answer;
        size_t pieces;
    } rows[] = {
        {{ "none of it" },          1, "one two three", 3},
        { { "two" },                1, "one ",          2},
        { { "three", "wo", "ree" }, 3, "one t",         2},
        { { "e t" },                1, "on",            1},
        { { "one" },                1, "",              0},
        { { "three" },              1, "one two ",      3},
        { { "ee", "three\n" },      2, "one two thr",   3},
        { { "three", "two th" },    2, "one ",          2},
        { { "one two three four" }, 1, "one two three", 3}
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct arena arena;
        struct buffer text;
        struct words w;
        struct str stops[3];
        arena_init(&arena, 1 << 16);
        buffer_init(&text, 1000);
        for (size_t k = 0; k < rows[i].count; k++)
            stops[k] = str_of(rows[i].stops[k]);
        assert_true(words_reversed(&arena, STR("three two one"), STR(""), &w));
        words_stop(&w, stops, rows[i].count);
        assert_true(str_eq(joined(&w, &text), str_of(rows[i].answer)));
        assert_int_equal(w.count, rows[i].pieces);
        buffer_finish(&text);
        arena_finish(&arena);
    }
}

static void numbers_and_limits(void **state)
{
    (void)state;
    struct arena arena;
    struct words w;
    const struct str stop = STR("n 11");
    arena_init(&arena, 1 << 16);
    assert_true(words_numbered(&arena, 13, &w));
    assert_int_equal(w.count, 13);
    assert_true(str_eq(w.pieces[12], STR("token 12")));
    assert_false(words_limit(&w, 13));
    words_stop(&w, &stop, 1);
    assert_int_equal(w.count, 12);
    assert_true(str_eq(w.pieces[11], STR("toke")));
    assert_true(words_limit(&w, 2));
    assert_int_equal(w.count, 2);
    assert_true(words_limit(&w, 0));
    words_stop(&w, &stop, 1);
    assert_int_equal(w.count, 0);
    arena_finish(&arena);
}

static void a_full_arena_is_told(void **state)
{
    (void)state;
    struct arena arena;
    struct words w;
    arena_init(&arena, 64);
    assert_false(words_numbered(&arena, 1000, &w));
    assert_false(words_reversed(&arena, STR("a b c d e f g h i j"), STR(""), &w));
    arena_finish(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_come_from_last_to_first),
        cmocka_unit_test(a_text_ends_before_the_first_stop),
        cmocka_unit_test(numbers_and_limits),
        cmocka_unit_test(a_full_arena_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
