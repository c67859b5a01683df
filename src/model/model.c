#include "model/model.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/size.h"
#include "model/digest.h"
#include "text/tokenizer.h"

#include <math.h>
#include <string.h>

/* One forward pass takes so many tokens, or one input of the longest length: enough for full speed,
 * little enough that a pass ends within a fraction of a second. */
enum { BATCH_TOKENS = 2048 };

enum { EMBEDDING_SLOTS = 32 };

/* What the tokenizer holds for each byte of its file, and keeps from its parsing; measured on
 * WordPiece vocabularies of 30,000 entries and rounded up. */
enum { TOKENIZER_BYTES_A_BYTE = 16 };

/* A model whose headers have been read. Shared by inspection and loading. */
struct opened {
    struct folder folder;
    struct encoder_config config;
    struct safetensors file;
    struct encoder_bound bound;
    struct kernels kernels;
    struct str tokenizer; /* text of tokenizer.json, in the folder */
    struct model_info info;
};

struct encoder {
    struct opened opened;
    struct tokenizer *tokenizer;
    struct encoder_weights weights;
    struct transformer *transformer;
    size_t batch_tokens;
    void (*tick)(void *context);
    void *context;
};

static void close_model(struct opened *o)
{
    encoder_bound_finish(&o->bound);
    safetensors_close(&o->file);
    folder_finish(&o->folder);
}

/* By positions, not by the limit that the settings give: the plan of a model is one, whatever they
 * are. */
static size_t batch_tokens_of(const struct encoder_config *c)
{
    return c->positions > BATCH_TOKENS ? c->positions : BATCH_TOKENS;
}

static enum weir_code open_weights(struct opened *o, struct weir_error *err)
{
    static const char name[] = "model.safetensors";
    char *path = NULL;
    enum weir_code code = folder_path(&o->folder, name, &path, err);
    if (code != WEIR_OK)
        return code;
    code = safetensors_open(path, &o->file, err);
    mem_free(path);
    if (code != WEIR_OK)
        return code;
    code = encoder_bind(&o->file, &o->config, &o->bound, err);
    if (code != WEIR_OK)
        weir_wrap(err, "'%s'", name);
    return code;
}

/* The plan, from what is now known. */
static enum weir_code price(struct opened *o, struct weir_error *err)
{
    const struct encoder_config *c = &o->config;
    struct model_info *info = &o->info;
    struct transformer_price forward;
    uint64_t packed, tokenizer, fixed;
    if (!encoder_weights_bytes(c, &o->kernels, &packed) ||
        !transformer_price(c, &o->kernels, PRECISION_F32, batch_tokens_of(c), &forward) ||
        !size_mul(o->tokenizer.len, TOKENIZER_BYTES_A_BYTE, &tokenizer) ||
        !size_add(packed, tokenizer, &fixed) || !size_add(fixed, forward.fixed_bytes, &fixed))
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "the sizes of the configuration (hidden %u, layers %u) overflow",
                         c->hidden, c->layers);
    *info = (struct model_info){
        .architecture = "bert",
        .capabilities = UINT32_C(1) << WEIR_TEXT_EMBEDDING,
        .weights_bytes = o->file.map.size,
        .fixed_bytes = fixed,
        .per_slot_bytes = c->positions * sizeof(int32_t) + c->hidden * sizeof(float),
        .scratch_per_thread_bytes = forward.per_thread_bytes,
        .positions = c->positions,
        .tokens_max = c->tokens_max,
        .dim = c->hidden,
        .vocab = c->vocab,
        .slots = EMBEDDING_SLOTS,
    };
    return digest_model(safetensors_header(&o->file), o->file.map.size, &o->folder, info->digest,
                        err);
}

static enum weir_code open_model(const char *path, const struct model_settings *settings,
                                 struct opened *out, struct weir_error *err)
{
    struct opened o;
    memset(&o, 0, sizeof(o));
    folder_init(&o.folder, path);
    enum weir_code code = kernels_choose(NULL, &o.kernels, err);
    if (code == WEIR_OK)
        code = config_read(&o.folder, settings ? settings->context : 0, &o.config, err);
    if (code == WEIR_OK)
        code =
            folder_text(&o.folder, "tokenizer.json", TOKENIZER_FILE_BYTES_MAX, &o.tokenizer, err);
    if (code == WEIR_OK)
        code = open_weights(&o, err);
    if (code == WEIR_OK)
        code = price(&o, err);
    if (code != WEIR_OK) {
        close_model(&o);
        return code;
    }
    *out = o;
    return WEIR_OK;
}

enum weir_code model_inspect(const char *path, const struct model_settings *settings,
                             struct model_info *out, struct weir_error *err)
{
    struct opened o;
    enum weir_code code = open_model(path, settings, &o, err);
    if (code != WEIR_OK)
        return code;
    *out = o.info;
    close_model(&o);
    return WEIR_OK;
}

static enum weir_code load_tokenizer(struct encoder *e, struct weir_error *err)
{
    static const char name[] = "tokenizer.json";
    const struct opened *o = &e->opened;
    enum weir_code code = tokenizer_create(o->tokenizer, &e->tokenizer, err);
    size_t most = code == WEIR_OK ? tokenizer_vocab_size(e->tokenizer) : 0;
    if (most > o->config.vocab)
        code =
            weir_fail(err, WEIR_LOAD_FAILED, "there are ids up to %zu, the model has %u embeddings",
                      most - 1, o->config.vocab);
    if (code != WEIR_OK)
        weir_wrap(err, "'%s'", name);
    return code;
}

enum weir_code encoder_load(const char *path, const struct model_settings *settings,
                            struct team *team, void (*tick)(void *context), void *context,
                            struct encoder **out, struct weir_error *err)
{
    struct encoder *e = mem_new(1, sizeof(*e));
    e->tick = tick;
    e->context = context;
    enum weir_code code = open_model(path, settings, &e->opened, err);
    struct opened *o = &e->opened;
    if (code == WEIR_OK)
        code = load_tokenizer(e, err);
    if (code == WEIR_OK)
        code = encoder_weights_init(&e->weights, &o->bound, &o->config, &o->kernels, team, tick,
                                    context, err);
    if (code == WEIR_OK) {
        e->batch_tokens = batch_tokens_of(&o->config);
        code = transformer_create(&o->config, &e->weights, &o->kernels, team, e->batch_tokens,
                                  &e->transformer, err);
    }
    if (code != WEIR_OK) {
        encoder_destroy(e);
        return code;
    }
    /* The texts have been read; only the map of the weights is still needed, for its words. */
    folder_finish(&o->folder);
    encoder_bound_finish(&o->bound);
    o->tokenizer = (struct str){ .data = NULL };
    *out = e;
    return WEIR_OK;
}

void encoder_destroy(struct encoder *e)
{
    if (e == NULL)
        return;
    transformer_destroy(e->transformer);
    encoder_weights_finish(&e->weights);
    tokenizer_destroy(e->tokenizer);
    close_model(&e->opened);
    mem_free(e);
}

const struct model_info *encoder_info(const struct encoder *e)
{
    return &e->opened.info;
}

const struct tokenizer *encoder_tokenizer(const struct encoder *e)
{
    return e->tokenizer;
}

size_t encoder_batch_tokens(const struct encoder *e)
{
    return e->batch_tokens;
}

static enum weir_code refuse(struct weir_error *err, size_t index)
{
    if (err == NULL)
        return WEIR_INVALID;
    err->index = (int32_t)index;
    return err->code;
}

/* WEIR_OK, or what is wrong with one sequence. */
static enum weir_code check_sequence(const struct encoder *e, const struct sequence *s,
                                     size_t index, struct weir_error *err)
{
    const struct model_info *info = &e->opened.info;
    if (s->count == 0) {
        weir_fail(err, WEIR_INVALID, "input %zu has no tokens", index);
        return refuse(err, index);
    }
    if (s->count > info->tokens_max) {
        weir_fail(err, WEIR_CONTEXT_LENGTH, "input %zu has %zu tokens, the limit is %u", index,
                  s->count, info->tokens_max);
        if (err) {
            err->value = (int64_t)s->count;
            err->limit = info->tokens_max;
        }
        refuse(err, index);
        return WEIR_CONTEXT_LENGTH;
    }
    for (size_t i = 0; i < s->count; i++) {
        if (s->ids[i] >= 0 && (uint32_t)s->ids[i] < info->vocab)
            continue;
        weir_fail(err, WEIR_INVALID, "input %zu has the token id %d, the model knows 0 to %u",
                  index, s->ids[i], info->vocab - 1);
        return refuse(err, index);
    }
    return WEIR_OK;
}

/* The mean of a sequence's states, to unit length. */
static void pool(const struct kernels *k, const float *x, size_t count, size_t dim, float *out)
{
    memcpy(out, x, dim * sizeof(*out));
    for (size_t i = 1; i < count; i++)
        k->add(out, x + i * dim, dim);
    k->scale(out, 1 / (float)count, dim);
    k->scale(out, 1 / fmaxf(sqrtf(k->dot(out, out, dim)), 1e-12f), dim);
}

enum weir_code encoder_embed(struct encoder *e, const struct sequence *sequences, size_t count,
                             float *out, struct weir_error *err)
{
    const size_t dim = e->opened.info.dim;
    for (size_t i = 0; i < count; i++) {
        enum weir_code code = check_sequence(e, &sequences[i], i, err);
        if (code != WEIR_OK)
            return code;
    }
    const float *states =
        transformer_forward(e->transformer, sequences, count, e->tick, e->context);
    for (size_t i = 0; i < count; states += sequences[i++].count * dim)
        pool(&e->opened.kernels, states, sequences[i].count, dim, out + i * dim);
    for (size_t i = 0; i < count * dim; i++) {
        if (isfinite(out[i]))
            continue;
        weir_fail(err, WEIR_MODEL_FAILED, "the vector of input %zu has numbers that are not finite",
                  i / dim);
        refuse(err, i / dim);
        return WEIR_MODEL_FAILED;
    }
    return WEIR_OK;
}
