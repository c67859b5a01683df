#include "cmd/model_ref.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"
#include "cmd/folders.h"

#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX 200 /* what the pool takes */

bool model_ref_is_path(const char *text)
{
    static const char *const begins[] = { "/", "./", "../", "~", "fake:" };
    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
        if (strncmp(text, begins[i], strlen(begins[i])) == 0)
            return true;
    }
    return strcmp(text, ".") == 0 || strcmp(text, "..") == 0;
}

static bool is_word(struct str s, const char *more)
{
    for (size_t i = 0; i < s.len; i++) {
        const char c = s.data[i];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && (c == '\0' || strchr(more, c) == NULL))
            return false;
    }
    return s.len > 0;
}

bool model_ref_is_name(struct str text)
{
    struct str name, revision;
    const bool revised = str_cut(text, '@', &name, &revision);
    return text.len <= NAME_BYTES_MAX && is_word(name, "._/:-") &&
           (!revised || is_word(revision, "._-"));
}

char *model_ref_expand(const char *path)
{
    const char *const home = getenv("HOME");
    const bool at_home = path[0] == '~' && (path[1] == '/' || path[1] == '\0');
    if (!at_home || home == NULL)
        return mem_copy_text(path, strlen(path));
    return file_join(home, path[1] == '/' ? path + 2 : "");
}

enum weir_code model_ref_find(const char *name, char **out, struct weir_error *err)
{
    if (!model_ref_is_name(str_of(name)))
        return weir_fail(err, WEIR_INVALID,
                         "'%.250s' is no name of a model (" MODEL_REF_NAME_RULE ")", name);
    char *const folder = folders_models();
    if (folder == NULL)
        return weir_fail(err, WEIR_NO_SUCH_MODEL,
                         "no folder to look for '%s' in: WEIR_MODELS and HOME are not set", name);
    static const char *const endings[] = { "", ".gguf" };
    char *path = NULL;
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]) && path == NULL; i++) {
        struct buffer file;
        buffer_init(&file, 64 * KiB);
        buffer_printf(&file, "%s%s", name, endings[i]);
        char *const last = buffer_take(&file, NULL);
        path = last != NULL ? file_join(folder, last) : NULL;
        mem_free(last);
        if (path != NULL && !file_exists(path)) {
            mem_free(path);
            path = NULL;
        }
    }
    if (path == NULL)
        weir_fail(err, WEIR_NO_SUCH_MODEL, "there is no model '%s': %s/%s does not exist", name,
                  folder, name);
    mem_free(folder);
    if (path == NULL)
        return WEIR_NO_SUCH_MODEL;
    *out = path;
    return WEIR_OK;
}
