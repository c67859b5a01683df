#include "cmd/model_folder.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

struct listing {
    bool (*tell)(void *context, struct str name, const char *path);
    void *context;
    bool more; /* nobody said that it is enough */
};

static void tell(struct listing *l, const char *owner, struct str name, const char *path)
{
    struct buffer whole;
    buffer_init(&whole, 64 * KiB);
    buffer_printf(&whole, "%s%.*s", owner, STR_ARG(name));
    l->more = l->tell(l->context, buffer_view(&whole), path);
    buffer_finish(&whole);
}

static bool holds(const char *folder, const char *name)
{
    char *const path = file_join(folder, name);
    const bool found = file_exists(path);
    mem_free(path);
    return found;
}

static enum weir_code list(struct listing *l, const char *path, const char *owner,
                           struct weir_error *err);

/* A folder without a model of its own is its models' owner; what is in it and not ours to read has
 * no models for us. */
static void look_at(struct listing *l, const char *path, const char *owner, const char *entry)
{
    struct str name = str_of(entry);
    const bool is_folder = file_is_folder(path);
    if (is_folder && (holds(path, "config.json") || holds(path, "modules.json"))) {
        tell(l, owner, name, path);
    } else if (!is_folder && str_ends(name, STR(".gguf"))) {
        name.len -= strlen(".gguf");
        tell(l, owner, name, path);
    } else if (is_folder && owner[0] == '\0') {
        char *const prefix = file_join(entry, "");
        (void)list(l, path, prefix, NULL);
        mem_free(prefix);
    }
}

static enum weir_code list(struct listing *l, const char *path, const char *owner,
                           struct weir_error *err)
{
    DIR *const folder = opendir(path);
    if (folder == NULL)
        return weir_fail_os(err, WEIR_INVALID, errno, "the folder '%s' cannot be read", path);
    for (struct dirent *entry; l->more && (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        char *const below = file_join(path, entry->d_name);
        look_at(l, below, owner, entry->d_name);
        mem_free(below);
    }
    closedir(folder);
    return WEIR_OK;
}

enum weir_code model_folder_list(const char *folder,
                                 bool (*tell_of)(void *context, struct str name, const char *path),
                                 void *context, struct weir_error *err)
{
    struct listing l = { .tell = tell_of, .context = context, .more = true };
    return list(&l, folder, "", err);
}
