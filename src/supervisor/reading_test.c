/* reading_test.c — what one reading of memory means: what a worker uses, whether it thrashes, and
 * whether too much is leased. The pool stands still; only the figures change. */
#include "supervisor/test_still.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)

/* A worker that has been READY for half an hour on a machine with these figures. */
struct figures {
    struct test_still *t;
    struct child *child;
    struct world world;
    uint64_t total, available, private_bytes, faults;
};

static void tell_memory(void *context, struct memory_facts *facts)
{
    const struct figures *f = context;
    facts->total_bytes = f->total;
    facts->available_bytes = f->available;
    for (size_t i = 0; i < facts->children_count; i++) {
        assert_int_equal(facts->children[i].id, f->child->id);
        facts->children[i].private_bytes = f->private_bytes;
        facts->children[i].major_faults = f->faults;
    }
}

static struct figures *figures_open(void)
{
    struct figures *f = mem_new(1, sizeof *f);
    f->t = still_open();
    f->child = still_child(f->t, still_model(f->t, 100), READY, 0);
    f->child->hello = true;
    f->total = f->available = 10 * GiB;
    f->world = (struct world){ .context = f, .memory = tell_memory };
    f->t->s->world = &f->world;
    f->t->s->options.memory_bytes = GiB;
    memory_read(f->t->s);
    return f;
}

static void figures_close(struct figures *f)
{
    still_close(f->t);
    mem_free(f);
}

/* So many ms later it has had so many more faults. */
static void read_after(struct figures *f, int64_t ms, uint64_t faults)
{
    f->t->s->now_ms += ms;
    f->faults += faults;
    memory_read(f->t->s);
}

/* What any process grows by is not the model's, and what it had at its hello neither. */
static void a_use_is_what_is_beyond_the_bare_process(void **state)
{
    (void)state;
    struct figures *f = figures_open();
    f->private_bytes = 5 * MiB;
    memory_bare(f->t->s, f->child);
    assert_int_equal(f->child->bare_bytes, 5 * MiB);
    f->private_bytes = 6 * MiB;
    memory_read(f->t->s);
    assert_int_equal(f->child->measured_bytes, 0);
    f->private_bytes++;
    memory_read(f->t->s);
    assert_int_equal(f->child->measured_bytes, MiB + 1);
    assert_int_equal(f->child->lease.context_bytes, MiB + 1);
    f->private_bytes = 4 * MiB;
    memory_read(f->t->s);
    assert_int_equal(f->child->measured_bytes, 0);
    assert_int_equal(f->child->lease.context_bytes, MiB + 1);
    figures_close(f);
}

/* Nobody asks after a process that is gone, or that has not said who it is. */
static void only_who_is_there_is_read(void **state)
{
    (void)state;
    struct figures *f = figures_open();
    f->private_bytes = 5 * MiB;
    f->child->exited = true;
    memory_read(f->t->s);
    f->child->exited = false, f->child->hello = false;
    memory_read(f->t->s);
    f->child->hello = true, f->child->state = DEAD;
    memory_read(f->t->s);
    assert_int_equal(f->child->measured_bytes, 0);
    f->child->state = IDLE;
    memory_read(f->t->s);
    assert_int_equal(f->child->measured_bytes, 5 * MiB);
    figures_close(f);
}

/* More than fifty a second over a whole period; readings in between neither count nor hide. */
static void faults_count_by_whole_periods(void **state)
{
    (void)state;
    struct figures *f = figures_open();
    const struct supervisor *s = f->t->s;
    read_after(f, 5 * SECOND, 250);
    assert_int_equal(memory_pressure(s), PRESSURE_LOW);
    read_after(f, 5 * SECOND, 251);
    assert_int_equal(memory_pressure(s), PRESSURE_HIGH);
    read_after(f, 5 * SECOND - 1, 0); /* so it stays until the period is over */
    assert_int_equal(memory_pressure(s), PRESSURE_HIGH);
    read_after(f, 1, 0);
    assert_int_equal(memory_pressure(s), PRESSURE_LOW);
    read_after(f, SECOND, 251); /* not for one second, but for five */
    assert_int_equal(memory_pressure(s), PRESSURE_LOW);
    read_after(f, 4 * SECOND, 0);
    assert_int_equal(memory_pressure(s), PRESSURE_HIGH);
    read_after(f, 10 * SECOND, 500); /* a late reading */
    assert_int_equal(memory_pressure(s), PRESSURE_LOW);
    read_after(f, 10 * SECOND, 501);
    assert_int_equal(memory_pressure(s), PRESSURE_HIGH);
    figures_close(f);
}

/* It is about the weights, which are read from disk once in any case. */
static void faults_of_a_load_do_not_count(void **state)
{
    (void)state;
    struct figures *f = figures_open();
    const struct supervisor *s = f->t->s;
    f->child->state = LOADING;
    f->child->ready_ms = 0;
    read_after(f, 5 * SECOND, 100000);
    read_after(f, 5 * SECOND, 100000);
    assert_int_equal(memory_pressure(s), PRESSURE_LOW);
    f->child->state = READY;
    f->child->ready_ms = s->now_ms;
    read_after(f, 5 * SECOND - 1, 100000);
    assert_int_equal(memory_pressure(s), PRESSURE_LOW);
    read_after(f, 1, 0); /* a period of its own began there */
    assert_int_equal(memory_pressure(s), PRESSURE_LOW);
    read_after(f, 5 * SECOND - 1, 251);
    assert_int_equal(memory_pressure(s), PRESSURE_HIGH);
    f->faults = 0; /* its counter began anew */
    read_after(f, 5 * SECOND, 0);
    assert_int_equal(memory_pressure(s), PRESSURE_LOW);
    read_after(f, 5 * SECOND, 251);
    assert_int_equal(memory_pressure(s), PRESSURE_HIGH);
    figures_close(f);
}

/* Thrashing makes low pressure high, and takes nothing from what is worse. */
static void thrashing_counts_as_high_and_no_more(void **state)
{
    (void)state;
    struct figures *f = figures_open();
    read_after(f, 5 * SECOND, 10000);
    f->available = 4 * GiB;
    memory_read(f->t->s);
    assert_int_equal(memory_pressure(f->t->s), PRESSURE_HIGH);
    f->available = 1 * GiB;
    memory_read(f->t->s);
    assert_int_equal(memory_pressure(f->t->s), PRESSURE_CRITICAL);
    figures_close(f);
}

/* To the byte: what is leased may be all of the budget. Nobody looks without a reason to. */
static void a_surplus_is_news(void **state)
{
    (void)state;
    struct figures *f = figures_open();
    struct supervisor *s = f->t->s;
    lease_move(s, &f->child->lease, LEASE_MEASURED, GiB - 100 * MiB);
    s->dirty = false;
    memory_read(s);
    assert_false(s->dirty);
    f->available = 1536 * MiB; /* exactly what has to be */
    memory_read(s);
    assert_int_equal(s->withheld_bytes, 0);
    f->available -= 1 * MiB;
    memory_read(s);
    assert_int_equal(s->withheld_bytes, 1 * MiB);
    assert_true(s->dirty);
    s->dirty = false;
    memory_read_machine(s); /* the same as before */
    assert_false(s->dirty);
    f->total = 1 * GiB; /* a limit was set: the ceiling is less than was asked for */
    memory_read_machine(s);
    assert_int_equal(s->budget_bytes, GiB - GOVERNOR_RESERVE_BYTES);
    assert_int_equal(s->withheld_bytes, 1 * MiB); /* of the last full reading */
    assert_true(s->dirty);
    figures_close(f);
}

static void count_rows(void *context, struct memory_facts *facts)
{
    *(size_t *)context = facts->children_count;
    facts->total_bytes = facts->available_bytes = 10 * GiB;
}

static void each_worker_is_read_once(void **state)
{
    (void)state;
    struct test_still *t = still_open();
    struct model *m = still_model(t, 100);
    size_t rows = 0;
    const struct world world = { .context = &rows, .memory = count_rows };
    t->s->world = &world;
    for (size_t i = 1; i <= ARRAY_COUNT(t->children); i++) {
        still_child(t, m, READY, 10)->hello = true;
        memory_read(t->s);
        assert_int_equal(rows, i);
    }
    still_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_use_is_what_is_beyond_the_bare_process),
        cmocka_unit_test(only_who_is_there_is_read),
        cmocka_unit_test(faults_count_by_whole_periods),
        cmocka_unit_test(faults_of_a_load_do_not_count),
        cmocka_unit_test(thrashing_counts_as_high_and_no_more),
        cmocka_unit_test(a_surplus_is_news),
        cmocka_unit_test(each_worker_is_read_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
