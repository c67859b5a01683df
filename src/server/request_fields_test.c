#include "server/request_fields.h"

#include "base/check.h"
#include "server/json_fields.h"

#include "weir/weir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct {
    const char *body;
    bool is_good;
    int64_t ms;
} rows[] = {
    {"{}",                                 true,  0                      },
    { "{\"keep_alive\":null}",             true,  0                      },
    { "{\"keep_alive\":\"5m\"}",           true,  300000                 },
    { "{\"keep_alive\":\"1.5s\"}",         true,  1500                   },
    { "{\"keep_alive\":\"24h\"}",          true,  86400000               },
    { "{\"keep_alive\":\"7\"}",            true,  7000                   },
    { "{\"keep_alive\":300}",              true,  300000                 },
    { "{\"keep_alive\":0}",                true,  WEIR_KEEP_ALIVE_NONE   },
    { "{\"keep_alive\":\"0\"}",            true,  WEIR_KEEP_ALIVE_NONE   },
    { "{\"keep_alive\":\"0s\"}",           true,  WEIR_KEEP_ALIVE_NONE   },
    { "{\"keep_alive\":-1}",               true,  WEIR_KEEP_ALIVE_FOREVER},
    { "{\"keep_alive\":-60}",              true,  WEIR_KEEP_ALIVE_FOREVER},
    { "{\"keep_alive\":\"-1\"}",           true,  WEIR_KEEP_ALIVE_FOREVER},
    { "{\"keep_alive\":\"-5m\"}",          true,  WEIR_KEEP_ALIVE_FOREVER},
    { "{\"keep_alive\":9223372036854776}", true,  WEIR_KEEP_ALIVE_FOREVER},
    { "{\"keep_alive\":1.5}",              true,  1500                   },
    { "{\"keep_alive\":0.0001}",           true,  1                      },
    { "{\"keep_alive\":-0.5}",             true,  WEIR_KEEP_ALIVE_FOREVER},
    { "{\"keep_alive\":\"\"}",             false, 0                      },
    { "{\"keep_alive\":\"-\"}",            false, 0                      },
    { "{\"keep_alive\":\"--1\"}",          false, 0                      },
    { "{\"keep_alive\":\"soon\"}",         false, 0                      },
    { "{\"keep_alive\":\"5m\\u0000s\"}",   false, 0                      },
    { "{\"keep_alive\":true}",             false, 0                      },
    { "{\"keep_alive\":[1]}",              false, 0                      },
};

static void keep_alive(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct weir_error err;
        struct json_value *tree = json_read_parse(str_of(rows[i].body), &err);
        assert_non_null(tree);
        struct json_fields f = json_fields_of(tree);
        int64_t ms = request_fields_keep_alive(&f);
        if (json_fields_ok(&f) != rows[i].is_good || ms != rows[i].ms)
            fail_msg("%s: %lld, %s", rows[i].body, (long long)ms, f.problem.text);
        if (!rows[i].is_good)
            assert_string_equal(f.param, "keep_alive");
        json_read_free(tree);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(keep_alive) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
