#include "cmd/top_view.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* One sample with model m and one worker of it. */
static void give(struct top_history *h, int64_t time_ms, const char *state, int requests)
{
    char metrics[256];
    struct top_sample sample;
    json_t *const status = json_pack(
        "{s:{s:I,s:I,s:I,s:s},s:[{s:s,s:i,s:i,s:i,s:s,s:b,s:[{s:i,s:s,s:I,s:I,s:i,s:i}]}]}",
        "memory", "budget", (json_int_t)1 << 30, "leased", (json_int_t)1 << 29, "measured",
        (json_int_t)1 << 28, "pressure", "High", "models", "name", "m", "queue", 3, "oldest_ms",
        1500, "predicted_wait_ms", 2500, "breaker", "open", "pinned", 1, "workers", "id", 7,
        "state", state, "leased", (json_int_t)1 << 29, "measured", (json_int_t)1 << 28, "jobs", 2,
        "idle_ms", 0);
    assert_non_null(status);
    str_print(metrics, sizeof(metrics),
              "# HELP weir_requests_total x\nweir_requests_total{model=\"m\",outcome=\"ok\"} %d\n"
              "weir_requests_total{model=\"m\",outcome=\"deadline_exceeded\"} %d\n",
              requests, requests / 10);
    top_sample_read(&sample, status, str_of(metrics), time_ms);
    json_decref(status);
    top_history_give(h, &sample);
}

static bool shows(const struct top_frame *f, const char *text)
{
    for (size_t i = 0; i < f->count; i++) {
        if (strstr(f->lines[i].text, text) != NULL)
            return true;
    }
    for (size_t i = 0; i < f->count; i++)
        print_message("%s|\n", f->lines[i].text);
    return false;
}

static size_t count_of(const char *text, char c)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += *text == c;
    return count;
}

static void test_what_is_shown(void **state)
{
    struct top_history h = { 0 };
    struct top_frame f;
    (void)state;
    give(&h, 1000, "Loading", 0);
    give(&h, 3000, "Processing", 100);
    top_view_draw(&f, &h, "http://h:1", NULL, 80);
    assert_true(shows(&f, "http://h:1  55.0 requests/s, 5.0 failed/s"));
    assert_true(shows(&f, "512 MiB leased of 1 GiB, 256 MiB measured, pressure High"));
    assert_true(shows(&f, "m                             3    1.5 s    2.5 s     55.0  open"));
    assert_true(shows(&f, "pinned"));
    assert_true(shows(&f, "     7 m                Processing    2   512 MiB LP"));
    for (size_t i = 0; i < f.count; i++)
        assert_int_equal(strlen(f.lines[i].text), 80);
    top_frame_finish(&f);
    top_history_finish(&h);
}

static void test_the_bar_adds_up(void **state)
{
    struct top_history h = { 0 };
    struct top_frame f;
    (void)state;
    give(&h, 1000, "Ready", 0);
    for (size_t columns = 1; columns < 500; columns += 13) {
        top_view_draw(&f, &h, "h", NULL, columns);
        const char *const bar = f.lines[1].text;
        const size_t width = f.columns - 10;
        assert_int_equal(count_of(bar, '#') + count_of(bar, '=') + count_of(bar, '.'), width);
        assert_in_range(count_of(bar, '#'), width / 4, width / 4 + 1);
        assert_in_range(count_of(bar, '.'), width / 2, width / 2 + 1);
        top_frame_finish(&f);
    }
    top_history_finish(&h);
}

static void test_before_the_first_sample(void **state)
{
    struct top_history h = { 0 };
    struct top_frame f;
    (void)state;
    top_view_draw(&f, &h, "h", "no server answers at h", 80);
    assert_int_equal(f.count, 2);
    assert_true(shows(&f, "- requests/s"));
    assert_true(shows(&f, "retrying: no server answers at h"));
    top_frame_finish(&f);
    top_history_finish(&h);
}

static void test_a_strip_is_the_last_minute(void **state)
{
    struct top_history h = { 0 };
    (void)state;
    give(&h, 0, "Spawning", 0);
    for (int i = 1; i <= 70; i++)
        give(&h, 1000 * i, i % 2 == 0 ? "Ready" : "Idle", 0);
    assert_int_equal(strlen(top_history_strip(&h, 7)), TOP_STRIP);
    assert_null(strchr(top_history_strip(&h, 7), 'S'));
    assert_int_equal(top_history_strip(&h, 7)[TOP_STRIP - 1], 'R');
    top_history_miss(&h);
    assert_int_equal(top_history_strip(&h, 7)[TOP_STRIP - 1], ' ');
    assert_int_equal(top_history_strip(&h, 7)[TOP_STRIP - 2], 'R');
    assert_string_equal(top_history_strip(&h, 8), "");
    top_history_finish(&h);
}

static void test_rates(void **state)
{
    struct top_history h = { 0 };
    (void)state;
    give(&h, 1000, "Ready", 500);
    assert_true(top_history_rate(&h, NULL, false) < 0); /* one moment has no rate */
    give(&h, 2000, "Ready", 20);                        /* the server began anew */
    assert_true(top_history_rate(&h, "m", false) >= 0 && top_history_rate(&h, "m", false) < 0.1);
    give(&h, 2000, "Ready", 30); /* no time passed */
    assert_true(top_history_rate(&h, "m", false) < 0);
    assert_true(top_history_rate(&h, "other", false) < 0);
    top_history_finish(&h);
}

/* Whatever a server says, a terminal sees printable ASCII only. */
static void test_foreign_texts(void **state)
{
    struct top_history h = { 0 };
    struct top_sample sample;
    struct top_frame f;
    (void)state;
    json_t *const status = json_loads(
        "{\"memory\":{\"budget\":-5,\"leased\":9e99,\"pressure\":\"\\u001b[31m\"},\"models\":[{"
        "\"name\":\"\\u001b[2J\\u009b\xc3\xa4\",\"queue\":\"x\",\"workers\":"
        "[{\"state\":7},5,null]},3,{}]}",
        0, NULL);
    assert_non_null(status);
    top_sample_read(&sample, status,
                    STR("weir_requests_total{\nweir_requests_total{model=} 1\n"
                        "weir_requests_total{model=\"?\",} -1e309\nweir_requests_total{,=,}x"),
                    0);
    json_decref(status);
    top_history_give(&h, &sample);
    top_view_draw(&f, &h, "h\x1b", "p\n", 80);
    for (size_t i = 0; i < f.count; i++) {
        for (size_t k = 0; k < 80; k++)
            assert_in_range(f.lines[i].text[k], 0x20, 0x7e);
    }
    assert_int_equal(h.now.models_count, 3);
    assert_int_equal(h.now.workers_count, 3);
    top_frame_finish(&f);
    top_history_finish(&h);
}

static void test_scrolling(void **state)
{
    struct top_history h = { 0 };
    struct top_frame f;
    (void)state;
    give(&h, 0, "Ready", 0);
    top_view_draw(&f, &h, "h", NULL, 80);
    assert_int_equal(f.head, 3);
    assert_int_equal(top_view_scroll_most(&f, f.count), 0);
    assert_int_equal(top_view_scroll_most(&f, f.count - 2), 2);
    assert_ptr_equal(top_view_row(&f, f.count - 2, 0, 3), &f.lines[3]);
    assert_ptr_equal(top_view_row(&f, f.count - 2, 1, 0), &f.lines[0]); /* the head stays */
    assert_ptr_equal(top_view_row(&f, f.count - 2, 1, 3), &f.lines[4]);
    assert_ptr_equal(top_view_row(&f, f.count - 2, 99, f.count - 3), &f.lines[f.count - 1]);
    assert_null(top_view_row(&f, f.count + 5, 0, f.count));
    top_frame_finish(&f);
    top_history_finish(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_shown),
        cmocka_unit_test(test_the_bar_adds_up),
        cmocka_unit_test(test_before_the_first_sample),
        cmocka_unit_test(test_a_strip_is_the_last_minute),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_foreign_texts),
        cmocka_unit_test(test_scrolling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
