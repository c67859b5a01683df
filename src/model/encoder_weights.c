#include "model/encoder_weights.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/size.h"
#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 128 };

/* The words that the tables use for dimensions. */
enum dim {
    DIM_NONE,
    DIM_HIDDEN,
    DIM_INTERMEDIATE,
    DIM_VOCAB,
    DIM_PLACES,
    DIM_TYPES,
    DIM_BUCKETS,
    DIM_HEADS,
};

struct shape {
    enum dim dims[2];
};

static const struct shape shapes[ENCODER_TENSOR_COUNT] = {
#define X(ID, rows, columns)                                                                       \
    [ENCODER_##ID] = {                                                                             \
        {DIM_##rows, DIM_##columns}                                                              \
    },
    ENCODER_TENSORS(X)
#undef X
};

static const struct shape layer_shapes[ENCODER_LAYER_TENSOR_COUNT] = {
#define X(ID, rows, columns)                                                                       \
    [ENCODER_LAYER_##ID] = {                                                                       \
        {DIM_##rows, DIM_##columns}                                                              \
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
    case DIM_PLACES: return (int64_t)c->positions + c->position_offset;
    case DIM_TYPES: return c->types;
    case DIM_BUCKETS: return c->relative_buckets;
    case DIM_HEADS: return c->heads;
    }
    return 0;
}

/* Files from before 2020 call a norm's weight gamma and its bias beta. */
static const struct tensor *find(const struct weight_files *files, const char *name)
{
    static const struct {
        const char *now, *then;
    } endings[] = {
        {"LayerNorm.weight", "gamma"},
        { "LayerNorm.bias",  "beta" }
    };
    const struct tensor *t = weight_files_find(files, name);
    for (size_t i = 0; t == NULL && i < ARRAY_COUNT(endings); i++) {
        char old[NAME_BYTES];
        if (!str_ends(str_of(name), str_of(endings[i].now)))
            continue;
        int stem = (int)(strlen(name) - strlen(endings[i].now) + strlen("LayerNorm."));
        int length = snprintf(old, sizeof(old), "%.*s%s", stem, name, endings[i].then);
        CHECK(length > 0 && (size_t)length < sizeof(old));
        t = weight_files_find(files, old);
    }
    return t;
}

static enum weir_code bind(const struct weight_files *files, const struct encoder_config *config,
                           const char *name, const struct shape *shape, const struct tensor **out,
                           struct weir_error *err)
{
    const struct tensor *t = find(files, name);
    int64_t dims[2] = { dim_of(config, shape->dims[0]), dim_of(config, shape->dims[1]) };
    uint32_t rank = shape->dims[1] == DIM_NONE ? 1 : 2;
    enum weir_code code = safetensors_expect(t, name, dims, rank, err);
    if (code == WEIR_OK)
        *out = t;
    return code;
}

static enum weir_code bind_layer(const struct weight_files *files,
                                 const struct encoder_config *config, const char *prefix,
                                 uint32_t layer, const struct tensor **out, struct weir_error *err)
{
    const struct encoder_names *names = config->kind->names;
    for (size_t i = 0; i < ENCODER_LAYER_TENSOR_COUNT; i++) {
        char name[NAME_BYTES];
        int length = snprintf(name, sizeof(name), "%s%s%u.%s", prefix, names->layer, layer,
                              names->layer_tensors[i]);
        CHECK(length > 0 && (size_t)length < sizeof(name));
        enum weir_code code = bind(files, config, name, &layer_shapes[i], &out[i], err);
        if (code != WEIR_OK)
            return code;
    }
    return WEIR_OK;
}

static const char *prefix_of(const struct weight_files *files, const struct encoder_kind *kind)
{
    char name[NAME_BYTES];
    int length =
        snprintf(name, sizeof(name), "%s%s", kind->prefix, kind->names->tensors[ENCODER_WORDS]);
    CHECK(length > 0 && (size_t)length < sizeof(name));
    return weight_files_find(files, name) ? kind->prefix : "";
}

enum weir_code encoder_bind(const struct weight_files *files, const struct encoder_config *config,
                            struct encoder_bound *out, struct weir_error *err)
{
    struct encoder_bound b = { .layers = mem_new(config->layers, sizeof(*b.layers)) };
    const char *const *names = config->kind->names->tensors;
    const char *prefix = prefix_of(files, config->kind);
    enum weir_code code = WEIR_OK;
    for (size_t i = 0; code == WEIR_OK && i < ENCODER_TENSOR_COUNT; i++) {
        char name[NAME_BYTES];
        if (names[i] == NULL)
            continue;
        int length = snprintf(name, sizeof(name), "%s%s", prefix, names[i]);
        CHECK(length > 0 && (size_t)length < sizeof(name));
        code = bind(files, config, name, &shapes[i], &b.tensors[i], err);
    }
    for (uint32_t i = 0; code == WEIR_OK && i < config->layers; i++)
        code = bind_layer(files, config, prefix, i, b.layers[i], err);
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

/* The products of a layer, in the order in which they stand in the block. */
struct product {
    size_t at; /* of its struct packed in the layer */
    uint64_t columns, depth;
};

enum { PRODUCTS = 4 };

static void list_products(const struct encoder_config *c, struct product out[PRODUCTS])
{
    const struct product products[PRODUCTS] = {
        {offsetof(struct encoder_layer,  qkv),  3 * (uint64_t)c->hidden, c->hidden      },
        { offsetof(struct encoder_layer, mix),  c->hidden,               c->hidden      },
        { offsetof(struct encoder_layer, up),   c->intermediate,         c->hidden      },
        { offsetof(struct encoder_layer, down), c->hidden,               c->intermediate},
    };
    memcpy(out, products, sizeof(products));
}

static uint64_t distances_of(const struct encoder_config *c)
{
    return c->kind->has_relative ? 2 * (uint64_t)c->positions - 1 : 0;
}

/* Places and padding's, the embeddings' norm, two norms a layer, what distances add. */
static uint64_t vectors_floats(const struct encoder_config *c)
{
    return (uint64_t)c->hidden * (c->positions + UINT64_C(3) + 4 * (uint64_t)c->layers) +
           c->heads * distances_of(c);
}

bool encoder_weights_bytes(const struct encoder_config *c, const struct kernels *k,
                           enum precision precision, uint64_t *out_bytes)
{
    struct product products[PRODUCTS];
    uint64_t layer = 0, all;
    list_products(c, products);
    for (size_t i = 0; i < PRODUCTS; i++) {
        uint64_t bytes;
        if (!packed_bytes(k, precision, products[i].columns, products[i].depth, &bytes) ||
            !size_add(layer, bytes, &layer))
            return false;
    }
    if (!size_mul(layer, c->layers, &all) ||
        !size_add(all, vectors_floats(c) * sizeof(float) + PACKED_ALIGNMENT - 1, &all))
        return false;
    *out_bytes = all / PACKED_ALIGNMENT * PACKED_ALIGNMENT;
    return true;
}

uint64_t encoder_flops_per_token(const struct encoder_config *c)
{
    struct product products[PRODUCTS];
    uint64_t weights = 0;
    list_products(c, products);
    for (size_t i = 0; i < PRODUCTS; i++)
        weights += products[i].columns * products[i].depth;
    return 2 * weights * c->layers;
}

/* Takes `count` floats of the block; *at is the next free one. */
static const float *take(const float **at, size_t count)
{
    const float *taken = *at;
    *at += count;
    return taken;
}

static const char *view_layer(struct encoder_layer *layer, const struct encoder_config *c,
                              const struct kernels *k, enum precision precision, const char *block)
{
    struct product products[PRODUCTS];
    list_products(c, products);
    for (size_t i = 0; i < PRODUCTS; i++) {
        struct packed *p = (void *)((char *)layer + products[i].at);
        uint64_t bytes;
        CHECK(packed_bytes(k, precision, products[i].columns, products[i].depth, &bytes));
        packed_view(p, k, precision, products[i].columns, products[i].depth, block);
        block += bytes;
    }
    return block;
}

void encoder_weights_view(struct encoder_weights *w, const struct encoder_bound *bound,
                          const struct encoder_config *config, const struct kernels *k,
                          enum precision precision, const void *block)
{
    const size_t hidden = config->hidden;
    const char *products = block;
    memset(w, 0, sizeof(*w));
    w->words = *bound->tensors[ENCODER_WORDS];
    w->layers = mem_new(config->layers, sizeof(*w->layers));
    w->layer_count = config->layers;
    for (uint32_t i = 0; i < w->layer_count; i++)
        products = view_layer(&w->layers[i], config, k, precision, products);
    const float *at = (const void *)products;
    w->places = take(&at, config->positions * hidden);
    w->padding = take(&at, hidden);
    w->gain = take(&at, hidden);
    w->shift = take(&at, hidden);
    for (uint32_t i = 0; i < w->layer_count; i++) {
        struct encoder_layer *layer = &w->layers[i];
        layer->mix_gain = take(&at, hidden);
        layer->mix_shift = take(&at, hidden);
        layer->down_gain = take(&at, hidden);
        layer->down_shift = take(&at, hidden);
    }
    w->relative = take(&at, config->heads * (size_t)distances_of(config));
    CHECK(at == (const float *)(const void *)products + vectors_floats(config));
    if (config->position_offset == 0)
        w->padding = NULL;
    if (config->relative_buckets == 0)
        w->relative = NULL;
}

void encoder_weights_finish(struct encoder_weights *w)
{
    mem_free(w->layers);
    memset(w, 0, sizeof(*w));
}

/* Where a view of a block looks, the block may be written while it is made. */
static float *writable(void *block, const float *at)
{
    return (void *)((char *)block + ((const char *)at - (const char *)block));
}

static void fill_vector(void *block, const float *to, const struct tensor *t)
{
    dtype_to_f32(t->dtype, t->data, writable(block, to), (size_t)t->dims[0]);
}

/* All inputs are of token type 0, so what a position adds never changes. */
static void fill_place(float *to, const struct encoder_bound *b, size_t row, size_t hidden)
{
    const struct tensor *positions = b->tensors[ENCODER_POSITIONS],
                        *types = b->tensors[ENCODER_TYPES];
    dtype_to_f32(positions->dtype, tensor_row(positions, row), to, hidden);
    for (size_t i = 0; types && i < hidden; i++) {
        float type;
        const char *numbers = types->data;
        dtype_to_f32(types->dtype, numbers + i * dtype_size(types->dtype), &type, 1);
        to[i] += type;
    }
}

/* Half of the buckets are for keys before the query and the query itself, half for those behind it.
 * Half of these count single steps; the rest grow, each by the same factor, until all that is
 * farther falls into the last. In F32 as the models were trained: a logarithm that is rounded
 * otherwise moves a distance into the next bucket. */
static size_t bucket_of(int64_t distance)
{
    enum { SIDE = ENCODER_RELATIVE_BUCKETS / 2, EXACT = SIDE / 2 };
    size_t side = distance > 0 ? SIDE : 0;
    int64_t steps = distance > 0 ? distance : -distance;
    if (steps < EXACT)
        return side + (size_t)steps;
    float grown = logf((float)steps / EXACT) /
                  (float)log((double)ENCODER_RELATIVE_DISTANCE / EXACT) * (SIDE - EXACT);
    size_t bucket = EXACT + (size_t)grown;
    return side + (bucket < SIDE ? bucket : SIDE - 1);
}

static void fill_relative(float *to, const struct tensor *t, const struct encoder_config *c)
{
    const int64_t farthest = (int64_t)c->positions - 1;
    const size_t element = dtype_size(t->dtype);
    for (size_t head = 0; head < c->heads; head++) {
        for (int64_t distance = -farthest; distance <= farthest; distance++) {
            const char *row = tensor_row(t, bucket_of(distance));
            dtype_to_f32(t->dtype, row + head * element, to++, 1);
        }
    }
}

static void fill_layer(void *block, const struct encoder_layer *layer,
                       const struct tensor *const t[ENCODER_LAYER_TENSOR_COUNT],
                       const struct kernels *k, struct team *team)
{
    const size_t hidden = layer->mix.columns;
    const struct {
        const struct packed *to;
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
    for (size_t i = 0; i < ARRAY_COUNT(fills); i++)
        packed_fill(fills[i].to, writable(block, fills[i].to->panels), k, team, fills[i].at,
                    t[fills[i].weight], t[fills[i].bias]);
    fill_vector(block, layer->mix_gain, t[ENCODER_LAYER_MIX_GAIN]);
    fill_vector(block, layer->mix_shift, t[ENCODER_LAYER_MIX_SHIFT]);
    fill_vector(block, layer->down_gain, t[ENCODER_LAYER_DOWN_GAIN]);
    fill_vector(block, layer->down_shift, t[ENCODER_LAYER_DOWN_SHIFT]);
}

void encoder_weights_fill(void *block, const struct encoder_bound *bound,
                          const struct encoder_config *config, const struct kernels *k,
                          enum precision precision, struct team *team, void (*tick)(void *context),
                          void *context)
{
    struct encoder_weights w;
    encoder_weights_view(&w, bound, config, k, precision, block);
    for (uint32_t i = 0; i < config->layers; i++) {
        fill_layer(block, &w.layers[i], bound->layers[i], k, team);
        if (tick)
            tick(context);
    }
    float *places = writable(block, w.places);
    for (size_t i = 0; i < config->positions; i++)
        fill_place(places + i * config->hidden, bound, config->position_offset + i, config->hidden);
    if (w.padding)
        fill_place(writable(block, w.padding), bound, config->position_offset - 1, config->hidden);
    fill_vector(block, w.gain, bound->tensors[ENCODER_NORM_GAIN]);
    fill_vector(block, w.shift, bound->tensors[ENCODER_NORM_SHIFT]);
    if (w.relative)
        fill_relative(writable(block, w.relative), bound->tensors[ENCODER_RELATIVE], config);
    encoder_weights_finish(&w);
}
