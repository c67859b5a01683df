/* test_told.h — for the tests beside it: what the pool says besides its workers' states. */
#ifndef SUPERVISOR_TEST_TOLD_H
#define SUPERVISOR_TEST_TOLD_H

#include "base/check.h"
#include "supervisor/supervisor.h"
#include "wire/message.h"

#include <stdio.h>
#include <string.h>

struct test_told {
    char news[8192];            /* decisions and what else happened, "kind model: reason" a line */
    struct learned learned[16]; /* what was to be kept, in order */
    size_t learned_count;
    char inspected[1000]; /* what inspectors said, "path stamp architecture or problem, " */
};

static inline void test_hear(struct test_told *told, const struct pool_event *e)
{
    const size_t used = strlen(told->news);
    if (strcmp(e->kind, "state") != 0)
        snprintf(told->news + used, sizeof told->news - used, "%s %s: %s\n", e->kind,
                 e->model != NULL ? e->model : "-", e->reason != NULL ? e->reason : "");
}

static inline void test_on_learned(void *context, const struct learned *row)
{
    struct test_told *told = context;
    CHECK(told->learned_count < sizeof told->learned / sizeof told->learned[0]);
    told->learned[told->learned_count++] = *row;
}

static inline void test_on_inspected(void *context, const struct inspected *what)
{
    struct test_told *told = context;
    const size_t used = strlen(told->inspected);
    const bool good = what->answer->error.code == WEIR_OK;
    snprintf(told->inspected + used, sizeof told->inspected - used, "%s %u %s, ", what->path,
             (unsigned)what->stamp,
             good ? what->answer->plan.architecture : what->answer->error.text);
}

#endif
