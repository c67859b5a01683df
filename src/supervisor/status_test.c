/* status_test.c — the whole text of the status and of the list of models, in every phase of a
 * model's life. */
#include "supervisor/test_pool.h"

#include "base/jsonw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)

typedef void write_text(struct supervisor *s, struct jsonw *out);

static void all_models(struct supervisor *s, struct jsonw *out)
{
    supervisor_models(s, NULL, out);
}

static void model_bad(struct supervisor *s, struct jsonw *out)
{
    supervisor_models(s, "bad", out);
}

static void inspection(struct supervisor *s, struct jsonw *out)
{
    supervisor_inspection(s, out);
}

static void able_to_embed(struct supervisor *s, struct jsonw *out)
{
    supervisor_able(s, WEIR_TEXT_EMBEDDING, out);
}

static void able_to_draw(struct supervisor *s, struct jsonw *out)
{
    supervisor_able(s, WEIR_TEXT_TO_IMAGE, out);
}

static void model_that_is_none(struct supervisor *s, struct jsonw *out)
{
    supervisor_models(s, "nobody", out);
}

/* `expected` has ' for ", to be readable. */
static void assert_text(struct test_pool *t, write_text *write, const char *expected)
{
    struct buffer text;
    struct jsonw out;
    buffer_init(&text, 100000);
    jsonw_init(&out, &text);
    supervisor_clock(t->supervisor, t->world.now_ms);
    write(t->supervisor, &out);
    buffer_u8(&text, 0);
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] == '"')
            text.data[i] = '\'';
    assert_string_equal((const char *)text.data, expected);
    buffer_finish(&text);
}

#define CAPABILITIES  "['text_embedding','text_to_text']"
#define NONE_PREPARES "'preparing':0},"
#define UNKNOWN       "'path':'/files','inspected':false,'weights':0," PACKING
#define KNOWN         "'path':'/files','inspected':true,'weights':100," PACKING
#define PACKING       "'precision':'f32','packed':0,'preparation':'none',"
#define UNPACKED      "'weights':0,'precision':'f32','packed':0,'flops_per_token':0"
#define NAMED         "'models':[{'name':'org/m@r1','aliases':['m','other'],'capabilities':"

/* The one model of the pool: 100 bytes of weights, 10 bytes of context and 4 more a slot. */
static struct test_pool *open_with_model(struct test_model **out)
{
    struct test_pool *t = test_open(1000, NULL);
    static const char *const aliases[] = { "m", "other" };
    struct test_model *m = *out = &t->world.models[0];
    m->name = "/files";
    m->plan = (struct plan){ .capabilities = 1u << WEIR_TEXT_EMBEDDING | 1u << WEIR_TEXT_TO_TEXT,
                             .architecture = "fake",
                             .weights_bytes = 100,
                             .fixed_bytes = 10,
                             .per_slot_bytes = 4,
                             .positions = 512,
                             .tokens_max = 500,
                             .dim = 32,
                             .slots = 2 };
    const struct model_settings settings = { .name = "org/m@r1",
                                             .path = "/files",
                                             .max_workers = 1,
                                             .idle_ms = 60 * SECOND,
                                             .idle_label_ms = 30 * SECOND,
                                             .context = 256,
                                             .aliases = aliases,
                                             .aliases_count = 2,
                                             .priority = 2 };
    CHECK(supervisor_register(t->supervisor, &settings, NULL) == WEIR_OK);
    return t;
}

static void a_model_is_shown_in_every_phase(void **state)
{
    (void)state;
    struct test_model *m;
    struct test_pool *t = open_with_model(&m);
    assert_text(
        t, supervisor_status,
        "{'memory':{'budget':1048576000,'leased':0,'measured':0,'pressure':'Low'," NONE_PREPARES
        "'draining':false," NAMED "[],'revision':'r1','pinned':false,'draining':false,"
        "'queue':0,'predicted_wait_ms':0,'oldest_ms':0,'breaker':'closed','problem':null,"
        "'spawned':0,'weights_leased':0,'slots':0,'context':0," UNKNOWN "'workers':[]}]}");
    test_run_until(t, SECOND);
    test_submit(t, "m", "e", 0);
    test_run_until(t, SECOND + 110);
    assert_text(
        t, supervisor_status,
        "{'memory':{'budget':1048576000,'leased':118,'measured':0,'pressure':'Low'," NONE_PREPARES
        "'draining':false," NAMED CAPABILITIES ",'revision':'r1','pinned':false,'draining':false,"
        "'queue':1,'predicted_wait_ms':0,'oldest_ms':110,'breaker':'closed','problem':null,"
        "'spawned':1,'weights_leased':100,'slots':2,'context':256," KNOWN
        "'workers':[{'id':2,'pid':2,'state':'Loading','leased':18,'measured':0,"
        "'slots':2,'context':256,'jobs':0,'idle_ms':0}]}]}");
    test_run_until(t, SECOND + 550);
    m->uses_bytes = 20 * MiB; /* read now, not when it is time to */
    assert_text(
        t, supervisor_status,
        "{'memory':{'budget':1048576000,'leased':20971620,'measured':20971520,"
        "'pressure':'Low'," NONE_PREPARES "'draining':false," NAMED CAPABILITIES
        ",'revision':'r1','pinned':false,'draining':false,"
        "'queue':0,'predicted_wait_ms':0,'oldest_ms':0,'breaker':'closed','problem':null,"
        "'spawned':1,'weights_leased':100,'slots':2,'context':256," KNOWN
        "'workers':[{'id':2,'pid':2,'state':'Processing','leased':20971520,'measured':20971520,"
        "'slots':2,'context':256,'jobs':1,'idle_ms':0}]}]}");
    test_run_until(t, 5 * SECOND);
    assert_text(t, supervisor_status,
                "{'memory':{'budget':1048576000,'leased':20971620,'measured':20971520,"
                "'pressure':'Low'," NONE_PREPARES "'draining':false," NAMED CAPABILITIES
                ",'revision':'r1','pinned':false,'draining':false,"
                "'queue':0,'predicted_wait_ms':0,'oldest_ms':0,'breaker':'closed','problem':null,"
                "'spawned':1,'weights_leased':100,'slots':2,'context':256," KNOWN
                "'workers':[{'id':2,'pid':2,'state':'Ready','leased':20971520,'measured':20971520,"
                "'slots':2,'context':256,'jobs':0,'idle_ms':3390}]}]}");
    test_submit(t, "m", "r", 0);
    test_run_until(t, 6 * SECOND);
    assert_int_equal(supervisor_pin(t->supervisor, "m", true, NULL), WEIR_OK);
    assert_int_equal(supervisor_unregister(t->supervisor, "m", NULL), WEIR_OK);
    supervisor_drain(t->supervisor, SECOND);
    t->world.available_bytes = GiB;
    assert_text(
        t, supervisor_status,
        "{'memory':{'budget':1048576000,'leased':20971620,'measured':20971520,"
        "'pressure':'Critical'," NONE_PREPARES "'draining':true," NAMED CAPABILITIES
        ",'revision':'r1','pinned':true,'draining':true,"
        "'queue':0,'predicted_wait_ms':0,'oldest_ms':0,'breaker':'closed','problem':null,"
        "'spawned':1,'weights_leased':100,'slots':2,'context':256," KNOWN
        "'workers':[{'id':2,'pid':2,'state':'Processing','leased':20971520,'measured':20971520,"
        "'slots':2,'context':256,'jobs':1,'idle_ms':0}]}]}");
    test_close(t);
}

static void a_model_is_listed_with_what_was_found(void **state)
{
    (void)state;
    struct test_model *m;
    struct test_pool *t = open_with_model(&m);
    const struct model_settings failing = {
        .name = "bad", .path = "bad", .max_workers = 1, .idle_ms = SECOND, .priority = 2
    };
    assert_text(t, all_models,
                "{" NAMED "[],'problem':null,'inspected':false,'truncate':false,'architecture':'',"
                "'tokens_max':0,'dim':0," UNPACKED "}]}");
    t->world.models[1].name = "bad";
    t->world.models[1].kills_inspector = true;
    assert_int_equal(supervisor_register(t->supervisor, &failing, NULL), WEIR_OK);
    test_run_until(t, SECOND);
    assert_text(t, all_models,
                "{" NAMED CAPABILITIES
                ",'problem':null,'inspected':true,'truncate':false,'architecture':'fake',"
                "'tokens_max':500,'dim':32,'weights':100,'precision':'f32','packed':0,"
                "'flops_per_token':0},{'name':'bad','aliases':[],'capabilities':[],"
                "'problem':''bad' could not be inspected: exit status 0','inspected':true,"
                "'truncate':false,'architecture':'','tokens_max':0,'dim':0," UNPACKED "}]}");
    assert_text(t, inspection, "{'models':2,'inspected':2,'first':null}");
    assert_text(t, able_to_embed, "{'models':2,'inspected':2,'able':1,'name':'org/m@r1'}");
    assert_text(t, able_to_draw, "{'models':2,'inspected':2,'able':0,'name':'org/m@r1'}");
    test_submit(t, "m", "r", 0); /* it serves its last request, but is not to be had any more */
    assert_int_equal(supervisor_unregister(t->supervisor, "m", NULL), WEIR_OK);
    test_run_until(t, 5 * SECOND);
    assert_text(t, able_to_embed, "{'models':1,'inspected':1,'able':0,'name':'bad'}");
    assert_text(t, all_models,
                "{'models':[{'name':'bad','aliases':[],'capabilities':[],"
                "'problem':''bad' could not be inspected: exit status 0','inspected':true,"
                "'truncate':false,'architecture':'','tokens_max':0,'dim':0," UNPACKED "}]}");
    assert_text(t, model_bad,
                "{'models':[{'name':'bad','aliases':[],'capabilities':[],"
                "'problem':''bad' could not be inspected: exit status 0','inspected':true,"
                "'truncate':false,'architecture':'','tokens_max':0,'dim':0," UNPACKED "}]}");
    assert_text(t, model_that_is_none, "{'models':[]}");
    test_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_is_shown_in_every_phase),
        cmocka_unit_test(a_model_is_listed_with_what_was_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
