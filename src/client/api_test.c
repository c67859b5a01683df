#include "client/api.h"

#include "base/mem.h"
#include "client/test_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What api_call makes of one answer. */
static enum weir_code call(const char *answer, int *status, json_t **out, struct weir_error *err)
{
    struct one_shot s = { .answer = answer };
    struct api api = { .host = "here", .url = one_shot_listen(&s) };
    one_shot_start(&s);
    const enum weir_code code = api_call(&api, "/v1/x", STR("{}"), 5000, status, out, err);
    one_shot_end(&s);
    return code;
}

static void texts_may_hold_nul(void **state)
{
    struct weir_error err;
    json_t *out = NULL;
    int status;
    (void)state;
    assert_int_equal(call("HTTP/1.1 200 OK\r\n\r\n{\"text\":\"a\\u0000b\"}", &status, &out, &err),
                     WEIR_OK);
    assert_int_equal(status, 200);
    assert_int_equal(json_string_length(json_object_get(out, "text")), 3);
    json_decref(out);
}

static void errors_keep_their_code(void **state)
{
    /* clang-format off */
    static const struct {
        const char *answer;
        int status;
        enum weir_code code;
        const char *text; /* NULL: not compared */
        int64_t retry_after_ms;
    } rows[] = {
        { "HTTP/1.1 422 X\r\n\r\n{\"error\":{\"message\":\"no\",\"code\":\"input_quarantined\"}}",
          422, WEIR_QUARANTINED, "no", 0 },
        { "HTTP/1.1 429 X\r\nRetry-After: 3\r\n\r\n{\"error\":{\"message\":\"no\",\"code\":null}}",
          429, WEIR_QUEUE_FULL, "no", 3000 },
        { "HTTP/1.1 401 X\r\n\r\nkey?",
          401, WEIR_UNAUTHORIZED, "$WEIR_API_KEY is not set: here answered with status 401", 0 },
        { "HTTP/1.1 418 X\r\n\r\n{}",
          418, WEIR_INTERNAL, "here answered with status 418", 0 },
        { "HTTP/1.1 200 OK\r\n\r\n[1]",
          200, WEIR_INTERNAL, "what here answered is not a JSON object", 0 },
        { "SSH-2.0-x\r\n", -1, WEIR_INVALID, NULL, 0 },
    };
    /* clang-format on */
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct weir_error err;
        json_t *out = NULL;
        int status;
        assert_int_equal(call(rows[i].answer, &status, &out, &err), rows[i].code);
        assert_int_equal(status, rows[i].status);
        assert_int_equal(err.code, rows[i].code);
        if (rows[i].text != NULL)
            assert_string_equal(err.text, rows[i].text);
        assert_int_equal(err.retry_after_ms, rows[i].retry_after_ms);
        assert_null(out);
    }
}

static void names_are_encoded(void **state)
{
    char *const coded = api_encode("a/b:q4@r 100%\xc3\xa9?");
    (void)state;
    assert_string_equal(coded, "a/b:q4@r%20100%25%C3%A9%3F");
    mem_free(coded);
}

static void the_environment_names_the_server(void **state)
{
    struct api api;
    struct weir_error err;
    (void)state;
    unsetenv("WEIR_HOST");
    assert_int_equal(api_init(&api, &err), WEIR_OK);
    assert_string_equal(api.url.port, "9347");
    setenv("WEIR_HOST", "http://[::1]:80", 1);
    assert_int_equal(api_init(&api, &err), WEIR_OK);
    assert_string_equal(api.url.host, "::1");
    setenv("WEIR_HOST", "localhost", 1);
    assert_int_equal(api_init(&api, &err), WEIR_INVALID);
    assert_non_null(strstr(err.text, "WEIR_HOST"));
    unsetenv("WEIR_HOST");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_may_hold_nul),
        cmocka_unit_test(errors_keep_their_code),
        cmocka_unit_test(names_are_encoded),
        cmocka_unit_test(the_environment_names_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
