#include "hub/hf_cache.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#define PREFIX        "models--"
#define SEPARATOR     "--" /* stands for the slash of a name, and is in none */
#define NAME_MAX_HERE 512
#define REF_BYTES_MAX 256

/* The name of a branch, a tag or a commit, as far as it can be one name of a folder. */
static bool is_revision(struct str text)
{
    if (text.len == 0 || text.len > REF_BYTES_MAX || text.data[0] == '.')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.data[i];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
            return false;
    }
    return true;
}

/* "folder/below/name" */
static char *join(const char *folder, const char *below, struct str name)
{
    char *const last = mem_copy_text(name.data, name.len);
    char *const middle = file_join(folder, below);
    char *const path = file_join(middle, last);
    mem_free(middle);
    mem_free(last);
    return path;
}

static char *snapshot(const char *model, struct str commit)
{
    char *const path = join(model, "snapshots", commit);
    if (file_is_folder(path))
        return path;
    mem_free(path);
    return NULL;
}

/* The snapshot that a branch or tag stands for, else the one of that very name. */
static char *find(const char *model, struct str revision)
{
    struct buffer text;
    char *found = NULL;
    char *const ref = join(model, "refs", revision);
    buffer_init(&text, REF_BYTES_MAX);
    if (file_read(ref, &text, NULL) == WEIR_OK && is_revision(str_trim(buffer_view(&text))))
        found = snapshot(model, str_trim(buffer_view(&text)));
    buffer_finish(&text);
    mem_free(ref);
    return found != NULL ? found : snapshot(model, revision);
}

/* "models--OWNER--NAME", or false for what is no name of a model there. */
static bool folder_of(struct str name, char out[NAME_MAX_HERE])
{
    struct str owner, rest;
    const bool owned = str_cut(name, '/', &owner, &rest);
    char text[NAME_MAX_HERE];
    if (name.len == 0 || name.len + sizeof(PREFIX SEPARATOR) > NAME_MAX_HERE ||
        memchr(name.data, '\0', name.len) != NULL ||
        (owned && (owner.len == 0 || rest.len == 0 || memchr(rest.data, '/', rest.len) != NULL)))
        return false;
    str_print(text, sizeof(text), "%.*s", STR_ARG(name));
    if (strstr(text, SEPARATOR) != NULL)
        return false;
    str_print(out, NAME_MAX_HERE, PREFIX "%.*s%s%.*s", STR_ARG(owner), owned ? SEPARATOR : "",
              STR_ARG(rest));
    return true;
}

char *hf_cache_find(const char *cache, struct str name, struct str revision)
{
    char folder[NAME_MAX_HERE];
    if (!folder_of(name, folder) || !is_revision(revision))
        return NULL;
    char *const model = file_join(cache, folder);
    char *const path = find(model, revision);
    mem_free(model);
    return path;
}

/* The name that a folder of the cache stands for. */
static bool name_of(const char *folder, char out[NAME_MAX_HERE])
{
    char again[NAME_MAX_HERE];
    const size_t skip = sizeof(PREFIX) - 1;
    if (strncmp(folder, PREFIX, skip) != 0 || strlen(folder) >= NAME_MAX_HERE)
        return false;
    const char *const text = folder + skip;
    const char *const cut = strstr(text, SEPARATOR);
    if (cut == NULL)
        str_print(out, NAME_MAX_HERE, "%s", text);
    else
        str_print(out, NAME_MAX_HERE, "%.*s/%s", (int)(cut - text), text,
                  cut + sizeof(SEPARATOR) - 1);
    return folder_of(str_of(out), again) && strcmp(again, folder) == 0;
}

static bool has_entry(const char *folder, const char *name)
{
    char *const path = file_join(folder, name);
    const bool there = file_exists(path) || file_is_link(path);
    mem_free(path);
    return there;
}

enum weir_code hf_cache_list(const char *cache,
                             bool (*tell)(void *context, struct str name, const char *path),
                             void *context, struct weir_error *err)
{
    DIR *const folder = opendir(cache);
    if (folder == NULL && (errno == ENOENT || errno == ENOTDIR))
        return WEIR_OK;
    if (folder == NULL)
        return weir_fail_os(err, WEIR_INVALID, errno, "the folder '%s' cannot be read", cache);
    bool more = true;
    for (struct dirent *entry; more && (entry = readdir(folder)) != NULL;) {
        char name[NAME_MAX_HERE];
        if (!name_of(entry->d_name, name))
            continue;
        char *const model = file_join(cache, entry->d_name);
        char *const path = find(model, STR(HF_CACHE_MAIN));
        if (path != NULL && (has_entry(path, "config.json") || has_entry(path, "modules.json")))
            more = tell(context, str_of(name), path);
        mem_free(path);
        mem_free(model);
    }
    closedir(folder);
    return WEIR_OK;
}
