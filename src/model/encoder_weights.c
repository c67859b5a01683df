#include "model/encoder_weights.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/size.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 128, VECTORS_ALIGNMENT = 64 };

/* The words that the tables use for dimensions. */
enum dim { DIM_NONE, DIM_HIDDEN, DIM_INTERMEDIATE, DIM_VOCAB, DIM_POSITIONS, DIM_TYPES };

struct expected {
    const char *name;
    enum dim dims[2];
};

static const struct expected tensors[ENCODER_TENSOR_COUNT] = {
#define X(ID, name, rows, columns)                                                                 \
    [ENCODER_##ID] = {                                                                             \
        name, {DIM_##rows, DIM_##columns}                                                        \
    },
    ENCODER_TENSORS(X)
#undef X
};

static const struct expected layer_tensors[ENCODER_LAYER_TENSOR_COUNT] = {
#define X(ID, name, rows, columns)                                                                 \
    [ENCODER_LAYER_##ID] = {                                                                       \
        name, {DIM_##rows, DIM_##columns}                                                        \
    },
    ENCODER_LAYER_TENSORS(X)
#undef X
};

static int64_t dim_of(const struct encoder_config *c, enum dim dim)
{
    switch (dim) {
    case DIM_NONE: break;
    case DIM_HIDDEN: return c->hidden;
    case DIM_INTERMEDIATE: return c->intermediate;
    case DIM_VOCAB: return c->vocab;
    case DIM_POSITIONS: return c->positions;
    case DIM_TYPES: return c->types;
    }
    return 0;
}

/* Files from before 2020 call a norm's weight gamma and its bias beta. */
static const struct tensor *find(const struct safetensors *file, const char *name)
{
    static const struct {
        const char *now, *then;
    } endings[] = {
        {"LayerNorm.weight", "gamma"},
        { "LayerNorm.bias",  "beta" }
    };
    const struct tensor *t = safetensors_find(file, name);
    for (size_t i = 0; t == NULL && i < ARRAY_COUNT(endings); i++) {
        char old[NAME_BYTES];
        if (!str_ends(str_of(name), str_of(endings[i].now)))
            continue;
        int stem = (int)(strlen(name) - strlen(endings[i].now) + strlen("LayerNorm."));
        int length = snprintf(old, sizeof(old), "%.*s%s", stem, name, endings[i].then);
        CHECK(length > 0 && (size_t)length < sizeof(old));
        t = safetensors_find(file, old);
    }
    return t;
}

static enum weir_code bind(const struct safetensors *file, const struct encoder_config *config,
                           const char *name, const struct expected *expected,
                           const struct tensor **out, struct weir_error *err)
{
    const struct tensor *t = find(file, name);
    int64_t dims[2] = { dim_of(config, expected->dims[0]), dim_of(config, expected->dims[1]) };
    uint32_t rank = expected->dims[1] == DIM_NONE ? 1 : 2;
    struct shape_text wanted, found;
    if (t == NULL)
        return weir_fail(err, WEIR_LOAD_FAILED, "the tensor '%s' is missing", name);
    if (!dtype_is_float(t->dtype))
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "tensor '%s' is of type %s, it must be F32, F16 or BF16", name,
                         dtype_name(t->dtype));
    if (t->rank != rank || memcmp(t->dims, dims, rank * sizeof(dims[0])) != 0)
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "tensor '%s' has the shape %s, the configuration says %s", name,
                         tensor_shape(t->dims, t->rank, &found), tensor_shape(dims, rank, &wanted));
    *out = t;
    return WEIR_OK;
}

static enum weir_code bind_layer(const struct safetensors *file,
                                 const struct encoder_config *config, const char *prefix,
                                 uint32_t layer, const struct tensor **out, struct weir_error *err)
{
    for (size_t i = 0; i < ENCODER_LAYER_TENSOR_COUNT; i++) {
        char name[NAME_BYTES];
        int length = snprintf(name, sizeof(name), "%sencoder.layer.%u.%s", prefix, layer,
                              layer_tensors[i].name);
        CHECK(length > 0 && (size_t)length < sizeof(name));
        enum weir_code code = bind(file, config, name, &layer_tensors[i], &out[i], err);
        if (code != WEIR_OK)
            return code;
    }
    return WEIR_OK;
}

enum weir_code encoder_bind(const struct safetensors *file, const struct encoder_config *config,
                            struct encoder_bound *out, struct weir_error *err)
{
    struct encoder_bound b = { .layers = mem_new(config->layers, sizeof(*b.layers)) };
    const char *prefix =
        safetensors_find(file, "bert.embeddings.word_embeddings.weight") ? "bert." : "";
    enum weir_code code = WEIR_OK;
    for (size_t i = 0; code == WEIR_OK && i < ENCODER_TENSOR_COUNT; i++) {
        char name[NAME_BYTES];
        int length = snprintf(name, sizeof(name), "%s%s", prefix, tensors[i].name);
        CHECK(length > 0 && (size_t)length < sizeof(name));
        code = bind(file, config, name, &tensors[i], &b.tensors[i], err);
    }
    for (uint32_t i = 0; code == WEIR_OK && i < config->layers; i++)
        code = bind_layer(file, config, prefix, i, b.layers[i], err);
    if (code != WEIR_OK) {
        encoder_bound_finish(&b);
        return code;
    }
    *out = b;
    return WEIR_OK;
}

void encoder_bound_finish(struct encoder_bound *b)
{
    mem_free(b->layers);
    memset(b, 0, sizeof(*b));
}

/* places, the embeddings' norm, and two norms a layer. */
static uint64_t vectors_floats(const struct encoder_config *c)
{
    return (uint64_t)c->hidden * (c->positions + UINT64_C(2) + 4 * (uint64_t)c->layers);
}

static bool panels_bytes(const struct encoder_config *c, const struct kernels *k,
                         uint64_t *out_bytes)
{
    const struct {
        uint64_t columns, depth;
    } products[] = {
        {3 * (uint64_t)c->hidden, c->hidden      },
        { c->hidden,              c->hidden      },
        { c->intermediate,        c->hidden      },
        { c->hidden,              c->intermediate},
    };
    uint64_t layer = 0;
    for (size_t i = 0; i < ARRAY_COUNT(products); i++) {
        uint64_t bytes;
        if (!packed_bytes(k, PRECISION_F32, products[i].columns, products[i].depth, &bytes) ||
            !size_add(layer, bytes, &layer))
            return false;
    }
    return size_mul(layer, c->layers, out_bytes);
}

bool encoder_weights_bytes(const struct encoder_config *c, const struct kernels *k,
                           uint64_t *out_bytes)
{
    uint64_t all;
    if (!panels_bytes(c, k, &all) || !size_add(all, vectors_floats(c) * sizeof(float), &all) ||
        !size_add(all, c->layers * sizeof(struct encoder_layer), &all))
        return false;
    *out_bytes = all;
    return true;
}

/* Takes `count` floats of the block; *at is the next free one. */
static float *take(float **at, size_t count)
{
    float *taken = *at;
    *at += count;
    return taken;
}

static const float *take_vector(float **at, const struct tensor *t)
{
    float *taken = take(at, (size_t)t->dims[0]);
    dtype_to_f32(t->dtype, t->data, taken, (size_t)t->dims[0]);
    return taken;
}

/* All inputs are of token type 0, so what a position adds never changes. */
static const float *take_places(float **at, const struct encoder_bound *b,
                                const struct encoder_config *c, const struct kernels *k)
{
    float *places = take(at, (size_t)c->positions * c->hidden);
    float *type = *at; /* not taken: overwritten by what comes next */
    const struct tensor *positions = b->tensors[ENCODER_POSITIONS];
    const struct tensor *types = b->tensors[ENCODER_TYPES];
    dtype_to_f32(types->dtype, types->data, type, c->hidden);
    dtype_to_f32(positions->dtype, positions->data, places, (size_t)c->positions * c->hidden);
    for (size_t i = 0; i < c->positions; i++)
        k->add(places + i * c->hidden, type, c->hidden);
    return places;
}

/* *block is the next free byte of the packed products. */
static void pack_layer(struct encoder_layer *layer, char **block,
                       const struct tensor *const t[ENCODER_LAYER_TENSOR_COUNT],
                       const struct kernels *k, struct team *team)
{
    size_t hidden = (size_t)t[ENCODER_LAYER_MIX]->dims[0];
    size_t intermediate = (size_t)t[ENCODER_LAYER_UP]->dims[0];
    const struct {
        struct packed *to;
        size_t columns, depth;
    } products[] = {
        {&layer->qkv,   3 * hidden,   hidden      },
        { &layer->mix,  hidden,       hidden      },
        { &layer->up,   intermediate, hidden      },
        { &layer->down, hidden,       intermediate},
    };
    const struct {
        struct packed *to;
        size_t at;
        enum encoder_layer_tensor weight, bias;
    } fills[] = {
        {&layer->qkv,   0,          ENCODER_LAYER_QUERY, ENCODER_LAYER_QUERY_BIAS},
        { &layer->qkv,  hidden,     ENCODER_LAYER_KEY,   ENCODER_LAYER_KEY_BIAS  },
        { &layer->qkv,  2 * hidden, ENCODER_LAYER_VALUE, ENCODER_LAYER_VALUE_BIAS},
        { &layer->mix,  0,          ENCODER_LAYER_MIX,   ENCODER_LAYER_MIX_BIAS  },
        { &layer->up,   0,          ENCODER_LAYER_UP,    ENCODER_LAYER_UP_BIAS   },
        { &layer->down, 0,          ENCODER_LAYER_DOWN,  ENCODER_LAYER_DOWN_BIAS },
    };
    for (size_t i = 0; i < ARRAY_COUNT(products); i++) {
        uint64_t bytes;
        packed_view(products[i].to, k, PRECISION_F32, products[i].columns, products[i].depth,
                    *block);
        CHECK(packed_bytes(k, PRECISION_F32, products[i].columns, products[i].depth, &bytes));
        *block += bytes;
    }
    for (size_t i = 0; i < ARRAY_COUNT(fills); i++)
        packed_fill(fills[i].to, (void *)fills[i].to->panels, k, team, fills[i].at,
                    t[fills[i].weight], t[fills[i].bias]);
}

enum weir_code encoder_weights_init(struct encoder_weights *w, const struct encoder_bound *bound,
                                    const struct encoder_config *config, const struct kernels *k,
                                    struct team *team, void (*tick)(void *context), void *context,
                                    struct weir_error *err)
{
    enum weir_code code = WEIR_OK;
    uint64_t vector_bytes = vectors_floats(config) * sizeof(float), panel_bytes = 0;
    struct size_text text;
    memset(w, 0, sizeof(*w));
    w->words = *bound->tensors[ENCODER_WORDS];
    w->layers = mem_new(config->layers, sizeof(*w->layers));
    w->layer_count = config->layers;
    w->vectors = mem_try_aligned(vector_bytes, VECTORS_ALIGNMENT);
    if (w->vectors == NULL) {
        code = weir_fail(err, WEIR_NO_MEMORY, "no memory for %s of weights",
                         size_format(vector_bytes, &text));
        goto fail;
    }
    if (!panels_bytes(config, k, &panel_bytes))
        panel_bytes = UINT64_MAX;
    w->panels = mem_try_aligned(panel_bytes, PACKED_ALIGNMENT);
    if (w->panels == NULL) {
        code = weir_fail(err, WEIR_NO_MEMORY, "no memory for %s of packed weights",
                         size_format(panel_bytes, &text));
        goto fail;
    }
    float *at = w->vectors;
    char *block = w->panels;
    w->places = take_places(&at, bound, config, k);
    w->gain = take_vector(&at, bound->tensors[ENCODER_NORM_GAIN]);
    w->shift = take_vector(&at, bound->tensors[ENCODER_NORM_SHIFT]);
    for (uint32_t i = 0; i < config->layers; i++) {
        const struct tensor *const *t = bound->layers[i];
        struct encoder_layer *layer = &w->layers[i];
        layer->mix_gain = take_vector(&at, t[ENCODER_LAYER_MIX_GAIN]);
        layer->mix_shift = take_vector(&at, t[ENCODER_LAYER_MIX_SHIFT]);
        layer->down_gain = take_vector(&at, t[ENCODER_LAYER_DOWN_GAIN]);
        layer->down_shift = take_vector(&at, t[ENCODER_LAYER_DOWN_SHIFT]);
        pack_layer(layer, &block, t, k, team);
        if (tick)
            tick(context);
    }
    CHECK(at == w->vectors + vectors_floats(config));
    return WEIR_OK;

fail:
    encoder_weights_finish(w);
    return code;
}

void encoder_weights_finish(struct encoder_weights *w)
{
    mem_free(w->layers);
    mem_free(w->vectors);
    mem_free(w->panels);
    memset(w, 0, sizeof(*w));
}
