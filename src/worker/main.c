#include "base/mem.h"
#include "model/model.h"
#include "tensor/team.h"
#include "worker/doctor.h"
#include "worker/limits.h"
#include "worker/text_embedding.h"
#include "worker/worker.h"

#include <string.h>

struct loaded {
    struct team *team;
    struct encoder *encoder;
    uint32_t slots;
};

static struct plan plan_of(const struct model_info *info)
{
    struct plan plan = { .capabilities = info->capabilities,
                         .weights_bytes = info->weights_bytes,
                         .fixed_bytes = info->fixed_bytes,
                         .per_slot_bytes = info->per_slot_bytes,
                         .per_token_bytes = info->per_token_bytes,
                         .scratch_per_thread_bytes = info->scratch_per_thread_bytes,
                         .flops_per_token = info->flops_per_token,
                         .positions = info->positions,
                         .tokens_max = info->tokens_max,
                         .dim = info->dim,
                         .slots = info->slots,
                         .default_prompt = info->default_prompt };
    _Static_assert((int)PLAN_PRECISIONS == (int)PRECISION_COUNT &&
                       (int)PLAN_BF16 == (int)PRECISION_BF16,
                   "precisions have the same numbers on the wire and in the kernels");
    for (size_t i = 0; i < PRECISION_COUNT; i++)
        plan.packed_bytes[i] = info->packed_bytes[i];
    _Static_assert(sizeof(plan.architecture) == sizeof(info->architecture) &&
                       sizeof(plan.digest) == sizeof(info->digest) &&
                       sizeof(plan.prompts) == sizeof(info->prompts),
                   "a plan repeats what the model says of itself");
    memcpy(plan.architecture, info->architecture, sizeof(plan.architecture));
    memcpy(plan.digest, info->digest, sizeof(plan.digest));
    memcpy(plan.prompts, info->prompts, sizeof(plan.prompts));
    return plan;
}

static enum weir_code inspect(const char *path, uint32_t context, struct plan *out,
                              struct weir_error *err)
{
    struct model_info info;
    const enum weir_code code =
        model_inspect(path, &(struct model_settings){ .context = context }, &info, err);
    if (code == WEIR_OK)
        *out = plan_of(&info);
    return code;
}

/* What it has read of the model is what it goes on with when it is told to load. */
static enum weir_code plan(struct worker *w, struct plan *out, struct weir_error *err)
{
    struct loaded *l = mem_new(1, sizeof(*l));
    w->state = l;
    const enum weir_code code = encoder_open(w->path, &l->encoder, err);
    if (code == WEIR_OK)
        *out = plan_of(encoder_info(l->encoder));
    return code;
}

static void tick(void *context)
{
    control_tick(context);
}

static enum weir_code prepare(const struct worker_preparation *p, struct weir_error *err)
{
    const struct model_settings settings = { .context = p->context,
                                             .precision = (enum precision)p->precision,
                                             .cache = p->cache };
    return model_prepare(p->path, &settings, p->tick, p->tick_context, err);
}

static enum weir_code load(struct worker *w, const struct message_load *m, struct weir_error *err)
{
    const uint32_t threads = m->threads > 0 ? m->threads : 1;
    const struct model_settings settings = { .context = m->context,
                                             .precision = (enum precision)m->precision,
                                             .cache = m->cache.data };
    struct loaded *l = w->state;
    l->slots = m->slots;
    l->team = team_create(threads, control_share(w->control, threads));
    return encoder_complete(l->encoder, &settings, l->team, tick, w->control, err);
}

static void serve(struct worker *w)
{
    const struct loaded *l = w->state;
    text_embedding_serve(w->control, l->encoder, l->slots);
}

static void finish(struct worker *w)
{
    struct loaded *l = w->state;
    if (!l)
        return;
    encoder_destroy(l->encoder);
    team_destroy(l->team);
    mem_free(l);
}

static const struct worker_ops ops = {
    .name = "weir-worker",
    .loading = CONFINE_LOAD,
    .inspect = inspect,
    .prepare = prepare,
    .plan = plan,
    .load = load,
    .serve = serve,
    .finish = finish,
};

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--limits") == 0)
        return limits_run(ops.name, argc - 2, argv + 2);
    if (argc == 2 && strcmp(argv[1], "--doctor") == 0)
        return doctor_run(ops.name);
    return worker_main(&ops, argc, argv);
}
