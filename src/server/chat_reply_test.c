#include "server/chat_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define BEGIN(object)                                                                              \
    "{\"id\":\"chatcmpl-r1\",\"object\":\"" object "\",\"created\":7,\"model\":\"m\",\"choices\":["
#define CHUNK(delta, finish)                                                                       \
    BEGIN("chat.completion.chunk")                                                                 \
    "{\"index\":0,\"delta\":" delta ",\"logprobs\":null,\"finish_reason\":" finish "}]"

#define MESSAGE                                                                                    \
    "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"a\\\"b\",\"refusal\":null},"   \
    "\"logprobs\":null,\"finish_reason\":\"length\"}"
#define USAGE ",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}"

static const struct chat_reply plain = { .id = "r1", .model = "m", .created_s = 7 };
static const struct weir_end end = {
    .size = sizeof(end), .input_tokens = 3, .output_tokens = 4, .finish = WEIR_FINISH_LENGTH
};

static void assert_is(struct buffer *b, const char *expected)
{
    assert_false(b->failed);
    buffer_u8(b, 0);
    assert_string_equal((const char *)b->data, expected);
    buffer_clear(b);
}

static void whole_answer_is_written(void **state)
{
    struct buffer b;
    (void)state;
    buffer_init(&b, 4096);
    chat_reply_whole(&b, &plain, STR("a\"b"), &end);
    assert_is(&b, BEGIN("chat.completion") MESSAGE "]" USAGE "}");
    buffer_finish(&b);
}

static void chunks_are_written(void **state)
{
    struct chat_reply with_usage = plain, without = plain;
    struct buffer b;
    (void)state;
    with_usage.wants_usage = true;
    buffer_init(&b, 4096);
    chat_reply_prepare(&without);
    chat_reply_prepare(&with_usage);
    chat_reply_role(&b, &plain);
    assert_is(&b, CHUNK("{\"role\":\"assistant\",\"content\":\"\"}", "null") "}");
    chat_reply_text(&b, &without, STR("x"));
    assert_is(&b, CHUNK("{\"content\":\"x\"}", "null") "}");
    chat_reply_text(&b, &without, STR("a\"b"));
    assert_is(&b, CHUNK("{\"content\":\"a\\\"b\"}", "null") "}");
    chat_reply_text(&b, &with_usage, STR("x"));
    assert_is(&b, CHUNK("{\"content\":\"x\"}", "null") ",\"usage\":null}");
    chat_reply_finish(&b, &plain, WEIR_FINISH_STOP);
    assert_is(&b, CHUNK("{}", "\"stop\"") "}");
    chat_reply_usage(&b, &with_usage, &end);
    assert_is(&b, BEGIN("chat.completion.chunk") "]" USAGE "}");
    chat_reply_unprepare(&without);
    chat_reply_unprepare(&with_usage);
    buffer_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_answer_is_written),
        cmocka_unit_test(chunks_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
