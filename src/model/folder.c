#include "model/folder.h"

#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <string.h>

void folder_init(struct folder *f, const char *path)
{
    memset(f, 0, sizeof(*f));
    f->path = path;
}

void folder_finish(struct folder *f)
{
    for (size_t i = 0; i < f->count; i++) {
        mem_free(f->files[i].name);
        buffer_finish(&f->files[i].text);
        json_decref(f->files[i].json);
    }
    memset(f, 0, sizeof(*f));
}

static bool is_absence(int why)
{
    return why == ENOENT || why == ENOTDIR;
}

/* What is at a path that is no folder. */
static enum weir_code refuse_path(const char *path, struct weir_error *err)
{
    const struct str text = str_of(path);
    if (!file_exists(path) && is_absence(errno))
        return weir_fail(err, WEIR_LOAD_FAILED, "there is no model folder '%s'", path);
    if (!file_exists(path))
        return weir_fail_os(err, WEIR_LOAD_FAILED, errno, "cannot look at '%s'", path);
    if (str_ends(text, STR(".gguf")))
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "GGUF files are not served yet, only folders with config.json and "
                         "safetensors: '%s'",
                         path);
    return weir_fail(err, WEIR_LOAD_FAILED, "'%s' is a file, and a model is a folder", path);
}

enum weir_code folder_path(const struct folder *f, const char *name, char **out,
                           struct weir_error *err)
{
    if (!file_is_folder(f->path))
        return refuse_path(f->path, err);
    char *path = file_join(f->path, name);
    if (!file_exists(path)) {
        const int why = errno;
        const bool dangles = file_is_link(path);
        if (dangles || is_absence(why))
            weir_fail(err, WEIR_LOAD_FAILED, "the file '%.60s' is missing in '%s'%s", name, f->path,
                      dangles ? ": its link leads nowhere" : "");
        else
            weir_fail_os(err, WEIR_LOAD_FAILED, why, "cannot look at '%s'", path);
        mem_free(path);
        return WEIR_LOAD_FAILED;
    }
    *out = path;
    return WEIR_OK;
}

static enum weir_code read_file(struct folder *f, const char *name, size_t bytes_max,
                                struct folder_file **out, struct weir_error *err)
{
    char *path = NULL;
    if (f->count == FOLDER_FILES_MAX)
        return weir_fail(err, WEIR_LOAD_FAILED, "'%.60s' is one configuration file more than %d",
                         name, FOLDER_FILES_MAX);
    if (folder_path(f, name, &path, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    if (!file_is_regular(path)) { /* opening a device may be an act */
        weir_fail(err, WEIR_LOAD_FAILED, "'%s' is not a regular file", path);
        mem_free(path);
        return WEIR_LOAD_FAILED;
    }
    struct folder_file *file = &f->files[f->count];
    buffer_init(&file->text, bytes_max);
    enum weir_code code = file_read(path, &file->text, err);
    mem_free(path);
    if (code == WEIR_OK && file->text.len == 0)
        code = weir_fail(err, WEIR_LOAD_FAILED, "'%.60s' is empty (0 bytes)", name);
    if (code == WEIR_OK && folder_is_pointer(buffer_view(&file->text)))
        code = weir_fail(err, WEIR_LOAD_FAILED, "'%.60s': " FOLDER_POINTER_SAYS, name);
    if (code != WEIR_OK) {
        buffer_finish(&file->text);
        if (err)
            err->code = WEIR_LOAD_FAILED;
        return WEIR_LOAD_FAILED;
    }
    file->name = mem_copy_text(name, strlen(name));
    f->count++;
    *out = file;
    return WEIR_OK;
}

bool folder_is_pointer(struct str data)
{
    return str_starts(data, STR("version https://git-lfs"));
}

bool folder_is_inside(const char *name)
{
    return name[0] != '/' && strstr(name, "..") == NULL;
}

bool folder_has(const struct folder *f, const char *name)
{
    char *path = file_join(f->path, name);
    bool there = file_exists(path) || file_is_link(path) || !is_absence(errno);
    mem_free(path);
    return there;
}

enum weir_code folder_json(struct folder *f, const char *name, enum folder_need need,
                           struct field *out, struct weir_error *err)
{
    struct folder_file *file;
    json_error_t problem;
    size_t flags = JSON_REJECT_DUPLICATES;
    for (size_t i = 0; i < f->count; i++) {
        if (f->files[i].json == NULL || strcmp(f->files[i].name, name) != 0)
            continue;
        *out = (struct field){ .value = f->files[i].json };
        return WEIR_OK;
    }
    if (need != FOLDER_REQUIRED && file_is_folder(f->path) && !folder_has(f, name)) {
        *out = (struct field){ .value = NULL };
        return WEIR_OK;
    }
    if (need == FOLDER_OPTIONAL_REALS)
        flags |= JSON_DECODE_INT_AS_REAL;
    if (read_file(f, name, FOLDER_CONFIG_MAX, &file, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    file->json = json_loadb((const char *)file->text.data, file->text.len, flags, &problem);
    if (file->json == NULL)
        return weir_fail(err, WEIR_LOAD_FAILED, "'%.60s' is not valid JSON: %.80s in line %d", name,
                         problem.text, problem.line);
    *out = (struct field){ .value = file->json };
    return WEIR_OK;
}

enum weir_code folder_text(struct folder *f, const char *name, size_t bytes_max, struct str *out,
                           struct weir_error *err)
{
    struct folder_file *file;
    if (read_file(f, name, bytes_max, &file, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    *out = buffer_view(&file->text);
    return WEIR_OK;
}
