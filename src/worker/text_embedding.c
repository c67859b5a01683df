#include "worker/text_embedding.h"

#include "base/check.h"
#include "base/mem.h"
#include "model/model.h"
#include "worker/embed_job.h"
#include "worker/refuse.h"
#include "worker/tokenize.h"

/* Inputs of one batch, which is full at ENCODER_BATCH_TOKENS too; one input that is longer is a
 * batch of its own. */
#define BATCH_ROWS 512

struct server {
    struct control *control;
    struct encoder *encoder;
    struct embed_limits limits;
    struct embed_job jobs[CONTROL_SLOTS];
    size_t held, slots;
    size_t first; /* whose turn it is to open the next batch */

    /* The batch: row r is input inputs[r] of jobs[owners[r]]. */
    struct sequence sequences[BATCH_ROWS];
    size_t owners[BATCH_ROWS], inputs[BATCH_ROWS];
    size_t rows, tokens;
    float *vectors; /* BATCH_ROWS x dim */
};

static void admit(struct server *s, const struct worker_job *job)
{
    struct weir_error err;
    struct embed_job *j = &s->jobs[s->held];
    const bool is_tokens = job->operation == WEIR_TOKENIZE || job->operation == WEIR_DETOKENIZE;
    if (job->capability == WEIR_TEXT_EMBEDDING && is_tokens) {
        tokenize_run(s->control, s->limits.tokenizer, job);
        return;
    }
    enum weir_code code;
    if (job->capability == WEIR_TEXT_EMBEDDING && job->operation == WEIR_EMBED)
        code = embed_job_begin(j, s->control, &s->limits, job, &err);
    else
        code = refuse_operation(job->capability, job->operation, &err);
    if (code == WEIR_OK)
        s->held++;
    else
        control_end(s->control, job, &err, NULL);
}

static void admit_jobs(struct server *s)
{
    struct worker_job job;
    while (s->held < s->slots && control_take(s->control, &job, 1) == 1)
        admit(s, &job);
}

/* Ends the job; the last one takes its place. */
static void end(struct server *s, size_t index, const struct weir_error *err)
{
    struct embed_job *j = &s->jobs[index];
    const struct control_usage usage = { .input_tokens = j->tokens.count };
    control_end(s->control, &j->job, err, err ? NULL : &usage);
    embed_job_finish(j);
    *j = s->jobs[--s->held];
}

/* Answers what is done, drops what was cancelled. From the last on, since `end` moves the last. */
static void settle_jobs(struct server *s)
{
    struct weir_error err;
    for (size_t i = s->held; i-- > 0;) {
        struct embed_job *j = &s->jobs[i];
        if (control_cancelled(s->control, &j->job)) {
            refuse_cancelled(&err);
            end(s, i, &err);
        } else if (j->done == j->request.count) {
            const enum weir_code code = embed_job_answer(j, s->control, &err);
            end(s, i, code == WEIR_OK ? NULL : &err);
        }
    }
}

static bool add_next(struct server *s, size_t owner)
{
    struct embed_job *j = &s->jobs[owner];
    if (j->next == j->request.count || s->rows == BATCH_ROWS)
        return false;
    const size_t count = j->counts[j->next];
    if (s->rows > 0 && s->tokens + count > ENCODER_BATCH_TOKENS)
        return false;
    s->sequences[s->rows] =
        (struct sequence){ .ids = j->tokens.ids + j->starts[j->next],
                           .count = count,
                           .skip = j->skips[j->next],
                           .keeps_length = j->request.normalize == WIRE_NORMALIZE_NO };
    s->owners[s->rows] = owner;
    s->inputs[s->rows] = j->next++;
    s->tokens += count;
    s->rows++;
    return true;
}

/* One input of each job in turn, round and round, until nothing more fits. */
static void fill_batch(struct server *s)
{
    s->rows = s->tokens = 0;
    bool added = s->held > 0;
    s->first++;
    while (added) {
        added = false;
        for (size_t i = 0; i < s->held; i++)
            added |= add_next(s, (s->first + i) % s->held);
    }
}

/* Something in the batch fails it: each row alone shows which, and the others get their vectors.
 * A job with a failed row ends after the last row, so that owners stay what they are. */
static void run_rows_alone(struct server *s)
{
    struct weir_error errors[CONTROL_SLOTS];
    bool failed[CONTROL_SLOTS] = { false };
    for (size_t r = 0; r < s->rows; r++) {
        const size_t owner = s->owners[r];
        struct embed_job *j = &s->jobs[owner];
        if (failed[owner] || control_cancelled(s->control, &j->job))
            continue;
        struct weir_error *err = &errors[owner];
        if (encoder_embed(s->encoder, &s->sequences[r], 1, s->vectors, err) == WEIR_OK) {
            embed_job_row(j, s->inputs[r], s->vectors);
        } else {
            err->index = (int32_t)s->inputs[r];
            failed[owner] = true;
        }
        control_tick(s->control);
    }
    for (size_t i = s->held; i-- > 0;) {
        if (failed[i])
            end(s, i, &errors[i]);
    }
}

static void run_batch(struct server *s)
{
    struct weir_error err;
    fill_batch(s);
    if (s->rows == 0)
        return;
    if (encoder_embed(s->encoder, s->sequences, s->rows, s->vectors, &err) != WEIR_OK) {
        run_rows_alone(s);
        return;
    }
    for (size_t r = 0; r < s->rows; r++)
        embed_job_row(&s->jobs[s->owners[r]], s->inputs[r], s->vectors + r * s->limits.dim);
    control_tick(s->control);
}

void text_embedding_serve(struct control *c, struct encoder *e, uint32_t slots)
{
    const struct model_info *info = encoder_info(e);
    struct server *s = mem_new(1, sizeof(*s));
    s->control = c;
    s->encoder = e;
    s->slots = slots;
    s->limits = (struct embed_limits){ .encoder = e,
                                       .tokenizer = encoder_tokenizer(e),
                                       .tokens_max = info->tokens_max,
                                       .vocab = info->vocab,
                                       .dim = info->dim };
    s->vectors = mem_new((size_t)BATCH_ROWS * info->dim, sizeof(*s->vectors));
    CHECK(slots <= CONTROL_SLOTS && info->tokens_max <= encoder_batch_tokens(e));
    /* With work at hand it only looks whether something came. */
    while (control_wait(c, s->held > 0 ? 0 : CONTROL_FOREVER)) {
        admit_jobs(s);
        settle_jobs(s);
        run_batch(s);
        settle_jobs(s);
    }
    mem_free(s->vectors);
    mem_free(s);
}
