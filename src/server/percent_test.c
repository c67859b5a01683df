#include "server/percent.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *query, *name;
    bool is_good;
    const char *value; /* NULL: absent */
} rows[] = {
    {"model=mini",           "model", true,  "mini"  },
    { "model=a%2Fb%3aq4",    "model", true,  "a/b:q4"},
    { "model=a+b",           "model", true,  "a b"   },
    { "x=1&model=m&model=n", "model", true,  "m"     },
    { "model=",              "model", true,  ""      },
    { "model",               "model", true,  ""      },
    { "model=a=b",           "model", true,  "a=b"   },
    { "",                    "model", true,  NULL    },
    { "models=x",            "model", true,  NULL    },
    { "&&=&x",               "model", true,  NULL    },
    { "model=%",             "model", false, NULL    },
    { "model=%4",            "model", false, NULL    },
    { "model=%4g",           "model", false, NULL    },
    { "model=%00",           "model", false, NULL    },
    { "model=%ff",           "model", false, NULL    },
    { "x=%ff&model=m",       "model", true,  "m"     },
};

static void fields_of_queries(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct arena arena;
        struct str value;
        arena_init(&arena, 4096);
        bool is_good = percent_query(str_of(rows[i].query), str_of(rows[i].name), &arena, &value);
        if (is_good != rows[i].is_good)
            fail_msg("'%s': %d", rows[i].query, is_good);
        if (is_good && rows[i].value != NULL) {
            assert_non_null(value.data);
            assert_string_equal(value.data, rows[i].value); /* a NUL stands behind it */
            assert_int_equal(value.len, strlen(rows[i].value));
        } else if (is_good) {
            assert_null(value.data);
        }
        arena_finish(&arena);
    }
}

static void a_plus_in_a_path_is_a_plus(void **state)
{
    struct arena arena;
    struct str out;
    (void)state;
    arena_init(&arena, 4096);
    assert_true(percent_decode(STR("a+b%2B"), &arena, &out));
    assert_string_equal(out.data, "a+b+");
    arena_finish(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_of_queries),
        cmocka_unit_test(a_plus_in_a_path_is_a_plus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
