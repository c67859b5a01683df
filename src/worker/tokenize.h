/* tokenize.h — the operations tokenize and detokenize, for every worker with a tokenizer.
 *
 * One call answers and ends one job. Texts may be of any length: no limit of the model applies. */
#ifndef WORKER_TOKENIZE_H
#define WORKER_TOKENIZE_H

#include "worker/control.h"

struct tokenizer;

/* The job's operation is WEIR_TOKENIZE or WEIR_DETOKENIZE. */
void tokenize_run(struct control *c, const struct tokenizer *t, const struct worker_job *job);

#endif
