/* registry_test.c — names, aliases, and entries that change, give way and go. */
#include "supervisor/test_pool.h"

#include "base/buffer.h"
#include "base/jsonw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)

static void assert_ended(const struct test_request *r, enum weir_code code)
{
    assert_true(r->ended);
    if (r->error.code != code)
        fail_msg("ended with %s (%s), expected %s", error_name(r->error.code), r->error.text,
                 error_name(code));
}

/* Files that a model can be registered with: 100 MiB of weights and 10 MiB of context. */
static struct test_model *add_files(struct test_pool *t, const char *path)
{
    struct test_model *m = t->world.models;
    while (m->name != NULL)
        m++;
    m->name = path;
    m->plan = (struct plan){ .capabilities = 1u << WEIR_TEXT_EMBEDDING | 1u << WEIR_TEXT_TO_TEXT,
                             .architecture = "fake",
                             .weights_bytes = 100 * MiB,
                             .fixed_bytes = 10 * MiB,
                             .positions = 512,
                             .slots = 1 };
    return m;
}

static struct model_settings settings_of(const char *name, const char *path)
{
    return (struct model_settings){ .name = name,
                                    .path = path,
                                    .max_workers = 2,
                                    .idle_ms = MINUTE,
                                    .idle_label_ms = 30 * SECOND,
                                    .priority = 2 };
}

static enum weir_code add(struct test_pool *t, const struct model_settings *m,
                          struct weir_error *err)
{
    supervisor_clock(t->supervisor, t->world.now_ms);
    return supervisor_register(t->supervisor, m, err);
}

static void assert_added(struct test_pool *t, const struct model_settings *m)
{
    struct weir_error err = { .index = -1 };
    if (add(t, m, &err) != WEIR_OK)
        fail_msg("'%s': %s", m->name, err.text);
}

static void assert_says(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", text, part);
}

static void assert_status_says(struct test_pool *t, const char *part, bool says)
{
    struct buffer text;
    struct jsonw out;
    buffer_init(&text, 100000);
    jsonw_init(&out, &text);
    supervisor_status(t->supervisor, &out);
    buffer_u8(&text, 0);
    assert_false(text.failed);
    if ((strstr((const char *)text.data, part) != NULL) != says)
        fail_msg("\"%s\" %s \"%s\"", (const char *)text.data, says ? "lacks" : "has", part);
    buffer_finish(&text);
}

/* F150, F152, F157: a second registration of a name says so, whoever has it and however. */
static void a_name_leads_to_one_model(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct weir_error err;
    add_files(t, "/a");
    static const char *const aliases[] = { "short", "org/long:latest" };
    struct model_settings a = settings_of("a", "/a"), b = settings_of("b", "/a");
    a.aliases = aliases;
    a.aliases_count = 2;
    assert_added(t, &a);
    assert_int_equal(add(t, &a, &err), WEIR_EXISTS);
    assert_says(err.text, "'a'");
    b.name = "short";
    assert_int_equal(add(t, &b, &err), WEIR_EXISTS);
    assert_says(err.text, "'short'");
    assert_says(err.text, "'a'");
    b.replace = true; /* an alias gives way to nobody */
    assert_int_equal(add(t, &b, &err), WEIR_EXISTS);
    static const char *const taken[] = { "free", "a" };
    b = settings_of("b", "/a");
    b.aliases = taken;
    b.aliases_count = 2;
    assert_int_equal(add(t, &b, &err), WEIR_EXISTS);
    assert_says(err.text, "'b'");
    assert_says(err.text, "'a'");
    b.aliases = aliases + 1;
    b.aliases_count = 1;
    assert_int_equal(add(t, &b, &err), WEIR_EXISTS);
    assert_says(err.text, "the alias 'org/long:latest' of model 'b' is taken: it names model 'a'");
    /* Nothing was left behind by those that were refused. */
    assert_int_equal(test_submit(t, "b", "e", 0)->error.code, WEIR_NO_SUCH_MODEL);
    assert_int_equal(test_submit(t, "free", "e", 0)->error.code, WEIR_NO_SUCH_MODEL);
    const struct test_request *r = test_submit(t, "short", "e", 0);
    test_run_until(t, 5 * SECOND);
    assert_ended(r, WEIR_OK);
    assert_status_says(t, "\"aliases\":[\"short\",\"org/long:latest\"]", true);
    test_close(t);
}

static void names_have_a_form(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct weir_error err;
    static const char *const bad[] = { "", "a b", "a@", "@a", "a@b@c", "a@@", "a@@b", "\xc3\xa4" };
    static const char *const twice[] = { "b", "c", "b" };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct model_settings m = settings_of(bad[i], "/a");
        assert_int_equal(add(t, &m, &err), WEIR_INVALID);
        m.name = "a";
        m.aliases = &bad[i];
        m.aliases_count = 1;
        assert_int_equal(add(t, &m, &err), WEIR_INVALID);
    }
    struct model_settings m = settings_of("a", "/a");
    m.aliases = twice;
    m.aliases_count = 3;
    assert_int_equal(add(t, &m, &err), WEIR_INVALID);
    assert_says(err.text, "'b' twice");
    m.aliases_count = 65;
    assert_int_equal(add(t, &m, &err), WEIR_INVALID);
    assert_says(err.text, "65 aliases, the limit is 64");
    char long_name[202], names[64][8];
    memset(long_name, 'n', sizeof long_name);
    long_name[201] = '\0';
    m = settings_of(long_name, "/a");
    assert_int_equal(add(t, &m, &err), WEIR_INVALID);
    long_name[200] = '\0'; /* the longest there is, with as many aliases as there may be */
    const char *aliases[64];
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        snprintf(names[i], sizeof names[i], "n-%zu", i);
        aliases[i] = names[i];
    }
    m.aliases = aliases;
    m.aliases_count = ARRAY_COUNT(aliases);
    m.slots = 65;
    assert_int_equal(add(t, &m, &err), WEIR_INVALID);
    m.slots = 64;
    assert_added(t, &m);
    m = settings_of("a", "/a");
    m.priority = 5;
    assert_int_equal(add(t, &m, &err), WEIR_INVALID);
    m.priority = 2;
    m.capabilities = 1u << WEIR_CAPABILITY_COUNT;
    assert_int_equal(add(t, &m, &err), WEIR_INVALID);
    test_close(t);
}

/* F154, F156: the key is what was registered, to the letter; its @revision belongs to it. */
static void keys_are_exact(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *one = add_files(t, "/1"), *two = add_files(t, "/2");
    char name[] = "org/m@v1", path[] = "/1";
    const struct model_settings first = settings_of(name, path);
    const struct model_settings second = settings_of("org/m", "/2");
    assert_added(t, &first);
    memset(name, 'x', strlen(name)); /* strings are copied */
    memset(path, 'x', strlen(path));
    assert_added(t, &second);
    test_submit(t, "org/m@v1", "e", 0);
    test_submit(t, "org/m", "e", 0);
    test_submit(t, "org/m", "e", 0);
    assert_int_equal(test_submit(t, "org/m@v2", "e", 0)->error.code, WEIR_NO_SUCH_MODEL);
    assert_int_equal(test_submit(t, "ORG/m", "e", 0)->error.code, WEIR_NO_SUCH_MODEL);
    test_run_until(t, 5 * SECOND);
    assert_int_equal(one->runs, 1);
    assert_int_equal(two->runs, 2);
    assert_status_says(t, "\"revision\":\"v1\"", true);
    test_close(t);
}

/* F155: what its files lack is said with its cause; F151: it is listed before anybody asked. */
static void capabilities_narrow_what_the_files_can(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    add_files(t, "/a");
    struct model_settings m = settings_of("narrow", "/a");
    m.capabilities = 1u << WEIR_TEXT_TO_TEXT;
    assert_added(t, &m);
    m = settings_of("wide", "/a");
    m.capabilities = 1u << WEIR_TEXT_EMBEDDING | 1u << WEIR_VISION;
    assert_added(t, &m);
    assert_status_says(t, "\"name\":\"wide\"", true);
    const struct test_request *early = test_submit(t, "wide", "e", 0);
    test_run_until(t, SECOND);
    assert_ended(early, WEIR_LOAD_FAILED);
    assert_says(early->error.text, "'wide' is configured for vision");
    const struct test_request *r = test_submit(t, "narrow", "e", 0); /* an embedding */
    assert_int_equal(r->error.code, WEIR_INVALID);
    assert_int_equal(test_submit(t, "wide", "e", 0)->error.code, WEIR_LOAD_FAILED);
    assert_status_says(t, "\"capabilities\":[\"text_to_text\"]", true);
    assert_status_says(t, "configured for vision", true);
    test_close(t);
}

/* The same settings again change nothing; soft ones change in place. */
static void a_replacement_that_is_no_other_touches_no_worker(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *files = add_files(t, "/m");
    struct model_settings m = settings_of("m", "/m");
    m.context = 100000; /* bounded by its plan, and yet the same */
    m.replace = true;
    assert_added(t, &m);
    test_submit(t, "m", "e", 0);
    test_run_until(t, 5 * SECOND);
    assert_int_equal(test_workers(&t->world, files), 2);
    t->told[0] = '\0';
    assert_added(t, &m);
    test_run_until(t, 6 * SECOND);
    assert_string_equal(t->told, "");
    static const char *const alias[] = { "other" };
    m.aliases = alias;
    m.aliases_count = 1;
    m.idle_ms = 2 * MINUTE;
    m.pin = true;
    assert_added(t, &m);
    test_run_until(t, 7 * SECOND);
    assert_string_equal(t->told, "changed m, ");
    assert_int_equal(test_workers(&t->world, files), 2);
    test_run_until(t, MINUTE + 30 * SECOND);
    assert_int_equal(test_workers(&t->world, files), 2);
    test_run_until(t, 10 * MINUTE);
    assert_int_equal(test_workers(&t->world, files), 1);
    assert_status_says(t, "\"pinned\":true", true);
    const struct test_request *r = test_submit(t, "other", "e", 0);
    test_run_until(t, 11 * MINUTE);
    assert_ended(r, WEIR_OK);
    m.aliases_count = 0;
    assert_added(t, &m);
    assert_int_equal(test_submit(t, "other", "e", 0)->error.code, WEIR_NO_SUCH_MODEL);
    assert_int_equal(files->spawns, 2);
    assert_int_equal(files->inspections, 1);
    test_close(t);
}

/* A pin of an operator outlives a reload of settings that say nothing new about it. */
static void a_reload_keeps_an_operators_pin(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    add_files(t, "/m");
    struct model_settings m = settings_of("m", "/m");
    m.replace = true;
    assert_added(t, &m);
    assert_int_equal(supervisor_pin(t->supervisor, "m", true, NULL), WEIR_OK);
    m.idle_ms = 2 * MINUTE;
    assert_added(t, &m);
    assert_status_says(t, "\"pinned\":true", true);
    m.pin = true;
    assert_added(t, &m);
    m.pin = false;
    assert_added(t, &m);
    assert_status_says(t, "\"pinned\":true", false);
    test_close(t);
}

static void surplus_workers_leave_when_they_are_idle(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *files = add_files(t, "/m");
    struct model_settings m = settings_of("m", "/m");
    m.replace = true;
    assert_added(t, &m);
    const struct test_request *first = test_submit(t, "m", "r", 0);
    test_run_until(t, 2 * SECOND);
    const struct test_request *second = test_submit(t, "m", "r", 0);
    test_run_until(t, 4 * SECOND);
    assert_int_equal(test_workers(&t->world, files), 2);
    m.max_workers = 1;
    assert_added(t, &m);
    for (int i = 0; i < 5; i++) /* a queue does not keep it */
        test_submit(t, "m", "e", 0);
    test_run_until(t, 10 * SECOND);
    assert_int_equal(test_workers(&t->world, files), 2);
    assert_false(first->ended || second->ended);
    test_finish_jobs(&t->world);
    test_run_until(t, 10 * SECOND + 50);
    assert_ended(first, WEIR_OK);
    assert_ended(second, WEIR_OK);
    assert_int_equal(test_workers(&t->world, files), 1);
    test_run_until(t, 20 * SECOND);
    for (size_t i = 2; i < t->count; i++)
        assert_ended(&t->requests[i], WEIR_OK);
    assert_int_equal(files->spawns, 2);
    test_close(t);
}

/* The old entry serves all that it has accepted, also what still waits, with its own files. */
static void a_replaced_model_serves_what_it_has_accepted(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *old = add_files(t, "/old"), *new = add_files(t, "/new");
    struct model_settings m = settings_of("m", "/old");
    m.max_workers = m.min_workers = 1;
    assert_added(t, &m);
    for (int i = 0; i < 3; i++)
        test_submit(t, "m", i == 0 ? "r" : "e", 0);
    test_run_until(t, 5 * SECOND);
    m.path = "/new";
    m.replace = true;
    t->told[0] = '\0';
    assert_added(t, &m);
    const struct test_request *fresh = test_submit(t, "m", "e", 0);
    test_run_until(t, 10 * SECOND);
    assert_ended(fresh, WEIR_OK);
    assert_int_equal(new->runs, 1);
    assert_status_says(t, "\"draining\":true", true);
    assert_int_equal(test_workers(&t->world, old), 1);
    test_finish_jobs(&t->world);
    test_run_until(t, 20 * SECOND);
    for (int i = 0; i < 3; i++)
        assert_ended(&t->requests[i], WEIR_OK);
    assert_int_equal(old->runs, 3);
    assert_int_equal(test_workers(&t->world, old), 0);
    assert_int_equal(test_workers(&t->world, new), 1);
    assert_says(t->told, "unregistered m, ");
    assert_status_says(t, "\"draining\":true", false);
    test_close(t);
}

/* It has accepted requests and no worker yet, not even a plan: it gets both. */
static void a_model_may_lose_its_name_before_it_was_loaded(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *one = add_files(t, "/1"), *two = add_files(t, "/2");
    struct model_settings m = settings_of("m", "/1");
    m.replace = true;
    assert_added(t, &m);
    const struct test_request *a = test_submit(t, "m", "e", 0);
    m.slots = 2; /* a worker of two slots is another worker */
    assert_added(t, &m);
    const struct test_request *b = test_submit(t, "m", "e", 0);
    m.path = "/2";
    assert_added(t, &m);
    const struct test_request *c = test_submit(t, "m", "e", 0);
    test_run_until(t, 10 * SECOND);
    assert_ended(a, WEIR_OK);
    assert_ended(b, WEIR_OK);
    assert_ended(c, WEIR_OK);
    assert_int_equal(one->runs, 2);
    assert_int_equal(two->runs, 1);
    assert_int_equal(test_workers(&t->world, one), 0);
    test_close(t);
}

/* F051, F153: it drains, its memory comes back, an event says so; the name is free at once. */
static void an_unregistered_name_is_free_at_once(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *files = add_files(t, "/m");
    static const char *const alias[] = { "other" };
    struct model_settings m = settings_of("m", "/m");
    m.aliases = alias;
    m.aliases_count = 1;
    m.pin = true;
    m.min_workers = 2;
    assert_added(t, &m);
    const struct test_request *before = test_submit(t, "m", "r", 0);
    test_run_until(t, 5 * SECOND);
    t->told[0] = '\0';
    assert_int_equal(supervisor_unregister(t->supervisor, "m", NULL), WEIR_OK);
    assert_int_equal(supervisor_unregister(t->supervisor, "m", NULL), WEIR_NO_SUCH_MODEL);
    assert_int_equal(test_submit(t, "other", "e", 0)->error.code, WEIR_NO_SUCH_MODEL);
    m.pin = false;
    m.min_workers = 0;
    assert_added(t, &m);
    const struct test_request *after = test_submit(t, "other", "e", 0);
    test_run_until(t, 10 * SECOND);
    assert_ended(after, WEIR_OK);
    assert_false(before->ended);
    assert_null(strstr(t->told, "unregistered"));
    test_finish_jobs(&t->world);
    test_run_until(t, 10 * SECOND + 10); /* before the grave is gone */
    assert_ended(before, WEIR_OK);
    assert_says(t->told, "unregistered m, ");
    test_run_until(t, 5 * MINUTE);
    assert_null(strstr(strstr(t->told, "unregistered") + 1, "unregistered")); /* once */
    assert_int_equal(test_workers(&t->world, files), 0);
    assert_int_equal(test_totals(t).leased_bytes, 0);
    test_close(t);
}

static void an_unload_ends_with_an_event(void **state)
{
    (void)state;
    struct test_pool *t = test_open(1000, NULL);
    struct test_model *files = add_files(t, "/m");
    const struct model_settings m = settings_of("m", "/m");
    assert_added(t, &m);
    const struct test_request *r = test_submit(t, "m", "r", 0);
    test_run_until(t, 5 * SECOND);
    t->told[0] = '\0';
    assert_int_equal(supervisor_unload(t->supervisor, "m", NULL), WEIR_OK);
    const struct test_request *next = test_submit(t, "m", "e", 0);
    test_run_until(t, 8 * SECOND); /* a new worker is there before the old one has left */
    assert_ended(next, WEIR_OK);
    assert_null(strstr(t->told, "unloaded"));
    test_finish_jobs(&t->world);
    test_run_until(t, 8 * SECOND + 10);
    assert_ended(r, WEIR_OK);
    assert_says(t->told, "unloaded m, ");
    assert_true(test_workers(&t->world, files) > 0);
    test_run_until(t, 10 * MINUTE);
    t->told[0] = '\0';
    assert_int_equal(supervisor_unload(t->supervisor, "m", NULL), WEIR_OK);
    test_run_until(t, 10 * MINUTE + 1);
    assert_string_equal(t->told, "unloaded m, ");
    assert_int_equal(supervisor_unload(t->supervisor, "x", NULL), WEIR_NO_SUCH_MODEL);
    assert_int_equal(supervisor_pin(t->supervisor, "x", true, NULL), WEIR_NO_SUCH_MODEL);
    test_close(t);
}

static uint32_t draw(uint64_t *seed, uint32_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33) % below;
}

static void do_something(struct test_pool *t, uint64_t *seed)
{
    static const char *const names[] = { "a", "b", "c", "d@1" };
    static const char *const paths[] = { "/1", "/2" };
    static const char payloads[][2] = { "e", "r", "s", "k", "f" };
    const char *const aliases[] = { names[draw(seed, 4)] };
    const char *name = names[draw(seed, 4)];
    struct model_settings m = settings_of(name, paths[draw(seed, 2)]);
    supervisor_clock(t->supervisor, t->world.now_ms);
    switch (draw(seed, 10)) {
    case 0:
    case 1:
    case 2:
        m.replace = draw(seed, 4) > 0;
        m.max_workers = 1 + draw(seed, 3);
        m.min_workers = draw(seed, m.max_workers + 1);
        m.slots = 1 + draw(seed, 2);
        m.pin = draw(seed, 2) > 0;
        m.preload = draw(seed, 2) > 0;
        m.capabilities = draw(seed, 8) == 0 ? 1u << WEIR_VISION : 0;
        m.aliases = aliases;
        m.aliases_count = draw(seed, 2);
        supervisor_register(t->supervisor, &m, NULL);
        break;
    case 3: supervisor_unregister(t->supervisor, name, NULL); break;
    case 4: supervisor_unload(t->supervisor, name, NULL); break;
    case 5: supervisor_pin(t->supervisor, name, draw(seed, 2) > 0, NULL); break;
    case 6: test_finish_jobs(&t->world); break;
    case 7:
        if (t->count > 0)
            supervisor_cancel(t->supervisor, t->requests[draw(seed, (uint32_t)t->count)].id);
        break;
    default:
        t->next.keep_alive_ms = (int64_t)draw(seed, 5) - 2;
        test_submit(t, name, payloads[draw(seed, 5)], 1 + draw(seed, 60000));
        break;
    }
}

static bool has_ids_left(const struct test_pool *t)
{
    for (uint32_t id = 60; id < TEST_PROCESSES; id++)
        if (t->world.processes[id].hello_ms != 0)
            return false;
    return true;
}

/* F038, F048, F049: whatever an operator does, and whenever, a checked build finds every invariant
 * of the pool kept; every request gets its end and every byte comes back. */
static void any_order_of_operations(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int round = 0; round < 300; round++) {
        struct test_pool *t = test_open(draw(&seed, 2) > 0 ? 1000 : 250, NULL);
        add_files(t, "/1");
        add_files(t, "/2");
        for (int i = 0; i < 60 && has_ids_left(t); i++) {
            do_something(t, &seed);
            test_run_until(t, t->world.now_ms + draw(&seed, 4) * draw(&seed, 700));
        }
        test_close(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_leads_to_one_model),
        cmocka_unit_test(names_have_a_form),
        cmocka_unit_test(keys_are_exact),
        cmocka_unit_test(capabilities_narrow_what_the_files_can),
        cmocka_unit_test(a_replacement_that_is_no_other_touches_no_worker),
        cmocka_unit_test(a_reload_keeps_an_operators_pin),
        cmocka_unit_test(surplus_workers_leave_when_they_are_idle),
        cmocka_unit_test(a_replaced_model_serves_what_it_has_accepted),
        cmocka_unit_test(a_model_may_lose_its_name_before_it_was_loaded),
        cmocka_unit_test(an_unregistered_name_is_free_at_once),
        cmocka_unit_test(an_unload_ends_with_an_event),
        cmocka_unit_test(any_order_of_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
