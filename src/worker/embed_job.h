/* embed_job.h — one request for embeddings, from its payload to its answer.
 *
 * It owns the token ids of all its inputs and the rows of its answer; who computes them gives the
 * rows in any order. */
#ifndef WORKER_EMBED_JOB_H
#define WORKER_EMBED_JOB_H

#include "base/arena.h"
#include "text/tokenizer.h"
#include "wire/text_embedding.h"
#include "worker/control.h"

#include <stddef.h>
#include <stdint.h>

struct encoder;

/* What of the model a request is judged by. */
struct embed_limits {
    const struct encoder *encoder; /* for its prompts */
    const struct tokenizer *tokenizer;
    uint32_t tokens_max, vocab, dim;
};

struct embed_job {
    struct worker_job job;
    struct arena arena;
    struct text_embedding_request request;
    struct str prompt;    /* what stands before each text; borrowed from the encoder */
    bool has_prompt;      /* the request named it, so that every input must be a text */
    struct buffer text;   /* prompt and text, one input at a time */
    struct tokens tokens; /* of input i: starts[i] … starts[i + 1] - 1 */
    size_t *starts;
    uint32_t *counts;
    uint32_t *skips; /* leading tokens of the input that pooling leaves out */
    uint32_t skip;   /* the prompt's own, for each text; `lead` of them are special tokens */
    uint32_t lead;
    uint32_t *truncated;
    uint32_t truncated_count;
    uint32_t dim;   /* of the model */
    float *vectors; /* request.count x dim */
    size_t next;    /* inputs that were given to a batch */
    size_t done;    /* rows that came back */
};

/* Reads, checks and tokenizes. On failure the job is as after embed_job_finish. */
enum weir_code embed_job_begin(struct embed_job *j, struct control *c,
                               const struct embed_limits *limits, const struct worker_job *job,
                               struct weir_error *err);
void embed_job_finish(struct embed_job *j);

void embed_job_row(struct embed_job *j, size_t input, const float *vector);
/* Sends the answer; every row has come. */
enum weir_code embed_job_answer(struct embed_job *j, struct control *c, struct weir_error *err);

#endif
