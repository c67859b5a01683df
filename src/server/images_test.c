#include "server/images.h"

#include "hub/rooted_file.h"
#include "server/test_exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* How many loads ended in their route. */
static unsigned loaded;

static void on_loaded(struct exchange *x)
{
    (void)x;
    loaded++;
}

static bool add(struct test_exchange *t, struct images *set, const char *value,
                struct weir_input *out)
{
    char body[512];
    snprintf(body, sizeof(body), "{\"v\":%s}", value);
    test_exchange_init(t, body);
    images_init(set, &t->exchange, "input");
    return images_add(set, &t->fields, json_read_field(t->exchange.json, "v"), "'v'", out);
}

static void what_is_no_image_is_refused(void **state)
{
    static const struct {
        const char *value;
        enum weir_code code;
        const char *says;
    } rows[] = {
        {"7",                                        WEIR_INVALID,   "must be a URL"     },
        { "{}",                                      WEIR_INVALID,   "must be a URL"     },
        { "{\"url\":7}",                             WEIR_INVALID,   "must be a URL"     },
        { "\"\"",                                    WEIR_INVALID,   "http"              },
        { "\"/etc/passwd\"",                         WEIR_INVALID,   "http"              },
        { "\"ftp://x/y\"",                           WEIR_INVALID,   "http"              },
        { "\"data:\\u0000\"",                        WEIR_INVALID,   "NUL"               },
        { "\"data:image/png\"",                      WEIR_INVALID,   "data URL"          },
        { "\"data:image/png,AA==\"",                 WEIR_INVALID,   "data URL"          },
        { "\"data:text/plain;base64,AA==\"",         WEIR_INVALID,   "text/plain"        },
        { "\"file:relative.png\"",                   WEIR_INVALID,   "http"              },
        { "\"file://other/x.png\"",                  WEIR_INVALID,   "file URL"          },
        { "\"file:///%zz\"",                         WEIR_INVALID,   "file URL"          },
        { "\"http://127.0.0.1/x\"",                  WEIR_FORBIDDEN, "--allow-image-urls"},
        { "{\"url\":\"HTTPS://example.com/x.png\"}", WEIR_FORBIDDEN, "--allow-image-urls"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        static struct test_exchange t;
        struct images set;
        struct weir_input input;
        if (add(&t, &set, rows[i].value, &input) || t.fields.problem.code != rows[i].code ||
            strstr(t.fields.problem.text, rows[i].says) == NULL)
            fail_msg("%s: %s", rows[i].value, t.fields.problem.text);
        assert_string_equal(t.fields.param, "input");
        test_exchange_finish(&t);
    }
}

static void count_and_size_are_bounded(void **state)
{
    static struct test_exchange t;
    struct images set;
    struct weir_input inputs[3];
    char value[512] = "\"data:;base64,";
    (void)state;
    memset(value + 14, 'A', 200);
    strncat(value, "\"", 2);
    assert_false(add(&t, &set, value, &inputs[0]));
    assert_non_null(strstr(t.fields.problem.text, "image_bytes"));
    test_exchange_finish(&t);
    assert_true(add(&t, &set, "\"data:;base64,AA==\"", &inputs[0]));
    const struct json_value *v = json_read_field(t.exchange.json, "v");
    assert_true(images_add(&set, &t.fields, v, "'v'", &inputs[1]));
    assert_false(images_add(&set, &t.fields, v, "'v'", &inputs[2]));
    assert_non_null(strstr(t.fields.problem.text, "the limit images, 2"));
    test_exchange_finish(&t);
}

static struct weir_input at_then;
static char bytes_then[64];

static void keep_bytes(struct exchange *x)
{
    const struct weir_input *input = x->state;
    at_then = *input;
    memcpy(bytes_then, input->data, input->bytes);
    loaded++;
}

/* A connection is only looked at for being there. */
static void prepare(struct test_exchange *t, uv_loop_t *loop)
{
    static int stand_in;
    t->exchange.connection = (struct connection *)(void *)&stand_in;
    t->server.loop = loop;
    list_init(&t->server.fetches_waiting);
    t->server.fetches_running = 0;
    loaded = 0;
}

static void small_texts_are_decoded_at_once(void **state)
{
    static struct test_exchange t;
    struct images set;
    struct weir_input input;
    (void)state;
    assert_true(add(&t, &set, "\"DATA:image/PNG;x=y;base64,Zm9v\"", &input));
    prepare(&t, NULL);
    t.exchange.state = &input;
    images_load(&set, keep_bytes);
    assert_int_equal(loaded, 1);
    assert_int_equal(at_then.kind, WEIR_INPUT_IMAGE);
    assert_int_equal(at_then.bytes, 3);
    assert_memory_equal(bytes_then, "foo", 3);
    test_exchange_finish(&t);
}

static void files_are_read_by_a_thread(void **state)
{
    static struct test_exchange t;
    struct images set;
    struct weir_input input;
    struct weir_error err;
    uv_loop_t loop;
    char folder[] = "/tmp/weir-images-test-XXXXXX", path[64], value[128];
    const char *const root = folder;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/a b.png", folder);
    FILE *file = fopen(path, "w");
    assert_true(file != NULL && fputs("pixels", file) >= 0 && fclose(file) == 0);
    assert_int_equal(uv_loop_init(&loop), 0);
    snprintf(value, sizeof(value), "{\"url\":\"file://%s/a%%20b.png\"}", folder);
    assert_true(add(&t, &set, value, &input));
    prepare(&t, &loop);
    t.exchange.state = &input;
    assert_int_equal(rooted_open(&root, 1, &t.server.image_roots, &err), WEIR_OK);
    images_load(&set, keep_bytes);
    assert_int_equal(loaded, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(loaded, 1);
    assert_memory_equal(bytes_then, "pixels", 6);
    assert_int_equal(uv_loop_close(&loop), 0);
    rooted_close(t.server.image_roots);
    test_exchange_finish(&t);
    unlink(path);
    rmdir(folder);
}

/* Nobody is told when the client has left, and only two fetches run at a time. */
static void fetches_take_turns_and_can_be_left(void **state)
{
    enum { COUNT = 5 };
    static struct test_exchange t[COUNT];
    struct images sets[COUNT];
    struct weir_input inputs[COUNT];
    uv_loop_t loop;
    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    for (size_t i = 0; i < COUNT; i++) {
        t[i].server.allow_image_urls = true;
        assert_true(add(&t[i], &sets[i], "\"http://127.0.0.1:9/x\"", &inputs[i]));
        if (i == 0)
            prepare(&t[0], &loop);
        t[i].exchange.server = &t[0].server;
        t[i].exchange.connection = NULL; /* it leaves at once */
        images_load(&sets[i], on_loaded);
        images_cancel(&sets[i]);
        /* What no thread has seen yet lets go of its request at once. */
        assert_int_equal(t[i].exchange.holds, i < 2 ? 2 : 1);
    }
    assert_int_equal(t[0].server.fetches_running, 2);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(t[0].server.fetches_running, 0);
    assert_int_equal(loaded, 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(t[i].exchange.holds, 1);
        test_exchange_finish(&t[i]);
    }
}

static void deadline_counts_while_images_come(void **state)
{
    struct images set = { .took_ms = 30 };
    struct weir_request request = { .deadline_ms = 100 };
    struct weir_error err;
    (void)state;
    assert_false(images_late(&set, &request, &err));
    assert_int_equal(request.deadline_ms, 70);
    request.deadline_ms = 30;
    assert_true(images_late(&set, &request, &err));
    assert_int_equal(err.code, WEIR_DEADLINE);
    request.deadline_ms = 0;
    assert_false(images_late(&set, &request, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_image_is_refused),
        cmocka_unit_test(count_and_size_are_bounded),
        cmocka_unit_test(small_texts_are_decoded_at_once),
        cmocka_unit_test(files_are_read_by_a_thread),
        cmocka_unit_test(fetches_take_turns_and_can_be_left),
        cmocka_unit_test(deadline_counts_while_images_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
