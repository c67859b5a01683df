#include "model/model.h"

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"
#include "model/digest.h"
#include "model/head.h"
#include "model/prepared.h"
#include "model/prompts.h"
#include "tensor/team.h"
#include "text/tokenizer.h"

#include <math.h>
#include <string.h>

enum { EMBEDDING_SLOTS = 32 };

/* What a tokenizer takes while it is loaded, besides the text of its file: measured are 134 to 198
 * bytes for each piece of sixteen published vocabularies of 30,000 to 262,000 pieces (WordPiece,
 * Unigram and BPE, with its merges), and 0.1 MB for one with hardly any. It keeps about half. */
enum { TOKENIZER_BYTES = 128 * 1024, TOKENIZER_BYTES_A_PIECE = 224 };

/* A model whose headers have been read. Shared by inspection and loading. */
struct opened {
    struct folder folder;
    struct encoder_config config;
    struct modules modules;
    struct prompts prompts;
    struct weight_files files;
    struct encoder_bound bound;
    struct head_bound head;
    struct kernels kernels;
    struct str tokenizer; /* text of its file, in the folder */
    const char *tokenizer_name;
    bool is_vocab, lowercases; /* the file is a vocab.txt; and what its tokenizer makes of A */
    struct model_info info;
};

struct encoder {
    struct opened opened;
    struct tokenizer *tokenizer;
    void *block; /* packed weights, the encoder's, then the head's: a private copy … */
    struct prepared prepared; /* … or those that all workers share */
    struct encoder_weights weights;
    struct transformer *transformer;
    struct head *head;
    size_t batch_tokens;
    void (*tick)(void *context);
    void *context;
};

static void close_model(struct opened *o)
{
    head_bound_finish(&o->head);
    encoder_bound_finish(&o->bound);
    weight_files_close(&o->files);
    prompts_finish(&o->prompts);
    folder_finish(&o->folder);
}

/* By positions, not by the limit that the settings give: the plan of a model is one, whatever they
 * are. */
static size_t batch_tokens_of(const struct encoder_config *c)
{
    return c->positions > ENCODER_BATCH_TOKENS ? c->positions : ENCODER_BATCH_TOKENS;
}

static enum weir_code open_weights(struct opened *o, struct weir_error *err)
{
    enum weir_code code = weight_files_open(&o->folder, "", &o->files, err);
    if (code != WEIR_OK)
        return code;
    code = encoder_bind(&o->files, &o->config, &o->bound, err);
    if (code != WEIR_OK) {
        weir_wrap(err, "'%s'", o->files.name);
        return code;
    }
    return head_bind(&o->folder, &o->modules, &o->head, err);
}

/* Where the head's part of the packed block begins, and where the block ends. */
static bool block_bytes(const struct opened *o, enum precision precision, uint64_t *head,
                        uint64_t *end)
{
    uint64_t bytes;
    return encoder_weights_bytes(&o->config, &o->kernels, precision, head) &&
           head_bytes(&o->modules, &o->kernels, &bytes) && size_add(*head, bytes, end);
}

/* The private part: all but the packed block, the largest of any precision. */
static bool fixed_bytes(const struct opened *o, uint64_t *out, uint64_t *out_per_thread)
{
    const struct encoder_config *c = &o->config;
    uint64_t fixed, most = 0;
    *out_per_thread = 0;
    /* It may have no more pieces than the model has embeddings. */
    if (!size_mul(c->vocab, TOKENIZER_BYTES_A_PIECE, &fixed) ||
        !size_add(fixed, o->tokenizer.len + TOKENIZER_BYTES, &fixed) ||
        !size_add(fixed, c->layers * sizeof(struct encoder_layer), &fixed) ||
        !size_add(fixed, head_private_bytes(&o->modules), &fixed))
        return false;
    for (int i = 0; i < PRECISION_COUNT; i++) {
        struct transformer_price forward;
        if (!transformer_price(c, &o->kernels, (enum precision)i, batch_tokens_of(c), &forward))
            return false;
        most = forward.fixed_bytes > most ? forward.fixed_bytes : most;
        if (forward.per_thread_bytes > *out_per_thread)
            *out_per_thread = forward.per_thread_bytes;
    }
    return size_add(fixed, most, out);
}

static enum weir_code digest(struct opened *o, struct weir_error *err)
{
    const struct weight_files *files[1 + MODULES_MAX] = { &o->files };
    for (size_t i = 0; i < MODULES_MAX; i++)
        files[1 + i] = &o->head.files[i];
    return digest_model(files, ARRAY_COUNT(files), &o->folder, o->info.digest, err);
}

/* The plan, from what is now known. */
static enum weir_code price(struct opened *o, struct weir_error *err)
{
    const struct encoder_config *c = &o->config;
    struct model_info *info = &o->info;
    uint64_t fixed, per_thread, head;
    bool fits = fixed_bytes(o, &fixed, &per_thread);
    for (int i = 0; fits && i < PRECISION_COUNT; i++)
        fits = block_bytes(o, (enum precision)i, &head, &info->packed_bytes[i]);
    if (!fits)
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "the sizes of the configuration (hidden %u, layers %u) overflow",
                         c->hidden, c->layers);
    str_print(info->architecture, sizeof(info->architecture), "%s", c->kind->name);
    info->capabilities = UINT32_C(1) << WEIR_TEXT_EMBEDDING;
    info->weights_bytes = o->files.bytes;
    for (size_t i = 0; i < MODULES_MAX; i++)
        info->weights_bytes += o->head.files[i].bytes;
    info->fixed_bytes = fixed;
    info->per_slot_bytes = c->positions * sizeof(int32_t) + o->modules.dim * sizeof(float);
    info->scratch_per_thread_bytes = per_thread;
    info->flops_per_token = encoder_flops_per_token(c);
    info->positions = c->positions;
    info->tokens_max = c->tokens_max;
    info->dim = o->modules.dim;
    info->vocab = c->vocab;
    info->slots = EMBEDDING_SLOTS;
    info->default_prompt = prompts_names(&o->prompts, info->prompts, sizeof(info->prompts));
    return digest(o, err);
}

/* tokenizer.json; where BERT's models have none, vocab.txt. */
static enum weir_code open_tokenizer(struct opened *o, struct weir_error *err)
{
    static const char json[] = "tokenizer.json", vocab[] = "vocab.txt";
    struct field config;
    o->is_vocab = o->config.kind->has_bert_vocab && !folder_has(&o->folder, json) &&
                  folder_has(&o->folder, vocab);
    o->tokenizer_name = o->is_vocab ? vocab : json;
    o->lowercases = true;
    if (o->is_vocab) {
        if (folder_json(&o->folder, "tokenizer_config.json", FOLDER_OPTIONAL_REALS, &config, err) !=
            WEIR_OK)
            return WEIR_LOAD_FAILED;
        if (field_of(&config, "do_lower_case").value != NULL &&
            field_bool(&config, "do_lower_case", &o->lowercases, err) != WEIR_OK) {
            weir_wrap(err, "'tokenizer_config.json'");
            return WEIR_LOAD_FAILED;
        }
    }
    return folder_text(&o->folder, o->tokenizer_name, TOKENIZER_FILE_BYTES_MAX, &o->tokenizer, err);
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
        code = modules_read(&o.folder, o.config.hidden, &o.modules, err);
    if (code == WEIR_OK)
        code = prompts_read(&o.folder, &o.prompts, err);
    if (code == WEIR_OK)
        code = open_tokenizer(&o, err);
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

/* Whether it makes no difference between A and a. */
static bool lowercases(const struct tokenizer *t)
{
    static const struct str texts[] = {
        {"A B C D E F G H I J K L M N O P Q R S T U V W X Y Z",  51},
        { "a b c d e f g h i j k l m n o p q r s t u v w x y z", 51}
    };
    struct tokens tokens[2] = { { .ids = NULL }, { .ids = NULL } };
    bool same = true;
    for (size_t i = 0; i < 2; i++)
        same = same && tokenizer_encode(t, texts[i], false, &tokens[i], NULL) == WEIR_OK;
    same = same && tokens[0].count == tokens[1].count &&
           (tokens[0].count == 0 ||
            memcmp(tokens[0].ids, tokens[1].ids, tokens[0].count * sizeof(tokens[0].ids[0])) == 0);
    for (size_t i = 0; i < 2; i++)
        tokens_finish(&tokens[i]);
    return same;
}

static enum weir_code load_tokenizer(struct encoder *e, struct weir_error *err)
{
    const struct opened *o = &e->opened;
    enum weir_code code =
        o->is_vocab ? tokenizer_create_from_vocab(o->tokenizer, o->lowercases, &e->tokenizer, err)
                    : tokenizer_create(o->tokenizer, &e->tokenizer, err);
    size_t most = code == WEIR_OK ? tokenizer_vocab_size(e->tokenizer) : 0;
    if (most > o->config.vocab)
        code =
            weir_fail(err, WEIR_LOAD_FAILED, "there are ids up to %zu, the model has %u embeddings",
                      most - 1, o->config.vocab);
    if (code == WEIR_OK && o->config.lowercases && !lowercases(e->tokenizer))
        code = weir_fail(err, WEIR_LOAD_FAILED,
                         "it keeps upper case, and do_lower_case of the model is true, which is "
                         "not supported");
    if (code != WEIR_OK)
        weir_wrap(err, "'%s'", o->tokenizer_name);
    return code;
}

/* --- the packed block ------------------------------------------------------------------------- */

/* Part of what names a prepared file: another order of things in the block is another version. */
#define BLOCK_VERSION "1"

enum { LAYOUT_BYTES = 32 };

struct packing {
    const struct opened *opened;
    enum precision precision;
    struct team *team;
    void (*tick)(void *context);
    void *context;
};

static void fill_block(const struct packing *p, void *block)
{
    const struct opened *o = p->opened;
    uint64_t head, end;
    CHECK(block_bytes(o, p->precision, &head, &end));
    encoder_weights_fill(block, &o->bound, &o->config, &o->kernels, p->precision, p->team, p->tick,
                         p->context);
    head_fill((char *)block + head, &o->head, &o->modules, &o->kernels, p->team);
}

static size_t add_stamps(const struct weight_files *files, uint64_t *out, size_t count)
{
    for (size_t i = 0; i < files->count; i++) {
        const struct file_map *map = &files->files[i].map;
        out[count++] = map->inode;
        out[count++] = (uint64_t)map->mtime_ns;
    }
    return count;
}

/* The digest does not read the weights, and fine-tuned siblings often share everything else: what
 * the files are on the disk tells them apart. */
static uint64_t stamp_of(const struct opened *o)
{
    size_t files = o->files.count, count = 0;
    for (size_t i = 0; i < MODULES_MAX; i++)
        files += o->head.files[i].count;
    uint64_t *stamps = mem_new(2 * files, sizeof(*stamps));
    count = add_stamps(&o->files, stamps, count);
    for (size_t i = 0; i < MODULES_MAX; i++)
        count = add_stamps(&o->head.files[i], stamps, count);
    const uint64_t stamp = str_hash((struct str){ (const char *)stamps, count * sizeof(*stamps) });
    mem_free(stamps);
    return stamp;
}

/* `layout` is room for the key's text. */
static struct prepared_key key_of(const struct opened *o, enum precision precision,
                                  char layout[LAYOUT_BYTES])
{
    uint64_t head, end;
    CHECK(block_bytes(o, precision, &head, &end));
    str_print(layout, LAYOUT_BYTES, BLOCK_VERSION "-%s-%s", packed_layout(&o->kernels, precision),
              packed_layout(&o->kernels, PRECISION_F32)); /* the head's */
    struct prepared_key key = { .stamp = stamp_of(o),
                                .layout = layout,
                                .precision = precision_name(precision),
                                .block_bytes = end };
    memcpy(key.digest, o->info.digest, sizeof(key.digest));
    return key;
}

static enum weir_code fill_prepared(void *context, void *block, struct weir_error *err)
{
    (void)err;
    fill_block(context, block);
    return WEIR_OK;
}

static void tick_prepared(void *context)
{
    const struct packing *p = context;
    if (p->tick)
        p->tick(p->context);
}

enum weir_code model_prepare(const char *path, const struct model_settings *settings,
                             void (*tick)(void *context), void *context, struct weir_error *err)
{
    struct opened o;
    char layout[LAYOUT_BYTES];
    enum weir_code code = open_model(path, settings, &o, err);
    if (code != WEIR_OK)
        return code;
    struct packing packing = { .opened = &o,
                               .precision = settings->precision,
                               .team = team_create(1, NULL),
                               .tick = tick,
                               .context = context };
    const struct prepared_key key = key_of(&o, settings->precision, layout);
    const struct prepared_maker maker = { fill_prepared, tick_prepared, &packing };
    char *folder = file_join(settings->cache, PREPARED_FOLDER);
    code = prepared_make(folder, &key, 0, &maker, err);
    mem_free(folder);
    team_destroy(packing.team);
    close_model(&o);
    return code;
}

static enum weir_code open_prepared(struct encoder *e, const struct model_settings *settings,
                                    struct weir_error *err)
{
    char layout[LAYOUT_BYTES];
    const struct prepared_key key = key_of(&e->opened, settings->precision, layout);
    char *folder = file_join(settings->cache, PREPARED_FOLDER);
    const enum weir_code code = prepared_open(folder, &key, &e->prepared, err);
    mem_free(folder);
    if (code == WEIR_OK)
        return code;
    /* It was there when this worker was started: the pool has it prepared once more. */
    if (err)
        err->code = WEIR_UNAVAILABLE;
    return WEIR_UNAVAILABLE;
}

static enum weir_code pack_alone(struct encoder *e, enum precision precision, struct team *team,
                                 struct weir_error *err)
{
    struct size_text text;
    uint64_t head, end;
    CHECK(block_bytes(&e->opened, precision, &head, &end));
    e->block = mem_try_aligned(end, PACKED_ALIGNMENT);
    if (e->block == NULL)
        return weir_fail(err, WEIR_NO_MEMORY, "no memory for %s of packed weights",
                         size_format(end, &text));
    fill_block(&(struct packing){ &e->opened, precision, team, e->tick, e->context }, e->block);
    return WEIR_OK;
}

static enum weir_code load_weights(struct encoder *e, const struct model_settings *settings,
                                   struct team *team, struct weir_error *err)
{
    const struct opened *o = &e->opened;
    const enum precision precision = settings->precision;
    const bool is_prepared = settings->cache != NULL && settings->cache[0] != '\0';
    uint64_t head, end;
    CHECK(block_bytes(o, precision, &head, &end));
    enum weir_code code =
        is_prepared ? open_prepared(e, settings, err) : pack_alone(e, precision, team, err);
    if (code != WEIR_OK)
        return code;
    const void *block = is_prepared ? e->prepared.block : e->block;
    encoder_weights_view(&e->weights, &o->bound, &o->config, &o->kernels, precision, block);
    return head_create(&o->modules, o->config.hidden, (const char *)block + head, &o->kernels, team,
                       &e->head, err);
}

enum weir_code encoder_open(const char *path, struct encoder **out, struct weir_error *err)
{
    struct encoder *e = mem_new(1, sizeof(*e));
    const enum weir_code code = open_model(path, NULL, &e->opened, err);
    if (code != WEIR_OK) {
        mem_free(e);
        return code;
    }
    *out = e;
    return WEIR_OK;
}

enum weir_code encoder_complete(struct encoder *e, const struct model_settings *settings,
                                struct team *team, void (*tick)(void *context), void *context,
                                struct weir_error *err)
{
    static const struct model_settings none = { 0 };
    struct opened *o = &e->opened;
    if (settings == NULL)
        settings = &none;
    e->tick = tick;
    e->context = context;
    config_limit(&o->config, settings->context);
    o->info.tokens_max = o->config.tokens_max;
    enum weir_code code = load_tokenizer(e, err);
    if (code == WEIR_OK)
        code = load_weights(e, settings, team, err);
    if (code == WEIR_OK) {
        e->batch_tokens = batch_tokens_of(&o->config);
        code = transformer_create(&o->config, &e->weights, &o->kernels, team, e->batch_tokens,
                                  &e->transformer, err);
    }
    if (code != WEIR_OK)
        return code;
    /* The texts have been read; only the map of the weights is still needed, for its words. */
    folder_finish(&o->folder);
    encoder_bound_finish(&o->bound);
    head_bound_finish(&o->head);
    o->tokenizer = (struct str){ .data = NULL };
    return WEIR_OK;
}

enum weir_code encoder_load(const char *path, const struct model_settings *settings,
                            struct team *team, void (*tick)(void *context), void *context,
                            struct encoder **out, struct weir_error *err)
{
    struct encoder *e;
    enum weir_code code = encoder_open(path, &e, err);
    if (code != WEIR_OK)
        return code;
    code = encoder_complete(e, settings, team, tick, context, err);
    if (code != WEIR_OK) {
        encoder_destroy(e);
        return code;
    }
    *out = e;
    return WEIR_OK;
}

void encoder_destroy(struct encoder *e)
{
    if (e == NULL)
        return;
    head_destroy(e->head);
    transformer_destroy(e->transformer);
    encoder_weights_finish(&e->weights);
    mem_free(e->block);
    prepared_close(&e->prepared);
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

enum weir_code encoder_prompt(const struct encoder *e, struct str name, struct str *out_text,
                              bool *out_pooled, struct weir_error *err)
{
    enum weir_code code = prompts_find(&e->opened.prompts, name, out_text, err);
    if (code == WEIR_OK)
        *out_pooled = e->opened.modules.pools_prompt;
    return code;
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
    if (s->skip >= s->count) {
        weir_fail(err, WEIR_INVALID, "input %zu has %zu tokens, and all are its prompt's", index,
                  s->count);
        return refuse(err, index);
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
    head_run(e->head, states, sequences, count, out);
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
