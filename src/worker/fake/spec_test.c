#include "worker/fake/spec.h"

#include "base/size.h"
#include "worker/fake/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct spec parsed(const char *text)
{
    struct spec s;
    struct weir_error err;
    if (spec_parse(text, &s, &err) != WEIR_OK)
        fail_msg("'%s': %s", text, err.text);
    return s;
}

static void defaults_are_the_documented_ones(void **state)
{
    (void)state;
    const struct spec s = parsed("fake:text_embedding");
    assert_int_equal(s.capability, WEIR_TEXT_EMBEDDING);
    assert_int_equal(s.weights_bytes, 64 * MiB);
    assert_int_equal(s.context_bytes, MiB);
    assert_int_equal(s.scratch_bytes, MiB);
    assert_int_equal(s.steps, 1);
    assert_int_equal(s.slots, 1);
    assert_int_equal(s.dim, 384);
    assert_int_equal(s.load_ms + s.step_ms, 0);
    assert_int_equal(s.crash.place, SPEC_NEVER);
    assert_false(s.touch || s.ignore_term || s.script || s.probe);
    assert_string_equal(s.load_fail, "");
}

static void every_option_is_read(void **state)
{
    (void)state;
    const struct spec s = parsed(
        "fake:text_to_image?weights=2GiB&packed=1GiB&prepare=3s&prepare_fail=disk full&"
        "context=512&scratch=1.5MiB&touch=yes&load=2s&step=200ms&"
        "steps=20&slots=64&dim=8&plan_fail=no such plan&load_fail=disk: a=b&load_fail_times=3&"
        "crash=every:7&hang=step:2&garbage=result&ignore_term=yes&leak=3MiB&script=yes&"
        "probe=yes");
    assert_int_equal(s.capability, WEIR_TEXT_TO_IMAGE);
    assert_int_equal(s.weights_bytes, 2 * GiB);
    assert_int_equal(s.packed_bytes, GiB);
    assert_int_equal(s.prepare_ms, 3000);
    assert_string_equal(s.prepare_fail, "disk full");
    assert_int_equal(s.context_bytes, 512);
    assert_int_equal(s.scratch_bytes, 1536 * KiB);
    assert_true(s.touch && s.ignore_term && s.script && s.probe);
    assert_int_equal(s.load_ms, 2000);
    assert_int_equal(s.step_ms, 200);
    assert_int_equal(s.steps, 20);
    assert_int_equal(s.slots, 64);
    assert_int_equal(s.dim, 8);
    assert_string_equal(s.plan_fail, "no such plan");
    assert_string_equal(s.load_fail, "disk: a=b");
    assert_int_equal(s.load_fail_times, 3);
    assert_true(s.crash.place == SPEC_EVERY && s.crash.number == 7);
    assert_true(s.hang.place == SPEC_STEP && s.hang.number == 2);
    assert_int_equal(s.garbage.place, SPEC_RESULT);
    assert_int_equal(s.leak_bytes, 3 * MiB);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"mini",                      "'mini' is no fake model: it does not begin with fake:"},
        { "fake:",                    "there is no capability '' for a fake model"           },
        { "fake:poetry",              "there is no capability 'poetry' for a fake model"     },
        { "fake:vision?",             "a fake model has no option ''"                        },
        { "fake:vision?prove=yes",    "a fake model has no option 'prove'"                   },
        { "fake:vision?step=1&",      "a fake model has no option ''"                        },
        { "fake:vision?step",         "a fake model's option 'step' cannot be ''"            },
        { "fake:vision?step=soon",    "a fake model's option 'step' cannot be 'soon'"        },
        { "fake:vision?step=25h",     "a fake model's option 'step' cannot be '25h'"         },
        { "fake:vision?slots=65",     "a fake model's option 'slots' cannot be '65'"         },
        { "fake:vision?slots=0",      "a fake model's option 'slots' cannot be '0'"          },
        { "fake:vision?touch=maybe",  "a fake model's option 'touch' cannot be 'maybe'"      },
        { "fake:vision?weights=-1",   "a fake model's option 'weights' cannot be '-1'"       },
        { "fake:vision?crash=step",   "a fake model's option 'crash' cannot be 'step'"       },
        { "fake:vision?crash=step:0", "a fake model's option 'crash' cannot be 'step:0'"     },
        { "fake:vision?crash=load:1", "a fake model's option 'crash' cannot be 'load:1'"     },
        { "fake:vision?crash=hello",  "a fake model's option 'crash' cannot be 'hello'"      },
        { "fake:vision?hang=every:2", "a fake model's option 'hang' cannot be 'every:2'"     },
        { "fake:vision?garbage=load", "a fake model's option 'garbage' cannot be 'load'"     },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct spec s;
        struct weir_error err;
        assert_int_equal(spec_parse(cases[i].text, &s, &err), WEIR_INVALID);
        assert_string_equal(err.text, cases[i].says);
    }
}

static void the_plan_states_the_options(void **state)
{
    (void)state;
    const char *text = "fake:text_to_text?weights=5&context=7&scratch=2&slots=4&dim=3";
    const struct spec s = parsed(text);
    struct plan p, other;
    spec_plan(&s, text, &p);
    spec_plan(&s, "fake:text_to_text", &other);
    assert_int_equal(p.capabilities, 1u << WEIR_TEXT_TO_TEXT);
    assert_int_equal(p.weights_bytes, 5);
    assert_int_equal(plan_context_bytes(&p, 1000, 4, 8), 9);
    assert_int_equal(p.slots, 4);
    assert_int_equal(p.dim, 3);
    assert_memory_not_equal(p.digest, other.digest, sizeof(p.digest));
}

static void orders_are_read(void **state)
{
    (void)state;
    struct order o;
    assert_int_equal(order_parse(STR("!crash"), &o, NULL), WEIR_OK);
    assert_int_equal(o.kind, ORDER_CRASH);
    assert_int_equal(order_parse(STR("!hang "), &o, NULL), WEIR_OK);
    assert_int_equal(o.kind, ORDER_HANG);
    assert_int_equal(order_parse(STR("!fail out of luck"), &o, NULL), WEIR_OK);
    assert_int_equal(o.kind, ORDER_FAIL);
    assert_true(str_eq(o.text, STR("out of luck")));
    assert_int_equal(order_parse(STR("!sleep 200ms"), &o, NULL), WEIR_OK);
    assert_true(o.kind == ORDER_SLEEP && o.duration_ms == 200);
    assert_int_equal(order_parse(STR("!tokens 50 20ms"), &o, NULL), WEIR_OK);
    assert_true(o.kind == ORDER_TOKENS && o.count == 50 && o.duration_ms == 20);
    assert_int_equal(order_parse(STR("!tokens 3"), &o, NULL), WEIR_OK);
    assert_true(o.count == 3 && o.duration_ms == 0);
}

static void what_is_no_order_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = { "!",         "!none",      "!dance",  "!crash now",
                                         "!sleep",    "!sleep x",   "!tokens", "!tokens 0 1ms",
                                         "!tokens x", "!tokens 5 x" };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct order o;
        struct weir_error err;
        assert_int_equal(order_parse(str_of(wrong[i]), &o, &err), WEIR_INVALID);
        assert_non_null(strstr(err.text, wrong[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_documented_ones),
        cmocka_unit_test(every_option_is_read),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(the_plan_states_the_options),
        cmocka_unit_test(orders_are_read),
        cmocka_unit_test(what_is_no_order_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
