#include "server/chat_request.h"

#include "server/test_exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define USER "\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

/* "role:part|part;" a message, an image as "<>". */
static void show(const struct weir_generate *g, struct buffer *out)
{
    for (size_t i = 0; i < g->messages_count; i++) {
        const struct weir_message *m = &g->messages[i];
        buffer_printf(out, "%s:", m->role);
        for (size_t k = 0; k < m->count; k++) {
            assert_int_equal(m->parts[k].size, sizeof(m->parts[k]));
            buffer_text(out, k > 0 ? "|" : "");
            if (m->parts[k].kind == WEIR_INPUT_IMAGE)
                buffer_text(out, "<>");
            else
                buffer_append(out, m->parts[k].data, m->parts[k].bytes);
        }
        buffer_text(out, ";");
    }
    buffer_u8(out, 0);
}

static void assert_reads(const char *shown, const char *messages)
{
    static struct test_exchange t;
    struct chat_request r;
    struct buffer out;
    char body[1024];
    snprintf(body, sizeof(body), "{\"model\":\"m\",\"messages\":%s}", messages);
    test_exchange_init(&t, body);
    chat_request_read(&r, &t.exchange, &t.fields);
    if (!json_fields_ok(&t.fields))
        fail_msg("%s: %s", messages, t.fields.problem.text);
    buffer_init(&out, 1024);
    show(&r.generate, &out);
    assert_string_equal((const char *)out.data, shown);
    buffer_finish(&out);
    test_exchange_finish(&t);
}

static void conversations_are_read(void **state)
{
    (void)state;
    assert_reads("user:hi;", "[{\"role\":\"user\",\"content\":\"hi\"}]");
    assert_reads(
        "system:a;user:b;",
        "[{\"role\":\"developer\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"}]");
    assert_reads("user:a|;", "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
                             "{\"type\":\"text\",\"text\":\"\"}]}]");
    assert_reads("user:<>|b;",
                 "[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":"
                 "{\"url\":\"data:;base64,AA==\",\"detail\":\"low\"}},{\"type\":\"text\","
                 "\"text\":\"b\"}]}]");
    assert_reads("user:<>|<>;",
                 "[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":"
                 "\"data:image/png;base64,AA==\"},{\"type\":\"image\",\"path\":\"/x\"}]}]");
    assert_reads("user:a;assistant:;tool:c;",
                 "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":null},"
                 "{\"role\":\"tool\",\"content\":\"c\"}]");
}

static void settings_are_read(void **state)
{
    static struct test_exchange t;
    struct chat_request r;
    (void)state;
    test_exchange_init(&t, "{" USER ",\"max_tokens\":5,\"max_completion_tokens\":7,"
                           "\"temperature\":0.5,\"top_p\":0,\"top_k\":3,\"seed\":-1,\"stop\":"
                           "[\"a\",\"b\"],\"stream\":true,\"stream_options\":"
                           "{\"include_usage\":true},\"unheard_of\":{},\"n\":1,\"tools\":[],"
                           "\"response_format\":{\"type\":\"text\"}}");
    chat_request_read(&r, &t.exchange, &t.fields);
    assert_true(json_fields_ok(&t.fields));
    assert_int_equal(r.generate.tokens_max, 7);
    assert_true(r.generate.temperature == 0.5f);
    assert_true(r.generate.top_p > 0 && r.generate.top_p < 1e-3f);
    assert_int_equal(r.generate.top_k, 3);
    assert_true(r.generate.seeded && r.generate.seed == UINT64_MAX);
    assert_int_equal(r.generate.stop_count, 2);
    assert_string_equal(r.generate.stop[1], "b");
    assert_true(r.streams && r.wants_usage);
    test_exchange_finish(&t);
}

static void absent_settings_are_the_defaults(void **state)
{
    static struct test_exchange t;
    struct chat_request r;
    (void)state;
    test_exchange_init(&t, "{" USER ",\"seed\":null,\"stop\":null,\"stream\":null,\"top_p\":null}");
    chat_request_read(&r, &t.exchange, &t.fields);
    assert_true(json_fields_ok(&t.fields));
    assert_true(r.generate.temperature == 1 && r.generate.top_p == 1);
    assert_true(!r.generate.seeded && r.generate.tokens_max == 0 && r.generate.stop_count == 0);
    assert_true(!r.streams && !r.wants_usage && r.images.count == 0);
    test_exchange_finish(&t);
}

static void assert_refused(const char *param, const char *body)
{
    static struct test_exchange t;
    struct chat_request r;
    test_exchange_init(&t, body);
    chat_request_read(&r, &t.exchange, &t.fields);
    if (t.fields.problem.code != WEIR_INVALID || strcmp(t.fields.param, param) != 0)
        fail_msg("%s: %s", body, t.fields.problem.text);
    test_exchange_finish(&t);
}

static void wrong_bodies_are_refused(void **state)
{
    (void)state;
    assert_refused("messages", "{\"messages\":[]}");
    assert_refused("messages", "{\"messages\":{}}");
    assert_refused("messages", "{}");
    assert_refused("messages", "{\"messages\":[7]}");
    assert_refused("messages", "{\"messages\":[{\"role\":\"wizard\",\"content\":\"x\"}]}");
    assert_refused("messages", "{\"messages\":[{\"role\":\"user\"}]}");
    assert_refused("messages", "{\"messages\":[{\"role\":\"user\",\"content\":[]}]}");
    assert_refused("messages",
                   "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}");
    assert_refused("messages",
                   "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\"}]}]}");
    assert_refused(
        "messages",
        "{\"messages\":[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{}]}]}");
    assert_refused("temperature", "{" USER ",\"temperature\":2.1}");
    assert_refused("temperature", "{" USER ",\"temperature\":\"warm\"}");
    assert_refused("top_p", "{" USER ",\"top_p\":-0.1}");
    assert_refused("max_tokens", "{" USER ",\"max_tokens\":0}");
    assert_refused("stop", "{" USER ",\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}");
    assert_refused("stop", "{" USER ",\"stop\":[\"\"]}");
    assert_refused("stop", "{" USER ",\"stop\":7}");
    assert_refused("stream", "{" USER ",\"stream\":\"yes\"}");
    assert_refused("stream_options", "{" USER ",\"stream_options\":{\"include_usage\":1}}");
    assert_refused("n", "{" USER ",\"n\":2}");
    assert_refused("tools", "{" USER ",\"tools\":[{}]}");
    assert_refused("logprobs", "{" USER ",\"logprobs\":true}");
    assert_refused("response_format", "{" USER ",\"response_format\":{\"type\":\"json_object\"}}");
}

static uint64_t affinity_of(const char *messages)
{
    static struct test_exchange t;
    struct chat_request r;
    char body[1024];
    snprintf(body, sizeof(body), "{\"model\":\"m\",\"messages\":%s}", messages);
    test_exchange_init(&t, body);
    chat_request_read(&r, &t.exchange, &t.fields);
    assert_true(json_fields_ok(&t.fields));
    test_exchange_finish(&t);
    return r.affinity;
}

static void a_conversation_keeps_its_affinity(void **state)
{
    (void)state;
    const uint64_t first = affinity_of("[{\"role\":\"user\",\"content\":\"hi\"}]");
    const uint64_t second =
        affinity_of("[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":"
                    "\"there\"},{\"role\":\"user\",\"content\":\"again\"}]");
    const uint64_t other = affinity_of("[{\"role\":\"user\",\"content\":\"ho\"}]");
    assert_true(first == second && first != 0 && first != other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversations_are_read),
        cmocka_unit_test(settings_are_read),
        cmocka_unit_test(absent_settings_are_the_defaults),
        cmocka_unit_test(wrong_bodies_are_refused),
        cmocka_unit_test(a_conversation_keeps_its_affinity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
