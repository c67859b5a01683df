#include "server/openai_embeddings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const float vectors[] = { 0.5f, -1.0f, 0.25f, 2.0f };
static const uint32_t tokens[] = { 3, 4 };
static const uint32_t truncated[] = { 1 };

static struct weir_output sample(size_t truncated_count)
{
    return (struct weir_output){ .size = sizeof(struct weir_output),
                                 .operation = WEIR_EMBED,
                                 .vectors = vectors,
                                 .rows = 2,
                                 .dim = 2,
                                 .tokens = tokens,
                                 .truncated = truncated,
                                 .truncated_count = truncated_count };
}

static void assert_reply(const struct weir_output *output, bool is_base64, const char *expected)
{
    struct buffer b;
    buffer_init(&b, 4096);
    openai_embeddings_reply(&b, output, "q\"1", is_base64);
    assert_false(b.failed);
    buffer_u8(&b, 0);
    assert_string_equal((const char *)b.data, expected);
    buffer_finish(&b);
}

static void vectors_are_decimal(void **state)
{
    struct weir_output o = sample(0);
    (void)state;
    assert_reply(&o, false,
                 "{\"object\":\"list\",\"data\":["
                 "{\"object\":\"embedding\",\"index\":0,\"embedding\":[0.5,-1]},"
                 "{\"object\":\"embedding\",\"index\":1,\"embedding\":[0.25,2]}],"
                 "\"model\":\"q\\\"1\",\"usage\":{\"prompt_tokens\":7,\"total_tokens\":7}}");
}

/* 0.5f, -1.0f, 0.25f and 2.0f are 0000003f 000080bf 0000803e 00000040 in memory. */
static void vectors_are_base64(void **state)
{
    struct weir_output o = sample(1);
    (void)state;
    assert_reply(&o, true,
                 "{\"object\":\"list\",\"data\":["
                 "{\"object\":\"embedding\",\"index\":0,\"embedding\":\"AAAAPwAAgL8=\"},"
                 "{\"object\":\"embedding\",\"index\":1,\"embedding\":\"AACAPgAAAEA=\"}],"
                 "\"model\":\"q\\\"1\",\"usage\":{\"prompt_tokens\":7,\"total_tokens\":7},"
                 "\"truncated\":[1]}");
}

static void ceiling_of_the_answer_is_noticed(void **state)
{
    struct weir_output o = sample(0);
    struct buffer b;
    (void)state;
    buffer_init(&b, 100);
    openai_embeddings_reply(&b, &o, "m", false);
    assert_true(b.failed);
    buffer_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_decimal),
        cmocka_unit_test(vectors_are_base64),
        cmocka_unit_test(ceiling_of_the_answer_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
