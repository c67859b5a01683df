#include "model/modules.h"

#include "base/check.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

enum { DENSE_WIDTH_MAX = 1 << 16, PATH_BYTES = 192 };

static const struct {
    const char *name, *flag;
} poolings[POOLING_COUNT] = {
#define X(ID, name, flag) [POOLING_##ID] = { name, flag },
    POOLINGS(X)
#undef X
};

static const char *const activations[DENSE_ACTIVATION_COUNT] = {
#define X(ID, name) [DENSE_##ID] = name,
    DENSE_ACTIVATIONS(X)
#undef X
};

/* A field of an older or newer version of the library: NULL value when neither is there. */
static struct field either(const struct field *object, const char *name, const char *other)
{
    struct field f = field_of(object, name);
    return f.value ? f : field_of(object, other);
}

static bool is_unset(const struct field *f)
{
    return f->value == NULL || json_is_null(f->value);
}

/* A module reads and writes the vector of the sentence unless its file says otherwise. */
static enum weir_code check_names(const struct field *config, struct weir_error *err)
{
    static const char *const names[] = { "module_input_name", "module_output_name" };
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct field f = field_of(config, names[i]);
        struct str text;
        if (is_unset(&f))
            continue;
        if (field_text_here(&f, &text, err) != WEIR_OK)
            return WEIR_LOAD_FAILED;
        struct str quote = field_quote(text);
        if (!str_eq(text, STR("sentence_embedding")))
            return weir_fail(err, WEIR_LOAD_FAILED,
                             "%s '%.*s' is not supported, only 'sentence_embedding' is", names[i],
                             STR_ARG(quote));
    }
    return WEIR_OK;
}

static enum weir_code add_pooling(struct modules *m, const struct field *f, struct weir_error *err)
{
    struct str name;
    if (field_text_here(f, &name, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    if (m->pooling_count == MODULES_POOLINGS_MAX)
        return weir_fail(err, WEIR_LOAD_FAILED, "pooling_mode lists more than %d ways",
                         MODULES_POOLINGS_MAX);
    for (size_t i = 0; i < POOLING_COUNT; i++) {
        if (str_eq(name, str_of(poolings[i].name))) {
            m->poolings[m->pooling_count++] = (enum pooling)i;
            return WEIR_OK;
        }
    }
    struct str quote = field_quote(name);
    return weir_fail(err, WEIR_LOAD_FAILED, "pooling_mode '%.*s' is not supported", STR_ARG(quote));
}

/* Newer files: one name, or a list of them. */
static enum weir_code read_pooling_names(struct modules *m, const struct field *mode,
                                         struct weir_error *err)
{
    enum weir_code code = WEIR_OK;
    if (!json_is_array(mode->value))
        return add_pooling(m, mode, err);
    for (size_t i = 0; code == WEIR_OK && i < json_array_size(mode->value); i++) {
        struct field item = field_at(mode, i);
        code = add_pooling(m, &item, err);
    }
    if (code == WEIR_OK && m->pooling_count == 0)
        code = weir_fail(err, WEIR_LOAD_FAILED, "pooling_mode is an empty list");
    return code;
}

/* Older files: a flag for each way. With none of them on it is the mean. */
static enum weir_code read_pooling_flags(struct modules *m, const struct field *config,
                                         struct weir_error *err)
{
    static const char flag[] = "pooling_mode_";
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)config->value, key, value) {
        size_t i = 0;
        if (strncmp(key, flag, strlen(flag)) != 0 || json_is_false(value))
            continue;
        while (i < POOLING_COUNT && strcmp(key, poolings[i].flag) != 0)
            i++;
        if (i == POOLING_COUNT)
            return weir_fail(err, WEIR_LOAD_FAILED, "%.60s is on, which is not supported", key);
    }
    for (size_t i = 0; i < POOLING_COUNT; i++) {
        bool on = false;
        if (field_of(config, poolings[i].flag).value != NULL &&
            field_bool(config, poolings[i].flag, &on, err) != WEIR_OK)
            return WEIR_LOAD_FAILED;
        if (on)
            m->poolings[m->pooling_count++] = (enum pooling)i;
    }
    if (m->pooling_count == 0)
        m->poolings[m->pooling_count++] = POOLING_MEAN;
    return WEIR_OK;
}

static enum weir_code read_pooling(struct modules *m, const struct field *config, uint32_t hidden,
                                   struct weir_error *err)
{
    if (field_need_object(config, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    struct field mode = field_of(config, "pooling_mode");
    struct field width = either(config, "embedding_dimension", "word_embedding_dimension");
    struct field prompt = field_of(config, "include_prompt");
    int64_t dim;
    enum weir_code code =
        is_unset(&mode) ? read_pooling_flags(m, config, err) : read_pooling_names(m, &mode, err);
    if (code == WEIR_OK && width.value != NULL)
        code = field_integer(&width, hidden, hidden, &dim, err);
    if (code == WEIR_OK && prompt.value != NULL)
        code = field_bool(config, "include_prompt", &m->pools_prompt, err);
    m->dim = hidden * (uint32_t)m->pooling_count;
    return code;
}

/* A class by its full name; the library's own choice where the file names none. */
static enum weir_code read_activation(const struct field *config, enum dense_activation *out,
                                      struct weir_error *err)
{
    struct field f = field_of(config, "activation_function");
    struct str name;
    *out = DENSE_TANH;
    if (f.value == NULL)
        return WEIR_OK;
    if (field_text_here(&f, &name, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    const char *dot = strrchr(name.data, '.');
    for (size_t i = 0; dot && i < DENSE_ACTIVATION_COUNT; i++) {
        if (str_starts(name, STR("torch.nn.")) && strcmp(dot + 1, activations[i]) == 0) {
            *out = (enum dense_activation)i;
            return WEIR_OK;
        }
    }
    struct str quote = field_quote(name);
    return weir_fail(err, WEIR_LOAD_FAILED,
                     "activation_function '%.*s' is not supported, only Identity, Tanh, GELU and "
                     "ReLU of torch.nn are",
                     STR_ARG(quote));
}

static enum weir_code read_dense(struct module *module, const struct field *config, uint32_t depth,
                                 struct weir_error *err)
{
    int64_t in, out;
    if (field_need_object(config, err) != WEIR_OK || check_names(config, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    struct field in_features = field_of(config, "in_features");
    struct field out_features = field_of(config, "out_features");
    module->has_bias = true;
    if (field_integer(&in_features, depth, depth, &in, err) != WEIR_OK ||
        field_integer(&out_features, 1, DENSE_WIDTH_MAX, &out, err) != WEIR_OK ||
        (field_of(config, "bias").value != NULL &&
         field_bool(config, "bias", &module->has_bias, err) != WEIR_OK) ||
        read_activation(config, &module->activation, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    if (json_is_true(field_of(config, "use_residual").value))
        return weir_fail(err, WEIR_LOAD_FAILED, "use_residual is on, which is not supported");
    module->depth = (uint32_t)in;
    module->columns = (uint32_t)out;
    return WEIR_OK;
}

/* What modules.json is being read into. */
struct reading {
    struct folder *folder;
    struct modules *modules;
    uint32_t hidden;
    bool transformed, pooled;
};

static enum weir_code read_step(struct reading *r, const char *path, bool is_dense,
                                const struct field *config, struct weir_error *err)
{
    struct modules *m = r->modules;
    if (m->count == MODULES_MAX)
        return weir_fail(err, WEIR_LOAD_FAILED, "there are more than %d modules", MODULES_MAX);
    struct module *module = &m->list[m->count];
    enum weir_code code = WEIR_OK;
    module->kind = is_dense ? MODULE_DENSE : MODULE_NORMALIZE;
    module->columns = m->dim;
    if (is_dense)
        code = read_dense(module, config, m->dim, err);
    else if (config->value != NULL)
        code = check_names(config, err);
    if (code != WEIR_OK)
        return code;
    str_print(module->folder, sizeof(module->folder), "%s", path);
    m->count++;
    m->dim = module->columns;
    if (m->dim > m->dim_most)
        m->dim_most = m->dim;
    return WEIR_OK;
}

/* Pooling, Dense or Normalize, with the config.json of its folder. */
static enum weir_code read_after(struct reading *r, const char *kind, const char *path,
                                 struct weir_error *err)
{
    char name[PATH_BYTES];
    struct field config;
    const bool pools = strcmp(kind, "Pooling") == 0, is_dense = strcmp(kind, "Dense") == 0;
    if (pools && r->pooled)
        return weir_fail(err, WEIR_LOAD_FAILED, "there is more than one Pooling module");
    if (!r->transformed || (!pools && !r->pooled))
        return weir_fail(err, WEIR_LOAD_FAILED, "the module %s comes before %s", kind,
                         r->transformed ? "Pooling" : "Transformer");
    /* The path comes from a file: it may lead deeper, never out. */
    int length = snprintf(name, sizeof(name), "%s/config.json", path);
    if (*path == '\0' || !folder_is_inside(path) ||
        strlen(path) >= sizeof(r->modules->list[0].folder) || length < 0 ||
        (size_t)length >= sizeof(name))
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "the folder '%.60s' of a module is not inside the model's", path);
    const bool is_needed = pools || is_dense;
    if (folder_json(r->folder, name, is_needed ? FOLDER_REQUIRED : FOLDER_OPTIONAL, &config, err) !=
        WEIR_OK)
        return WEIR_LOAD_FAILED;
    enum weir_code code;
    if (pools)
        code = read_pooling(r->modules, &config, r->hidden, err);
    else
        code = read_step(r, path, is_dense, &config, err);
    r->pooled = true;
    if (code != WEIR_OK)
        weir_wrap(err, "'%.80s'", name);
    return code;
}

/* One row of modules.json, by the last part of its type's name. */
static enum weir_code read_module(struct reading *r, const struct field *module,
                                  struct weir_error *err)
{
    static const char library[] = "sentence_transformers.";
    static const char *const kinds[] = { "Transformer", "Pooling", "Dense", "Normalize",
                                         "Dropout" };
    struct str type, path;
    if (field_need_object(module, err) != WEIR_OK ||
        field_text(module, "type", &type, err) != WEIR_OK ||
        field_text(module, "path", &path, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    const char *dot = strrchr(type.data, '.');
    const char *kind = dot ? dot + 1 : type.data;
    size_t i = 0;
    while (i < ARRAY_COUNT(kinds) && strcmp(kind, kinds[i]) != 0)
        i++;
    if (i == ARRAY_COUNT(kinds) || strncmp(type.data, library, strlen(library)) != 0)
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "module '%.80s' is not supported, only Transformer, Pooling, Dense, "
                         "Normalize and Dropout of sentence_transformers are",
                         type.data);
    if (strcmp(kind, "Dropout") == 0)
        return WEIR_OK;
    if (strcmp(kind, "Transformer") != 0)
        return read_after(r, kind, path.data, err);
    if (r->transformed)
        return weir_fail(err, WEIR_LOAD_FAILED, "there is more than one Transformer module");
    if (path.len > 0)
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "the Transformer's path is '%.60s', only the model's folder itself is "
                         "supported",
                         path.data);
    r->transformed = true;
    return WEIR_OK;
}

/* A bare encoder: the mean, to unit length. Its pooling may still be configured. */
static enum weir_code read_bare(struct reading *r, struct weir_error *err)
{
    static const char name[] = "1_Pooling/config.json";
    struct field config, none = { .value = NULL };
    if (folder_json(r->folder, name, FOLDER_OPTIONAL, &config, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    r->modules->poolings[0] = POOLING_MEAN;
    r->modules->dim = r->hidden;
    if (config.value == NULL) {
        r->modules->pooling_count = 1;
    } else if (read_pooling(r->modules, &config, r->hidden, err) != WEIR_OK) {
        weir_wrap(err, "'%s'", name);
        return WEIR_LOAD_FAILED;
    }
    return read_step(r, "", false, &none, err);
}

static enum weir_code read_list(struct reading *r, const struct field *list, struct weir_error *err)
{
    enum weir_code code = field_need_array(list, err);
    for (size_t i = 0; code == WEIR_OK && i < json_array_size(list->value); i++) {
        struct field module = field_at(list, i);
        code = read_module(r, &module, err);
    }
    if (code == WEIR_OK && !r->pooled)
        code = weir_fail(err, WEIR_LOAD_FAILED, "there is no Pooling module");
    if (code != WEIR_OK)
        weir_wrap(err, "'modules.json'");
    return code;
}

enum weir_code modules_read(struct folder *f, uint32_t hidden, struct modules *out,
                            struct weir_error *err)
{
    struct modules m;
    struct field list;
    memset(&m, 0, sizeof(m));
    m.pools_prompt = true;
    struct reading r = { .folder = f, .modules = &m, .hidden = hidden };
    if (folder_json(f, "modules.json", FOLDER_OPTIONAL, &list, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    if ((list.value ? read_list(&r, &list, err) : read_bare(&r, err)) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    const uint32_t pooled = hidden * (uint32_t)m.pooling_count;
    if (pooled > m.dim_most)
        m.dim_most = pooled;
    *out = m;
    return WEIR_OK;
}
