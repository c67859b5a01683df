#include "model/safetensors.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/reader.h"
#include "model/folder.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* As much of a foreign name as an error has room for. */
#define NAME_SHOWN "%.80s"

/* A header being read: where errors get their names from. */
struct reading {
    struct safetensors *file;
    uint64_t data_bytes;
    struct weir_error *err;
};

static bool offset_of(const json_t *offsets, size_t index, uint64_t *out)
{
    const json_t *value = json_array_get(offsets, index);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

/* Read first, so that whatever else is wrong can be found in the file. */
static enum weir_code read_offsets(const struct reading *r, const json_t *info,
                                   struct safetensors_entry *e)
{
    const json_t *offsets = json_object_get(info, "data_offsets");
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 ||
        !offset_of(offsets, 0, &e->begin) || !offset_of(offsets, 1, &e->end) || e->begin > e->end)
        return weir_fail(r->err, WEIR_LOAD_FAILED,
                         "'data_offsets' of tensor '" NAME_SHOWN
                         "' are not two ascending numbers from 0 on",
                         e->name);
    if (e->end > r->data_bytes)
        return weir_fail(r->err, WEIR_LOAD_FAILED,
                         "tensor '" NAME_SHOWN "' ends at offset %" PRIu64
                         " of the data, the file has %" PRIu64 " bytes of it",
                         e->name, e->end, r->data_bytes);
    e->tensor.data = r->file->map.data + r->file->header_bytes + e->begin;
    return WEIR_OK;
}

static enum weir_code read_dtype(const struct reading *r, const json_t *info,
                                 struct safetensors_entry *e)
{
    const json_t *dtype = json_object_get(info, "dtype");
    if (!json_is_string(dtype))
        return weir_fail(r->err, WEIR_LOAD_FAILED,
                         "tensor '" NAME_SHOWN "' at offset %" PRIu64
                         " of the data has no text 'dtype'",
                         e->name, e->begin);
    struct str name = { json_string_value(dtype), json_string_length(dtype) };
    if (!dtype_parse(name, &e->tensor.dtype))
        return weir_fail(r->err, WEIR_LOAD_FAILED,
                         "tensor '" NAME_SHOWN "' at offset %" PRIu64
                         " of the data is of type '%.20s', which is not supported",
                         e->name, e->begin, name.data);
    return WEIR_OK;
}

static enum weir_code read_shape(const struct reading *r, const json_t *info,
                                 struct safetensors_entry *e)
{
    const json_t *shape = json_object_get(info, "shape");
    if (!json_is_array(shape) || json_array_size(shape) > TENSOR_RANK_MAX)
        return weir_fail(r->err, WEIR_LOAD_FAILED,
                         "tensor '" NAME_SHOWN "' at offset %" PRIu64
                         " of the data has no 'shape' of at most %d dimensions",
                         e->name, e->begin, TENSOR_RANK_MAX);
    e->tensor.rank = (uint32_t)json_array_size(shape);
    for (uint32_t i = 0; i < e->tensor.rank; i++) {
        const json_t *dim = json_array_get(shape, i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return weir_fail(r->err, WEIR_LOAD_FAILED,
                             "dimension %u of tensor '" NAME_SHOWN "' at offset %" PRIu64
                             " of the data is not a number from 0 on",
                             i, e->name, e->begin);
        e->tensor.dims[i] = json_integer_value(dim);
    }
    return WEIR_OK;
}

static enum weir_code check_bytes(const struct reading *r, const struct safetensors_entry *e)
{
    uint64_t bytes;
    struct shape_text text;
    if (!tensor_bytes(&e->tensor, &bytes) || bytes != e->end - e->begin)
        return weir_fail(r->err, WEIR_LOAD_FAILED,
                         "tensor '" NAME_SHOWN
                         "' of type %s and shape %s does not have the %" PRIu64
                         " bytes of its offsets %" PRIu64 " to %" PRIu64,
                         e->name, dtype_name(e->tensor.dtype),
                         tensor_shape(e->tensor.dims, e->tensor.rank, &text), e->end - e->begin,
                         e->begin, e->end);
    return WEIR_OK;
}

static enum weir_code read_tensor(const struct reading *r, const char *name, const json_t *info)
{
    struct safetensors_entry *e = &r->file->entries[r->file->count];
    memset(e, 0, sizeof(*e));
    e->name = mem_copy_text(name, strlen(name));
    r->file->count++;
    if (!json_is_object(info) || json_object_size(info) != 3)
        return weir_fail(r->err, WEIR_LOAD_FAILED,
                         "tensor '" NAME_SHOWN
                         "' is not described by dtype, shape and data_offsets alone",
                         e->name);
    enum weir_code code = read_offsets(r, info, e);
    if (code == WEIR_OK)
        code = read_dtype(r, info, e);
    if (code == WEIR_OK)
        code = read_shape(r, info, e);
    return code == WEIR_OK ? check_bytes(r, e) : code;
}

static enum weir_code check_metadata(const struct reading *r, json_t *metadata)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        return weir_fail(r->err, WEIR_LOAD_FAILED, "'__metadata__' is not an object");
    json_object_foreach(metadata, key, value) {
        if (!json_is_string(value))
            return weir_fail(r->err, WEIR_LOAD_FAILED,
                             "'" NAME_SHOWN "' of '__metadata__' is not a text", key);
    }
    return WEIR_OK;
}

static enum weir_code read_entries(const struct reading *r, json_t *root)
{
    struct safetensors *s = r->file;
    enum weir_code code = WEIR_OK;
    const char *name;
    json_t *info;
    s->entries = mem_try(json_object_size(root), sizeof(*s->entries));
    if (s->entries == NULL)
        return weir_fail(r->err, WEIR_NO_MEMORY, "no memory for the names of %zu tensors",
                         json_object_size(root));
    json_object_foreach(root, name, info) {
        code = strcmp(name, "__metadata__") == 0 ? check_metadata(r, info)
                                                 : read_tensor(r, name, info);
        if (code != WEIR_OK)
            return code;
    }
    return code;
}

static int by_offset(const void *a, const void *b)
{
    const struct safetensors_entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* The format knows neither gaps nor overlaps: in the order of their data the tensors cover it. */
static enum weir_code check_cover(const struct reading *r)
{
    struct safetensors *s = r->file;
    uint64_t covered = 0;
    if (s->count > 0)
        qsort(s->entries, s->count, sizeof(*s->entries), by_offset);
    for (size_t i = 0; i < s->count; i++) {
        const struct safetensors_entry *e = &s->entries[i];
        if (e->begin != covered)
            return weir_fail(r->err, WEIR_LOAD_FAILED,
                             "tensor '" NAME_SHOWN "' begins at offset %" PRIu64
                             " of the data, the tensors before it end at %" PRIu64,
                             e->name, e->begin, covered);
        covered = e->end;
    }
    if (covered != r->data_bytes)
        return weir_fail(r->err, WEIR_LOAD_FAILED,
                         "the tensors end at offset %" PRIu64 " of the data, the file has %" PRIu64
                         " bytes of it",
                         covered, r->data_bytes);
    return WEIR_OK;
}

static enum weir_code read_header(struct safetensors *s, struct weir_error *err)
{
    struct reader reader = reader_of(s->map.data, s->map.size);
    uint64_t length = reader_u64(&reader);
    if (!reader_ok(&reader))
        return weir_fail(err, WEIR_LOAD_FAILED, "the file has %zu bytes, a header takes more",
                         s->map.size);
    if (folder_is_pointer((struct str){ (const char *)s->map.data, s->map.size }))
        return weir_fail(err, WEIR_LOAD_FAILED, FOLDER_POINTER_SAYS);
    if (length == 0 || length > SAFETENSORS_HEADER_BYTES_MAX)
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "the header states a length of %" PRIu64 ", the limits are 1 and %" PRIu64,
                         length, SAFETENSORS_HEADER_BYTES_MAX);
    const uint8_t *text = reader_bytes(&reader, length);
    if (text == NULL)
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "the header states a length of %" PRIu64
                         ", the file has %zu bytes after it",
                         length, s->map.size - sizeof(length));
    s->header_bytes = sizeof(length) + length;
    struct reading r = { .file = s, .data_bytes = s->map.size - s->header_bytes, .err = err };
    json_error_t problem;
    json_t *root = json_loadb((const char *)text, length, JSON_REJECT_DUPLICATES, &problem);
    if (root == NULL)
        return weir_fail(err, WEIR_LOAD_FAILED, "the header is not valid JSON: %.80s at byte %d",
                         problem.text, problem.position);
    enum weir_code code = WEIR_LOAD_FAILED;
    if (text[0] != '{')
        weir_fail(err, code, "the header does not begin with '{'");
    else
        code = read_entries(&r, root);
    json_decref(root);
    return code == WEIR_OK ? check_cover(&r) : code;
}

enum weir_code safetensors_open(const char *path, struct safetensors *out, struct weir_error *err)
{
    struct safetensors s = { .path = NULL };
    if (file_map_open(path, &s.map, err) != WEIR_OK) {
        if (err)
            err->code = WEIR_LOAD_FAILED;
        return WEIR_LOAD_FAILED;
    }
    map_init(&s.by_name);
    s.path = mem_copy_text(path, strlen(path));
    enum weir_code code = read_header(&s, err);
    if (code != WEIR_OK) {
        const char *slash = strrchr(path, '/');
        weir_wrap(err, "'%.60s'", slash ? slash + 1 : path);
        safetensors_close(&s);
        return code;
    }
    for (size_t i = 0; i < s.count; i++)
        map_put(&s.by_name, str_of(s.entries[i].name), &s.entries[i]);
    *out = s;
    return WEIR_OK;
}

void safetensors_close(struct safetensors *s)
{
    for (size_t i = 0; i < s->count; i++)
        mem_free(s->entries[i].name);
    mem_free(s->entries);
    mem_free(s->path);
    map_finish(&s->by_name);
    file_unmap(&s->map);
    memset(s, 0, sizeof(*s));
}

const struct tensor *safetensors_find(const struct safetensors *s, const char *name)
{
    const struct safetensors_entry *e = map_get(&s->by_name, str_of(name));
    return e ? &e->tensor : NULL;
}

static uint64_t begin_of(const struct tensor *t)
{
    return CONTAINER_OF(t, const struct safetensors_entry, tensor)->begin;
}

enum weir_code safetensors_expect(const struct tensor *t, const char *name, const int64_t *dims,
                                  uint32_t rank, struct weir_error *err)
{
    struct shape_text wanted, found;
    if (t == NULL)
        return weir_fail(err, WEIR_LOAD_FAILED, "the tensor '%s' is missing", name);
    if (!dtype_is_float(t->dtype))
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "tensor '%s' at offset %" PRIu64
                         " of the data is of type %s, it must be F32, F16 or BF16",
                         name, begin_of(t), dtype_name(t->dtype));
    if (t->rank != rank || memcmp(t->dims, dims, rank * sizeof(dims[0])) != 0)
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "tensor '%s' at offset %" PRIu64
                         " of the data has the shape %s, the configuration says %s",
                         name, begin_of(t), tensor_shape(t->dims, t->rank, &found),
                         tensor_shape(dims, rank, &wanted));
    return WEIR_OK;
}

struct str safetensors_header(const struct safetensors *s)
{
    return (struct str){ (const char *)s->map.data, (size_t)s->header_bytes };
}
