#include "model/config.h"

#include "base/check.h"
#include "base/str.h"

#include <string.h>

/* Far above any published model, and low enough that no product of two of them overflows. */
enum {
    HIDDEN_MAX = 1 << 16,
    LAYERS_MAX = 1 << 10,
    HEADS_MAX = 1 << 10,
    INTERMEDIATE_MAX = 1 << 20,
    VOCAB_MAX = 1 << 24,
    PLACES_MAX = 1 << 20,
    TYPES_MAX = 1 << 10,
    BUCKETS = ENCODER_RELATIVE_BUCKETS, /* the models' own code has no other number */
};

static const struct {
    const char *name;
    enum activation activation;
} activations[] = {
    {"gelu",               ACTIVATION_GELU     },
    { "gelu_new",          ACTIVATION_GELU_TANH},
    { "gelu_pytorch_tanh", ACTIVATION_GELU_TANH},
    { "relu",              ACTIVATION_RELU     },
};

static enum weir_code read_kind(const struct field *config, const struct encoder_kind **out,
                                struct weir_error *err)
{
    struct str name;
    struct encoder_kind_list list;
    if (field_need_object(config, err) != WEIR_OK ||
        field_text(config, "model_type", &name, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    const struct encoder_kind *kind = encoder_kind_find(name);
    struct str quote = field_quote(name);
    if (kind == NULL)
        return weir_fail(err, WEIR_LOAD_FAILED, "model_type '%.*s' is not supported, only %s are",
                         STR_ARG(quote), encoder_kind_list(&list));
    *out = kind;
    return WEIR_OK;
}

/* What the weights were saved from: any class that is not listed may compute differently. */
static enum weir_code check_architectures(const struct field *config,
                                          const struct encoder_kind *kind, struct weir_error *err)
{
    struct field list = field_of(config, "architectures");
    if (list.value == NULL || json_is_null(list.value))
        return WEIR_OK;
    if (field_need_array(&list, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    for (size_t i = 0; i < json_array_size(list.value); i++) {
        struct field item = field_at(&list, i);
        struct str name;
        size_t at = 0;
        if (field_text_here(&item, &name, err) != WEIR_OK)
            return WEIR_LOAD_FAILED;
        while (kind->architectures[at] && !str_eq(name, str_of(kind->architectures[at])))
            at++;
        struct str quote = field_quote(name);
        if (kind->architectures[at] == NULL)
            return weir_fail(err, WEIR_LOAD_FAILED,
                             "the architecture '%.*s' is not supported for '%s', only '%s' is",
                             STR_ARG(quote), kind->name, kind->architectures[0]);
    }
    return WEIR_OK;
}

static bool is_empty(const json_t *value)
{
    return value == NULL || json_is_null(value) || json_is_false(value) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

/* What other models of these types may ask for, and we do not compute. */
static enum weir_code check_unsupported(const struct field *config, struct weir_error *err)
{
    static const char *const names[] = { "is_decoder", "is_encoder_decoder", "pruned_heads",
                                         "quantization_config" };
    struct field embedding = field_of(config, "position_embedding_type");
    struct str type;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (!is_empty(field_of(config, names[i]).value))
            return weir_fail(err, WEIR_LOAD_FAILED, "%s is set, which is not supported", names[i]);
    }
    if (embedding.value == NULL || json_is_null(embedding.value))
        return WEIR_OK;
    if (field_text_here(&embedding, &type, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    struct str quote = field_quote(type);
    if (!str_eq(type, STR("absolute")))
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "position_embedding_type '%.*s' is not supported, only 'absolute' is",
                         STR_ARG(quote));
    return WEIR_OK;
}

static enum weir_code read_activation(const struct field *config, const char *key,
                                      enum activation *out, struct weir_error *err)
{
    struct str name;
    if (field_text(config, key, &name, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    for (size_t i = 0; i < ARRAY_COUNT(activations); i++) {
        if (str_eq(name, str_of(activations[i].name))) {
            *out = activations[i].activation;
            return WEIR_OK;
        }
    }
    struct str quote = field_quote(name);
    return weir_fail(err, WEIR_LOAD_FAILED,
                     "%s '%.*s' is not supported, only gelu, gelu_new, gelu_pytorch_tanh and relu "
                     "are",
                     key, STR_ARG(quote));
}

static enum weir_code read_eps(const struct field *config, const struct encoder_kind *kind,
                               float *out, struct weir_error *err)
{
    const json_t *value = field_of(config, "layer_norm_eps").value;
    const float eps = (float)(kind->eps > 0 ? kind->eps : json_number_value(value));
    if (!(eps > 0 && eps < 1))
        return weir_fail(err, WEIR_LOAD_FAILED, "layer_norm_eps is not a number between 0 and 1");
    *out = eps;
    return WEIR_OK;
}

/* The file states the rows of the table; the first few of some kinds are never a token's. */
static enum weir_code read_positions(const struct field *config, struct encoder_config *c,
                                     struct weir_error *err)
{
    struct field places = field_of(config, "max_position_embeddings");
    struct field padding = field_of(config, "pad_token_id");
    int64_t rows, id = 1;
    if (field_integer(&places, 1, PLACES_MAX, &rows, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    if (c->kind->padding == ENCODER_PADDING_STATED && padding.value != NULL &&
        field_integer(&padding, 0, PLACES_MAX, &id, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    c->position_offset = c->kind->padding == ENCODER_PADDING_NONE ? 0 : (uint32_t)id + 1;
    if (rows <= c->position_offset)
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "max_position_embeddings is %u, of which the first %u are no token's",
                         (unsigned)rows, c->position_offset);
    c->positions = (uint32_t)rows - c->position_offset;
    return WEIR_OK;
}

static enum weir_code read_sizes(const struct field *config, struct encoder_config *c,
                                 struct weir_error *err)
{
    const struct encoder_keys *keys = c->kind->keys;
    const char *types = c->kind->has_types ? "type_vocab_size" : NULL;
    const char *buckets = c->kind->has_relative ? "relative_attention_num_buckets" : NULL;
    const struct {
        const char *name; /* NULL: the kind has no such size */
        int64_t least, most;
        uint32_t *to;
    } counts[] = {
        {keys->hidden,        1,       HIDDEN_MAX,       &c->hidden          },
        { keys->layers,       1,       LAYERS_MAX,       &c->layers          },
        { keys->heads,        1,       HEADS_MAX,        &c->heads           },
        { keys->intermediate, 1,       INTERMEDIATE_MAX, &c->intermediate    },
        { "vocab_size",       1,       VOCAB_MAX,        &c->vocab           },
        { types,              1,       TYPES_MAX,        &c->types           },
        { buckets,            BUCKETS, BUCKETS,          &c->relative_buckets},
    };
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        int64_t value = 0;
        if (counts[i].name == NULL)
            continue;
        struct field f = field_of(config, counts[i].name);
        if (field_integer(&f, counts[i].least, counts[i].most, &value, err) != WEIR_OK)
            return WEIR_LOAD_FAILED;
        *counts[i].to = (uint32_t)value;
    }
    if (c->hidden % c->heads != 0)
        return weir_fail(err, WEIR_LOAD_FAILED, "%s %u is no multiple of %s %u", keys->hidden,
                         c->hidden, keys->heads, c->heads);
    if (read_positions(config, c, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    return read_eps(config, c->kind, &c->eps, err);
}

static enum weir_code read_config(struct folder *f, struct encoder_config *c,
                                  struct weir_error *err)
{
    struct field config;
    if (folder_json(f, "config.json", FOLDER_REQUIRED, &config, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    if (read_kind(&config, &c->kind, err) == WEIR_OK &&
        check_architectures(&config, c->kind, err) == WEIR_OK &&
        check_unsupported(&config, err) == WEIR_OK &&
        read_activation(&config, c->kind->keys->activation, &c->activation, err) == WEIR_OK &&
        read_sizes(&config, c, err) == WEIR_OK)
        return WEIR_OK;
    weir_wrap(err, "'config.json'");
    return WEIR_LOAD_FAILED;
}

/* The name is from the first architecture that had such a file; others were given their own. */
static enum weir_code open_sentence_config(struct folder *f, struct field *out, const char **name,
                                           struct weir_error *err)
{
    static const char *const names[] = { "sentence_bert_config.json",
                                         "sentence_roberta_config.json",
                                         "sentence_distilbert_config.json",
                                         "sentence_xlm-roberta_config.json" };
    enum weir_code code = WEIR_OK;
    out->value = NULL;
    for (size_t i = 0; code == WEIR_OK && out->value == NULL && i < ARRAY_COUNT(names); i++) {
        *name = names[i];
        code = folder_json(f, names[i], FOLDER_OPTIONAL, out, err);
    }
    return code;
}

/* What it says of the length (left alone where it says nothing), and what else it may not say. */
static enum weir_code read_sentence_config(struct folder *f, struct encoder_config *c,
                                           int64_t *length, struct weir_error *err)
{
    struct field file;
    const char *name;
    bool lower = false;
    if (open_sentence_config(f, &file, &name, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    if (file.value == NULL)
        return WEIR_OK;
    enum weir_code code = field_need_object(&file, err);
    struct field stated = field_of(&file, "max_seq_length");
    if (code == WEIR_OK && stated.value != NULL && !json_is_null(stated.value))
        code = field_integer(&stated, 1, INT32_MAX, length, err);
    struct field task = field_of(&file, "transformer_task");
    struct str text;
    if (code == WEIR_OK && task.value != NULL) {
        code = field_text_here(&task, &text, err);
        if (code == WEIR_OK && !str_eq(text, STR("feature-extraction")))
            code = weir_fail(err, WEIR_LOAD_FAILED, "transformer_task is not 'feature-extraction'");
    }
    if (code == WEIR_OK && field_of(&file, "do_lower_case").value != NULL)
        code = field_bool(&file, "do_lower_case", &lower, err);
    if (code != WEIR_OK)
        weir_wrap(err, "'%s'", name);
    c->lowercases = lower;
    return code;
}

/* Its number may be too long for an integer: "no limit" is written as 10 to the power of 30. */
static enum weir_code read_tokenizer_length(struct folder *f, int64_t *length,
                                            struct weir_error *err)
{
    struct field file;
    if (folder_json(f, "tokenizer_config.json", FOLDER_OPTIONAL_REALS, &file, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    const json_t *stated = field_of(&file, "model_max_length").value;
    double value = json_number_value(stated);
    if (json_is_number(stated) && value >= 1 && value < INT32_MAX)
        *length = (int64_t)value;
    return WEIR_OK;
}

void config_limit(struct encoder_config *c, uint32_t context)
{
    if (context > 0)
        c->tokens_max = context < c->positions ? context : c->positions;
}

/* The length of one input: what the user set, else what the files state, at most the positions. */
static enum weir_code read_length(struct folder *f, uint32_t context, struct encoder_config *c,
                                  struct weir_error *err)
{
    int64_t length = 0;
    if (read_sentence_config(f, c, &length, err) != WEIR_OK ||
        (length == 0 && read_tokenizer_length(f, &length, err) != WEIR_OK))
        return WEIR_LOAD_FAILED;
    c->tokens_max = length > 0 && length < c->positions ? (uint32_t)length : c->positions;
    config_limit(c, context);
    return WEIR_OK;
}

enum weir_code config_read(struct folder *f, uint32_t context, struct encoder_config *out,
                           struct weir_error *err)
{
    struct encoder_config c;
    memset(&c, 0, sizeof(c));
    if (read_config(f, &c, err) != WEIR_OK || read_length(f, context, &c, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    *out = c;
    return WEIR_OK;
}
