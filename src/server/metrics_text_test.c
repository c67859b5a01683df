#include "server/metrics_text.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_text(struct buffer *b, const char *expected)
{
    assert_false(b->failed);
    buffer_u8(b, 0);
    assert_string_equal((const char *)b->data, expected);
    buffer_finish(b);
}

static void families_and_samples(void **state)
{
    struct buffer b;
    (void)state;
    buffer_init(&b, 4096);
    metrics_text_family(&b, "weir_x", "gauge", "Two\nlines, a \\ and a \".");
    const struct metrics_label labels[] = {
        {"route",  STR("a\"b\\c\nd")},
        { "empty", STR("")          },
    };
    metrics_text_sample(&b, "weir_x", labels, 2, 0.1);
    metrics_text_sample(&b, "weir_x", NULL, 0, 18073724516.0);
    assert_text(&b, "# HELP weir_x Two\\nlines, a \\\\ and a \".\n# TYPE weir_x gauge\n"
                    "weir_x{route=\"a\\\"b\\\\c\\nd\",empty=\"\"} 0.1\nweir_x 18073724516\n");
}

static void histograms_are_cumulative(void **state)
{
    struct histogram h = { .count = 0 };
    struct buffer b;
    const struct metrics_label label = { "route", STR("/") };
    (void)state;
    histogram_observe(&h, 1);
    histogram_observe(&h, 2000);
    histogram_observe(&h, 700000);
    buffer_init(&b, 8192);
    metrics_text_histogram(&b, "t", &label, &h);
    buffer_u8(&b, 0);
    const char *text = (const char *)b.data;
    assert_true(strncmp(text, "t_bucket{route=\"/\",le=\"0.001\"} 1\n", 33) == 0);
    assert_non_null(strstr(text, "\nt_bucket{route=\"/\",le=\"1\"} 1\n"));
    assert_non_null(strstr(text, "\nt_bucket{route=\"/\",le=\"2.5\"} 2\n"));
    assert_non_null(strstr(text, "\nt_bucket{route=\"/\",le=\"600\"} 2\n"));
    assert_non_null(strstr(text, "\nt_bucket{route=\"/\",le=\"+Inf\"} 3\n"
                                 "t_sum{route=\"/\"} 702.001\nt_count{route=\"/\"} 3\n"));
    buffer_finish(&b);
}

static void the_pools_answer(void **state)
{
    static const char answer[] =
        "{\"metrics\":["
        "{\"name\":\"a\",\"type\":\"gauge\",\"help\":\"says \\\"x\\\" and \\\\\",\"samples\":["
        "{\"labels\":{},\"value\":7},"
        "{\"labels\":{\"model\":\"m\\\"\\\\\\n\\t\",\"state\":\"\xc3\xa9\"},\"value\":-1.5e-07}]},"
        "{\"name\":\"none\",\"type\":\"counter\",\"help\":\"h\",\"samples\":[]},"
        "{\"name\":\"h\",\"type\":\"histogram\",\"help\":\"h\",\"samples\":["
        "{\"labels\":{\"model\":\"m\"},\"buckets\":[[0.001,1],[null,3]],\"sum\":2.5,\"count\":3},"
        "{\"labels\":{},\"buckets\":[[null,0]],\"sum\":0,\"count\":0}]}]}";
    struct buffer b;
    struct weir_error err;
    (void)state;
    buffer_init(&b, 4096);
    assert_int_equal(metrics_text_pool(&b, str_of(answer), &err), WEIR_OK);
    assert_text(&b, "# HELP a says \"x\" and \\\\\n# TYPE a gauge\n"
                    "a 7\na{model=\"m\\\"\\\\\\n\\\\t\",state=\"\xc3\xa9\"} -1.5e-07\n"
                    "# HELP none h\n# TYPE none counter\n"
                    "# HELP h h\n# TYPE h histogram\n"
                    "h_bucket{model=\"m\",le=\"0.001\"} 1\nh_bucket{model=\"m\",le=\"+Inf\"} 3\n"
                    "h_sum{model=\"m\"} 2.5\nh_count{model=\"m\"} 3\n"
                    "h_bucket{le=\"+Inf\"} 0\nh_sum 0\nh_count 0\n");
    /* Cut off anywhere it is an error, and nothing behind the end is read. */
    for (size_t len = 0; len < sizeof(answer) - 1; len++) {
        buffer_init(&b, 4096);
        assert_int_equal(metrics_text_pool(&b, (struct str){ answer, len }, &err), WEIR_INTERNAL);
        buffer_finish(&b);
    }
}

static void other_shapes_are_errors(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "null",
        "{\"metrics\":[]}x",
        "{\"metrics\":[ ]}",
        "{\"metrics\":[1]}",
        "{\"metrics\":[{\"name\":\"a\\\\b\",\"type\":\"gauge\",\"help\":\"\",\"samples\":[]}]}",
        "{\"metrics\":[{\"name\":\"a\",\"type\":\"gauge\",\"help\":\"\",\"samples\":[{}]}]}",
        "{\"metrics\":[{\"name\":\"a\",\"type\":\"gauge\",\"help\":\"\",\"samples\":["
        "{\"labels\":{},\"value\":\"1\"}]}]}",
        "{\"metrics\":[{\"name\":\"a\",\"type\":\"histogram\",\"help\":\"\",\"samples\":["
        "{\"labels\":{},\"buckets\":[[1,1]],\"sum\":1,\"count\":1}]}]}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct buffer b;
        struct weir_error err;
        buffer_init(&b, 4096);
        if (metrics_text_pool(&b, str_of(bad[i]), &err) != WEIR_INTERNAL)
            fail_msg("'%s' was taken", bad[i]);
        buffer_finish(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_and_samples),
        cmocka_unit_test(histograms_are_cumulative),
        cmocka_unit_test(the_pools_answer),
        cmocka_unit_test(other_shapes_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
