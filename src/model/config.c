#include "model/config.h"

#include "base/check.h"
#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Far above any published model, and low enough that no product of two of them overflows. */
enum {
    HIDDEN_MAX = 1 << 16,
    LAYERS_MAX = 1 << 10,
    HEADS_MAX = 1 << 10,
    INTERMEDIATE_MAX = 1 << 20,
    VOCAB_MAX = 1 << 24,
    POSITIONS_MAX = 1 << 20,
    TYPES_MAX = 1 << 10,
};

static enum weir_code read_count(const struct field *config, const char *name, int64_t most,
                                 uint32_t *out, struct weir_error *err)
{
    struct field f = field_of(config, name);
    int64_t value;
    if (field_integer(&f, 1, most, &value, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    *out = (uint32_t)value;
    return WEIR_OK;
}

/* A text that must be one of a few. Where it is missing its meaning is the first of them, unless it
 * is required. */
struct choice {
    const char *name;
    const char *allowed[4];
    bool required;
};

static enum weir_code check_choice(const struct field *config, const struct choice *choice,
                                   struct weir_error *err)
{
    struct field f = field_of(config, choice->name);
    struct str value;
    if (f.value == NULL && !choice->required)
        return WEIR_OK;
    if (field_text_here(&f, &value, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    for (size_t i = 0; i < ARRAY_COUNT(choice->allowed) && choice->allowed[i]; i++) {
        if (str_eq(value, str_of(choice->allowed[i])))
            return WEIR_OK;
    }
    struct str quote = field_quote(value);
    return weir_fail(err, WEIR_LOAD_FAILED, "%s '%.*s' is not supported, only '%s' is",
                     choice->name, STR_ARG(quote), choice->allowed[0]);
}

/* What the weights were saved from. Heads for other tasks sit beside the encoder and are left out;
 * any other class named here may compute differently. */
static enum weir_code check_architectures(const struct field *config, struct weir_error *err)
{
    static const char *const known[] = { "BertModel", "BertForMaskedLM", "BertForPreTraining" };
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
        while (at < ARRAY_COUNT(known) && !str_eq(name, str_of(known[at])))
            at++;
        struct str quote = field_quote(name);
        if (at == ARRAY_COUNT(known))
            return weir_fail(err, WEIR_LOAD_FAILED, "the architecture '%.*s' is not supported",
                             STR_ARG(quote));
    }
    return WEIR_OK;
}

static enum weir_code check_kind(const struct field *config, struct weir_error *err)
{
    static const struct choice choices[] = {
        {"model_type",               { "bert" },     true },
        { "hidden_act",              { "gelu" },     true },
        { "position_embedding_type", { "absolute" }, false},
    };
    if (field_need_object(config, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    for (size_t i = 0; i < ARRAY_COUNT(choices); i++) {
        if (check_choice(config, &choices[i], err) != WEIR_OK)
            return WEIR_LOAD_FAILED;
    }
    if (json_is_true(field_of(config, "is_decoder").value))
        return weir_fail(err, WEIR_LOAD_FAILED, "is_decoder is true, only encoders are supported");
    return check_architectures(config, err);
}

static enum weir_code read_eps(const struct field *config, float *out, struct weir_error *err)
{
    const json_t *value = field_of(config, "layer_norm_eps").value;
    double eps = json_number_value(value);
    if (!json_is_number(value) || !(eps > 0 && eps < 1))
        return weir_fail(err, WEIR_LOAD_FAILED, "layer_norm_eps is not a number between 0 and 1");
    *out = (float)eps;
    return WEIR_OK;
}

static enum weir_code read_sizes(const struct field *config, struct encoder_config *c,
                                 struct weir_error *err)
{
    const struct {
        const char *name;
        int64_t most;
        uint32_t *to;
    } counts[] = {
        {"hidden_size",              HIDDEN_MAX,       &c->hidden      },
        { "num_hidden_layers",       LAYERS_MAX,       &c->layers      },
        { "num_attention_heads",     HEADS_MAX,        &c->heads       },
        { "intermediate_size",       INTERMEDIATE_MAX, &c->intermediate},
        { "vocab_size",              VOCAB_MAX,        &c->vocab       },
        { "max_position_embeddings", POSITIONS_MAX,    &c->positions   },
        { "type_vocab_size",         TYPES_MAX,        &c->types       },
    };
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        if (read_count(config, counts[i].name, counts[i].most, counts[i].to, err) != WEIR_OK)
            return WEIR_LOAD_FAILED;
    }
    if (c->hidden % c->heads != 0)
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "hidden_size %u is no multiple of num_attention_heads %u", c->hidden,
                         c->heads);
    return read_eps(config, &c->eps, err);
}

/* The length of one input: what the user set, else what the files state, at most the positions. */
static enum weir_code read_length(struct folder *f, uint32_t context, struct encoder_config *c,
                                  struct weir_error *err)
{
    static const char name[] = "sentence_bert_config.json";
    struct field file;
    int64_t length = c->positions;
    if (folder_json(f, name, FOLDER_OPTIONAL, &file, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    enum weir_code code = file.value ? field_need_object(&file, err) : WEIR_OK;
    struct field stated = field_of(&file, "max_seq_length");
    if (code == WEIR_OK && stated.value != NULL && !json_is_null(stated.value))
        code = field_integer(&stated, 1, INT32_MAX, &length, err);
    if (code != WEIR_OK) {
        weir_wrap(err, "'%s'", name);
        return code;
    }
    if (context > 0)
        length = context;
    c->tokens_max = length < c->positions ? (uint32_t)length : c->positions;
    return WEIR_OK;
}

/* Which ways of pooling are switched on: flags of their own, or one field that names the way. */
static enum weir_code check_pooling(const struct field *pooling, uint32_t hidden,
                                    struct weir_error *err)
{
    static const char flag[] = "pooling_mode_";
    static const struct choice mode = { "pooling_mode", { "mean" }, false };
    const char *key;
    json_t *value;
    bool flags = false, mean = false;
    if (field_need_object(pooling, err) != WEIR_OK || check_choice(pooling, &mode, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    json_object_foreach((json_t *)(uintptr_t)pooling->value, key, value) {
        if (strncmp(key, flag, strlen(flag)) != 0)
            continue;
        flags = true;
        if (strcmp(key, "pooling_mode_mean_tokens") == 0)
            mean = json_is_true(value);
        else if (!json_is_false(value))
            return weir_fail(err, WEIR_LOAD_FAILED,
                             "%.60s is on, only pooling_mode_mean_tokens is supported", key);
    }
    if (flags && !mean)
        return weir_fail(err, WEIR_LOAD_FAILED, "pooling_mode_mean_tokens is off");
    struct field width = field_of(pooling, "word_embedding_dimension");
    int64_t dim;
    if (width.value == NULL)
        return WEIR_OK;
    return field_integer(&width, hidden, hidden, &dim, err);
}

static enum weir_code read_pooling(struct folder *f, const char *folder, uint32_t hidden,
                                   enum folder_need need, struct weir_error *err)
{
    char name[160];
    struct field pooling;
    int length = snprintf(name, sizeof(name), "%s%sconfig.json", folder, *folder ? "/" : "");
    /* The path comes from a file: it may lead deeper, never out. */
    if (length < 0 || (size_t)length >= sizeof(name) || name[0] == '/' ||
        strstr(name, "..") != NULL)
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "'modules.json' names the folder '%.60s', which is not inside the model's",
                         folder);
    if (folder_json(f, name, need, &pooling, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    if (pooling.value != NULL && check_pooling(&pooling, hidden, err) != WEIR_OK) {
        weir_wrap(err, "'%.60s'", name);
        return WEIR_LOAD_FAILED;
    }
    return WEIR_OK;
}

/* One row of modules.json, by the last part of its type's name. */
static enum weir_code read_module(struct folder *f, const struct field *module, uint32_t hidden,
                                  bool *pooled, struct weir_error *err)
{
    struct str type, path;
    if (field_need_object(module, err) != WEIR_OK ||
        field_text(module, "type", &type, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    const char *dot = strrchr(type.data, '.');
    const char *kind = dot ? dot + 1 : type.data;
    if (strcmp(kind, "Transformer") == 0 || strcmp(kind, "Normalize") == 0)
        return WEIR_OK;
    if (strcmp(kind, "Pooling") != 0)
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "module '%.80s' is not supported, only Transformer, Pooling and Normalize "
                         "are",
                         type.data);
    if (*pooled)
        return weir_fail(err, WEIR_LOAD_FAILED, "there is more than one Pooling module");
    *pooled = true;
    if (field_text(module, "path", &path, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    return read_pooling(f, path.data, hidden, FOLDER_REQUIRED, err);
}

static enum weir_code read_modules(struct folder *f, uint32_t hidden, struct weir_error *err)
{
    struct field modules;
    bool pooled = false;
    if (folder_json(f, "modules.json", FOLDER_OPTIONAL, &modules, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    if (modules.value == NULL)
        return read_pooling(f, "1_Pooling", hidden, FOLDER_OPTIONAL, err);
    enum weir_code code = field_need_array(&modules, err);
    for (size_t i = 0; code == WEIR_OK && i < json_array_size(modules.value); i++) {
        struct field module = field_at(&modules, i);
        code = read_module(f, &module, hidden, &pooled, err);
    }
    if (code == WEIR_OK && !pooled)
        code = weir_fail(err, WEIR_LOAD_FAILED, "there is no Pooling module");
    if (code != WEIR_OK)
        weir_wrap(err, "'modules.json'");
    return code;
}

enum weir_code config_read(struct folder *f, uint32_t context, struct encoder_config *out,
                           struct weir_error *err)
{
    struct encoder_config c;
    struct field config;
    memset(&c, 0, sizeof(c));
    c.activation = ACTIVATION_GELU;
    if (folder_json(f, "config.json", FOLDER_REQUIRED, &config, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    if (check_kind(&config, err) != WEIR_OK || read_sizes(&config, &c, err) != WEIR_OK) {
        weir_wrap(err, "'config.json'");
        return WEIR_LOAD_FAILED;
    }
    if (read_length(f, context, &c, err) != WEIR_OK || read_modules(f, c.hidden, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    *out = c;
    return WEIR_OK;
}
