#include "model/weight_files.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = WEIGHT_FILES_NAME_BYTES };

static const char single_name[] = "model.safetensors";
static const char index_name[] = "model.safetensors.index.json";
static const char pickle_name[] = "pytorch_model.bin";

/* "folder/name", or the name alone. False when it is too long. */
static bool join(char out[NAME_BYTES], const char *folder, const char *name)
{
    int length = snprintf(out, NAME_BYTES, "%s%s%s", folder, *folder ? "/" : "", name);
    return length > 0 && length < NAME_BYTES;
}

static enum weir_code add_file(const struct folder *f, const char *name, struct weight_files *w,
                               struct weir_error *err)
{
    char *path = NULL;
    if (folder_path(f, name, &path, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    enum weir_code code = safetensors_open(path, &w->files[w->count], err);
    mem_free(path);
    if (code != WEIR_OK)
        return code;
    w->bytes += w->files[w->count].map.size;
    w->count++;
    return WEIR_OK;
}

static const char *file_name(const struct safetensors *s)
{
    const char *slash = strrchr(s->path, '/');
    return slash ? slash + 1 : s->path;
}

/* The shard of that name, opened when it is seen for the first time. */
static enum weir_code open_shard(const struct folder *f, const char *folder, struct str name,
                                 struct weight_files *w, struct safetensors **out,
                                 struct weir_error *err)
{
    char path[NAME_BYTES];
    struct str quote = field_quote(name);
    for (size_t i = 0; i < w->count; i++) {
        if (str_eq(name, str_of(file_name(&w->files[i])))) {
            *out = &w->files[i];
            return WEIR_OK;
        }
    }
    if (name.len == 0 || strlen(name.data) != name.len || strchr(name.data, '/') != NULL ||
        !folder_is_inside(name.data) || !join(path, folder, name.data))
        return weir_fail(err, WEIR_LOAD_FAILED, "'%.*s' is not the name of a file in this folder",
                         STR_ARG(quote));
    if (w->count == WEIGHT_FILES_MAX)
        return weir_fail(err, WEIR_LOAD_FAILED, "'%.*s' is one shard more than %d", STR_ARG(quote),
                         WEIGHT_FILES_MAX);
    if (add_file(f, path, w, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    *out = &w->files[w->count - 1];
    return WEIR_OK;
}

static enum weir_code check_twice(const struct weight_files *w, struct weir_error *err)
{
    for (size_t i = 1; i < w->count; i++) {
        for (size_t k = 0; k < w->files[i].count; k++) {
            const char *name = w->files[i].entries[k].name;
            size_t earlier = 0;
            while (earlier < i && safetensors_find(&w->files[earlier], name) == NULL)
                earlier++;
            if (earlier < i)
                return weir_fail(err, WEIR_LOAD_FAILED,
                                 "tensor '%.80s' is in '%.40s' and in '%.40s'", name,
                                 file_name(&w->files[earlier]), file_name(&w->files[i]));
        }
    }
    return WEIR_OK;
}

static enum weir_code open_shards(const struct folder *f, const char *folder,
                                  const struct field *index, struct weight_files *w,
                                  struct weir_error *err)
{
    struct field map = field_of(index, "weight_map");
    const char *name;
    json_t *value;
    if (field_need_object(index, err) != WEIR_OK || field_need_object(&map, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    if (json_object_size(map.value) == 0)
        return weir_fail(err, WEIR_LOAD_FAILED, "weight_map lists no tensor");
    /* Jansson walks by a pointer that may change the object; here nothing changes it. */
    json_object_foreach((json_t *)(uintptr_t)map.value, name, value) {
        struct field item = { .value = value, .parent = &map, .name = name };
        struct safetensors *shard = NULL;
        struct str file;
        if (field_text_here(&item, &file, err) != WEIR_OK ||
            open_shard(f, folder, file, w, &shard, err) != WEIR_OK)
            return WEIR_LOAD_FAILED;
        if (safetensors_find(shard, name) == NULL)
            return weir_fail(err, WEIR_LOAD_FAILED, "tensor '%.80s' is not in its shard '%.60s'",
                             name, file_name(shard));
    }
    return check_twice(w, err);
}

enum weir_code weight_files_open(struct folder *f, const char *folder, struct weight_files *out,
                                 struct weir_error *err)
{
    char single[NAME_BYTES] = "", index[NAME_BYTES] = "", pickle[NAME_BYTES] = "";
    struct weight_files w = { .files = NULL };
    struct field list = { .value = NULL };
    if (!join(single, folder, single_name) || !join(index, folder, index_name) ||
        !join(pickle, folder, pickle_name))
        return weir_fail(err, WEIR_LOAD_FAILED, "the folder's name '%.60s' is too long", folder);
    enum weir_code code = WEIR_OK;
    if (!folder_has(f, single))
        code = folder_json(f, index, FOLDER_OPTIONAL, &list, err);
    if (code != WEIR_OK)
        return code;
    if (list.value == NULL && !folder_has(f, single) && folder_has(f, pickle))
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "there is '%.80s', but weights are read from '%.80s' only", pickle,
                         single);
    memcpy(w.name, list.value ? index : single, NAME_BYTES);
    w.files = mem_new(list.value ? WEIGHT_FILES_MAX : 1, sizeof(*w.files));
    if (list.value == NULL) {
        code = add_file(f, single, &w, err);
    } else {
        code = open_shards(f, folder, &list, &w, err);
        if (code != WEIR_OK)
            weir_wrap(err, "'%.80s'", index);
    }
    if (code != WEIR_OK) {
        weight_files_close(&w);
        return WEIR_LOAD_FAILED;
    }
    *out = w;
    return WEIR_OK;
}

void weight_files_close(struct weight_files *w)
{
    for (size_t i = 0; i < w->count; i++)
        safetensors_close(&w->files[i]);
    mem_free(w->files);
    memset(w, 0, sizeof(*w));
}

const struct tensor *weight_files_find(const struct weight_files *w, const char *name)
{
    const struct tensor *t = NULL;
    for (size_t i = 0; t == NULL && i < w->count; i++)
        t = safetensors_find(&w->files[i], name);
    return t;
}
