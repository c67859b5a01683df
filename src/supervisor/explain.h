/* explain.h — decisions on memory in words: where the budget comes from, what a verdict means.
 *
 * Every sentence has the numbers that it was decided on. supervisor_plan, which foresees a decision
 * without making it, is here too. */
#ifndef SUPERVISOR_EXPLAIN_H
#define SUPERVISOR_EXPLAIN_H

#include "base/error.h"
#include "supervisor/governor.h"

struct model;
struct supervisor;

struct budget_text {
    char text[96];
};
/* "as configured", "30 % of 24.0 GiB", "80 % of 24.0 GiB less 2 GiB". Returns out->text. */
const char *explain_budget(const struct supervisor *s, struct budget_text *out);

struct verdict_text {
    char text[400];
};
/* A sentence on what is decided for one more worker of the model. Returns out->text. */
const char *explain_verdict(const struct supervisor *s, const struct model *m,
                            const struct claim *claim, const struct judgement *j,
                            struct verdict_text *out);

/* What a claim was made smaller to: "4 slots and 8192 tokens …". */
void explain_shrunk(const struct supervisor *s, const struct model *m, const struct claim *claim,
                    uint32_t slots_wanted, uint32_t context_wanted, char *out, size_t room);

/* The error of a claim that can never be granted. */
void explain_refusal(const struct supervisor *s, const struct model *m, const struct claim *claim,
                     uint64_t pinned_bytes, struct weir_error *err);

#endif
