#include "cmd/model_ref.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"
#include "cmd/folders.h"
#include "hub/hf_cache.h"

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
    return folders_expand(path);
}

char *model_ref_in_hub(const char *hub, const char *name)
{
    struct str bare, revision;
    if (!str_cut(str_of(name), '@', &bare, &revision))
        revision = STR(HF_CACHE_MAIN);
    return hf_cache_find(hub, bare, revision);
}

/* NAME or NAME.gguf in the folder of models. */
static char *find_in_folder(const char *folder, const char *name)
{
    static const char *const endings[] = { "", ".gguf" };
    char *path = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(endings) && path == NULL; i++) {
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
    return path;
}

enum weir_code model_ref_find(const char *name, char **out, struct weir_error *err)
{
    if (!model_ref_is_name(str_of(name)))
        return weir_fail(err, WEIR_INVALID,
                         "'%.250s' is no name of a model (" MODEL_REF_NAME_RULE ")", name);
    char *const folder = folders_models();
    char *const hub = folders_hub();
    char *path = folder != NULL ? find_in_folder(folder, name) : NULL;
    if (path == NULL && hub != NULL)
        path = model_ref_in_hub(hub, name);
    if (path != NULL)
        *out = path;
    else if (folder == NULL && hub == NULL)
        weir_fail(err, WEIR_NO_SUCH_MODEL,
                  "no folder to look for '%s' in: WEIR_MODELS and HOME are not set", name);
    else
        weir_fail(err, WEIR_NO_SUCH_MODEL, "there is no model '%s' in %s, nor in %s", name,
                  folder != NULL ? folder : "a folder of models",
                  hub != NULL ? hub : "a Hugging Face cache");
    mem_free(folder);
    mem_free(hub);
    return path != NULL ? WEIR_OK : WEIR_NO_SUCH_MODEL;
}
