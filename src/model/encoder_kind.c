#include "model/encoder_kind.h"

#include "base/check.h"

#include <stdio.h>

static const struct encoder_keys bert_keys = {
    .hidden = "hidden_size",
    .layers = "num_hidden_layers",
    .heads = "num_attention_heads",
    .intermediate = "intermediate_size",
    .activation = "hidden_act",
};

static const struct encoder_keys distilbert_keys = {
    .hidden = "dim",
    .layers = "n_layers",
    .heads = "n_heads",
    .intermediate = "hidden_dim",
    .activation = "activation",
};

/* Version 14 crashes on the named arrays of these tables. */
/* clang-format off */
static const struct encoder_names bert_names = {
    .tensors = {
        [ENCODER_WORDS] = "embeddings.word_embeddings.weight",
        [ENCODER_POSITIONS] = "embeddings.position_embeddings.weight",
        [ENCODER_TYPES] = "embeddings.token_type_embeddings.weight",
        [ENCODER_NORM_GAIN] = "embeddings.LayerNorm.weight",
        [ENCODER_NORM_SHIFT] = "embeddings.LayerNorm.bias",
    },
    .layer = "encoder.layer.",
    .layer_tensors = {
        [ENCODER_LAYER_QUERY] = "attention.self.query.weight",
        [ENCODER_LAYER_QUERY_BIAS] = "attention.self.query.bias",
        [ENCODER_LAYER_KEY] = "attention.self.key.weight",
        [ENCODER_LAYER_KEY_BIAS] = "attention.self.key.bias",
        [ENCODER_LAYER_VALUE] = "attention.self.value.weight",
        [ENCODER_LAYER_VALUE_BIAS] = "attention.self.value.bias",
        [ENCODER_LAYER_MIX] = "attention.output.dense.weight",
        [ENCODER_LAYER_MIX_BIAS] = "attention.output.dense.bias",
        [ENCODER_LAYER_MIX_GAIN] = "attention.output.LayerNorm.weight",
        [ENCODER_LAYER_MIX_SHIFT] = "attention.output.LayerNorm.bias",
        [ENCODER_LAYER_UP] = "intermediate.dense.weight",
        [ENCODER_LAYER_UP_BIAS] = "intermediate.dense.bias",
        [ENCODER_LAYER_DOWN] = "output.dense.weight",
        [ENCODER_LAYER_DOWN_BIAS] = "output.dense.bias",
        [ENCODER_LAYER_DOWN_GAIN] = "output.LayerNorm.weight",
        [ENCODER_LAYER_DOWN_SHIFT] = "output.LayerNorm.bias",
    },
};

static const struct encoder_names distilbert_names = {
    .tensors = {
        [ENCODER_WORDS] = "embeddings.word_embeddings.weight",
        [ENCODER_POSITIONS] = "embeddings.position_embeddings.weight",
        [ENCODER_NORM_GAIN] = "embeddings.LayerNorm.weight",
        [ENCODER_NORM_SHIFT] = "embeddings.LayerNorm.bias",
    },
    .layer = "transformer.layer.",
    .layer_tensors = {
        [ENCODER_LAYER_QUERY] = "attention.q_lin.weight",
        [ENCODER_LAYER_QUERY_BIAS] = "attention.q_lin.bias",
        [ENCODER_LAYER_KEY] = "attention.k_lin.weight",
        [ENCODER_LAYER_KEY_BIAS] = "attention.k_lin.bias",
        [ENCODER_LAYER_VALUE] = "attention.v_lin.weight",
        [ENCODER_LAYER_VALUE_BIAS] = "attention.v_lin.bias",
        [ENCODER_LAYER_MIX] = "attention.out_lin.weight",
        [ENCODER_LAYER_MIX_BIAS] = "attention.out_lin.bias",
        [ENCODER_LAYER_MIX_GAIN] = "sa_layer_norm.weight",
        [ENCODER_LAYER_MIX_SHIFT] = "sa_layer_norm.bias",
        [ENCODER_LAYER_UP] = "ffn.lin1.weight",
        [ENCODER_LAYER_UP_BIAS] = "ffn.lin1.bias",
        [ENCODER_LAYER_DOWN] = "ffn.lin2.weight",
        [ENCODER_LAYER_DOWN_BIAS] = "ffn.lin2.bias",
        [ENCODER_LAYER_DOWN_GAIN] = "output_layer_norm.weight",
        [ENCODER_LAYER_DOWN_SHIFT] = "output_layer_norm.bias",
    },
};

static const struct encoder_names mpnet_names = {
    .tensors = {
        [ENCODER_WORDS] = "embeddings.word_embeddings.weight",
        [ENCODER_POSITIONS] = "embeddings.position_embeddings.weight",
        [ENCODER_NORM_GAIN] = "embeddings.LayerNorm.weight",
        [ENCODER_NORM_SHIFT] = "embeddings.LayerNorm.bias",
        [ENCODER_RELATIVE] = "encoder.relative_attention_bias.weight",
    },
    .layer = "encoder.layer.",
    .layer_tensors = {
        [ENCODER_LAYER_QUERY] = "attention.attn.q.weight",
        [ENCODER_LAYER_QUERY_BIAS] = "attention.attn.q.bias",
        [ENCODER_LAYER_KEY] = "attention.attn.k.weight",
        [ENCODER_LAYER_KEY_BIAS] = "attention.attn.k.bias",
        [ENCODER_LAYER_VALUE] = "attention.attn.v.weight",
        [ENCODER_LAYER_VALUE_BIAS] = "attention.attn.v.bias",
        [ENCODER_LAYER_MIX] = "attention.attn.o.weight",
        [ENCODER_LAYER_MIX_BIAS] = "attention.attn.o.bias",
        [ENCODER_LAYER_MIX_GAIN] = "attention.LayerNorm.weight",
        [ENCODER_LAYER_MIX_SHIFT] = "attention.LayerNorm.bias",
        [ENCODER_LAYER_UP] = "intermediate.dense.weight",
        [ENCODER_LAYER_UP_BIAS] = "intermediate.dense.bias",
        [ENCODER_LAYER_DOWN] = "output.dense.weight",
        [ENCODER_LAYER_DOWN_BIAS] = "output.dense.bias",
        [ENCODER_LAYER_DOWN_GAIN] = "output.LayerNorm.weight",
        [ENCODER_LAYER_DOWN_SHIFT] = "output.LayerNorm.bias",
    },
};

/* Beside the encoder a file may hold what was trained with it (a pooler, the head of a language
 * model): those classes are listed, their heads are left out. Any other class may compute
 * differently. */
static const struct encoder_kind kinds[] = {
    {
        .name = "bert",
        .architectures = { "BertModel", "BertForMaskedLM", "BertForPreTraining" },
        .prefix = "bert.",
        .keys = &bert_keys,
        .names = &bert_names,
        .has_types = true,
        .has_bert_vocab = true,
    },
    {
        .name = "distilbert",
        .architectures = { "DistilBertModel", "DistilBertForMaskedLM" },
        .prefix = "distilbert.",
        .keys = &distilbert_keys,
        .names = &distilbert_names,
        .eps = 1e-12,
        .has_bert_vocab = true,
    },
    {
        .name = "roberta",
        .architectures = { "RobertaModel", "RobertaForMaskedLM" },
        .prefix = "roberta.",
        .keys = &bert_keys,
        .names = &bert_names,
        .padding = ENCODER_PADDING_STATED,
        .has_types = true,
    },
    {
        .name = "xlm-roberta",
        .architectures = { "XLMRobertaModel", "XLMRobertaForMaskedLM" },
        .prefix = "roberta.",
        .keys = &bert_keys,
        .names = &bert_names,
        .padding = ENCODER_PADDING_STATED,
        .has_types = true,
    },
    {
        .name = "mpnet",
        .architectures = { "MPNetModel", "MPNetForMaskedLM" },
        .prefix = "mpnet.",
        .keys = &bert_keys,
        .names = &mpnet_names,
        .padding = ENCODER_PADDING_ONE,
        .has_relative = true,
    },
};
/* clang-format on */

const struct encoder_kind *encoder_kind_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (str_eq(name, str_of(kinds[i].name)))
            return &kinds[i];
    }
    return NULL;
}

const char *encoder_kind_list(struct encoder_kind_list *out)
{
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        int wrote = snprintf(out->text + at, sizeof(out->text) - at, "%s%s", i > 0 ? ", " : "",
                             kinds[i].name);
        CHECK(wrote > 0 && (size_t)wrote < sizeof(out->text) - at);
        at += (size_t)wrote;
    }
    return out->text;
}
