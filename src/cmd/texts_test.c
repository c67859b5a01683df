#include "cmd/texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A pipe whose reading end the texts come from. */
struct pipe_ends {
    int out, in;
};

static struct pipe_ends make_pipe(void)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    return (struct pipe_ends){ fds[0], fds[1] };
}

static void put(const struct pipe_ends *p, const char *data, size_t bytes)
{
    assert_int_equal(write(p->in, data, bytes), (ssize_t)bytes);
}

static struct texts *lines_of(struct pipe_ends p)
{
    struct texts *const t = test_malloc(sizeof(*t));
    texts_of_lines(t, p.out);
    return t;
}

static void drop(struct texts *t, struct pipe_ends p)
{
    texts_finish(t);
    test_free(t);
    close(p.out);
}

static void test_lines(void **state)
{
    (void)state;
    const struct pipe_ends p = make_pipe();
    struct weir_error err;
    put(&p, "one\ntwo words\r\n\xc3\xa4", 17);
    close(p.in);
    struct texts *const t = lines_of(p);
    assert_int_equal(texts_next(t, &err), WEIR_OK);
    assert_int_equal(t->count, 3);
    assert_int_equal(t->first, 0);
    assert_true(str_eq(t->items[1], STR("two words")));
    assert_true(str_eq(t->items[2], STR("\xc3\xa4")));
    assert_int_equal(texts_next(t, &err), WEIR_OK);
    assert_int_equal(t->count, 0);
    drop(t, p);
}

/* The pool counts the inputs of a request from 0, people count lines and texts from 1. */
static void test_errors_name_the_text(void **state)
{
    (void)state;
    struct texts t = { .count = 8, .first = 512, .are_lines = true };
    struct weir_error err;
    weir_fail(&err, WEIR_CONTEXT_LENGTH, "input 3 has 602 tokens");
    assert_true(texts_name_error(&t, 0, 8, &err));
    assert_string_equal(err.text, "line 516 has 602 tokens");
    weir_fail(&err, WEIR_INVALID, "input 0: token 0 is 9");
    err.index = 0;
    assert_true(texts_name_error(&t, 5, 1, &err));
    assert_string_equal(err.text, "line 518: token 0 is 9");
    t.are_lines = false;
    weir_fail(&err, WEIR_MODEL_FAILED, "its vector is not finite");
    err.index = 1;
    assert_true(texts_name_error(&t, 0, 8, &err));
    assert_string_equal(err.text, "text 514: its vector is not finite");
    static const char *const others[] = { "input 8 has more", "input", "input x", "boo", "" };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        weir_fail(&err, WEIR_INVALID, "%s", others[i]);
        assert_false(texts_name_error(&t, 0, 8, &err));
        assert_string_equal(err.text, others[i]);
    }
}

/* A slow writer: what is whole is given at once, the rest when it comes. */
static void test_early_batches(void **state)
{
    (void)state;
    const struct pipe_ends p = make_pipe();
    struct weir_error err;
    struct texts *const t = lines_of(p);
    put(&p, "a\nb\nhal", 7);
    assert_int_equal(texts_next(t, &err), WEIR_OK);
    assert_int_equal(t->count, 2);
    put(&p, "f\n", 2);
    assert_int_equal(texts_next(t, &err), WEIR_OK);
    assert_int_equal(t->count, 1);
    assert_int_equal(t->first, 2);
    assert_true(str_eq(t->items[0], STR("half")));
    close(p.in);
    assert_int_equal(texts_next(t, &err), WEIR_OK);
    assert_int_equal(t->count, 0);
    drop(t, p);
}

static void test_full_batches(void **state)
{
    (void)state;
    const struct pipe_ends p = make_pipe();
    struct weir_error err;
    size_t total = 0;
    for (size_t i = 0; i < 2 * TEXTS_BATCH + 7; i++)
        put(&p, "line\n", 5);
    close(p.in);
    struct texts *const t = lines_of(p);
    while (texts_next(t, &err) == WEIR_OK && t->count > 0) {
        assert_int_equal(t->first, total);
        assert_true(t->count == TEXTS_BATCH || t->count == 7);
        for (size_t i = 0; i < t->count; i++)
            assert_true(str_eq(t->items[i], STR("line")));
        total += t->count;
    }
    assert_int_equal(total, 2 * TEXTS_BATCH + 7);
    drop(t, p);
}

/* The texts before a bad line are given first; the error names the line and comes again and again.
 */
static void test_bad_lines(void **state)
{
    static const struct {
        const char *text;
        size_t good;
        const char *says;
    } cases[] = {
        {"a\nb\n\nc\n",  2, "line 3 is blank"            },
        { "a\n \t\nc\n", 1, "line 2 is blank"            },
        { "\n",          0, "line 1 is blank"            },
        { "a\nb\xff\n",  1, "line 2 is not UTF-8: byte 1"},
        { "a\n\n",       1, "line 2 is blank"            },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct pipe_ends p = make_pipe();
        struct weir_error err;
        put(&p, cases[i].text, strlen(cases[i].text));
        close(p.in);
        struct texts *const t = lines_of(p);
        if (cases[i].good > 0) {
            assert_int_equal(texts_next(t, &err), WEIR_OK);
            assert_int_equal(t->count, cases[i].good);
        }
        assert_int_equal(texts_next(t, &err), WEIR_INVALID);
        assert_string_equal(err.text, cases[i].says);
        assert_int_equal(texts_next(t, &err), WEIR_INVALID);
        drop(t, p);
    }
}

/* From a file, because a pipe does not hold so much. */
static void test_long_lines(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        char path[] = "/tmp/weir-texts-XXXXXX";
        const int fd = mkstemp(path);
        struct weir_error err;
        assert_true(fd >= 0);
        unlink(path);
        char *const line = test_malloc(TEXTS_BYTES_MAX + 2);
        memset(line, 'x', TEXTS_BYTES_MAX + 2);
        line[TEXTS_BYTES_MAX + more] = '\n';
        assert_int_equal(write(fd, "a\n", 2), 2);
        assert_int_equal(write(fd, line, TEXTS_BYTES_MAX + more + 1),
                         (ssize_t)(TEXTS_BYTES_MAX + more + 1));
        test_free(line);
        lseek(fd, 0, SEEK_SET);
        struct texts *const t = test_malloc(sizeof(*t));
        texts_of_lines(t, fd);
        size_t total = 0;
        enum weir_code code;
        while ((code = texts_next(t, &err)) == WEIR_OK && t->count > 0)
            total += t->count;
        assert_int_equal(total, 2 - more);
        assert_int_equal(code, more > 0 ? WEIR_INVALID : WEIR_OK);
        if (more > 0)
            assert_non_null(strstr(err.text, "line 2 is over"));
        texts_finish(t);
        test_free(t);
        close(fd);
    }
}

static void test_arguments(void **state)
{
    static const char *const good[] = { "a", " ", "c" };
    static const char *const bad[] = { "a", "", "c" };
    (void)state;
    struct weir_error err;
    struct texts t;
    texts_of_arguments(&t, good, 3);
    assert_int_equal(texts_next(&t, &err), WEIR_OK);
    assert_int_equal(t.count, 3);
    assert_int_equal(texts_next(&t, &err), WEIR_OK);
    assert_int_equal(t.count, 0);
    texts_finish(&t);
    texts_of_arguments(&t, bad, 3);
    assert_int_equal(texts_next(&t, &err), WEIR_OK);
    assert_int_equal(t.count, 1);
    assert_int_equal(texts_next(&t, &err), WEIR_INVALID);
    assert_string_equal(err.text, "text 2 is empty");
    texts_finish(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),         cmocka_unit_test(test_errors_name_the_text),
        cmocka_unit_test(test_early_batches), cmocka_unit_test(test_full_batches),
        cmocka_unit_test(test_bad_lines),     cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
