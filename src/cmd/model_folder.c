#include "cmd/model_folder.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"
#include "cmd/model_ref.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MODELS_MOST 4096

static char *text_of(const char *first, const char *second)
{
    struct buffer text;
    buffer_init(&text, 64 * KiB);
    buffer_printf(&text, "%s%s", first, second);
    return buffer_take(&text, NULL);
}

/* Takes `path`. */
static enum weir_code add(struct model_folder *f, struct str name, const char *owner, char *path,
                          struct weir_error *err)
{
    char *const own = mem_copy_text(name.data, name.len);
    char *const whole = text_of(owner, own);
    mem_free(own);
    if (whole == NULL || !model_ref_is_name(str_of(whole))) {
        f->passed_over++;
        mem_free(whole);
        mem_free(path);
        return WEIR_OK;
    }
    if (f->count == MODELS_MOST) {
        mem_free(whole);
        mem_free(path);
        return weir_fail(err, WEIR_INVALID, "more than %d models", MODELS_MOST);
    }
    f->items[f->count++] = (struct model_folder_item){ .name = whole, .path = path };
    return WEIR_OK;
}

static bool holds_config(const char *folder)
{
    char *const config = file_join(folder, "config.json");
    const bool found = file_exists(config);
    mem_free(config);
    return found;
}

/* One level of folders; a folder without a model of its own is its models' owner. */
static enum weir_code list(struct model_folder *f, const char *path, const char *owner,
                           struct weir_error *err)
{
    DIR *const folder = opendir(path);
    if (folder == NULL)
        return weir_fail_os(err, WEIR_INVALID, errno, "the folder '%s' cannot be read", path);
    enum weir_code code = WEIR_OK;
    for (struct dirent *entry; code == WEIR_OK && (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        struct str name = str_of(entry->d_name);
        char *const below = file_join(path, entry->d_name);
        const bool is_folder = file_is_folder(below);
        if (is_folder && holds_config(below)) {
            code = add(f, name, owner, below, err);
            continue;
        }
        if (!is_folder && str_ends(name, STR(".gguf"))) {
            name.len -= strlen(".gguf");
            code = add(f, name, owner, below, err);
            continue;
        }
        if (is_folder && owner[0] == '\0') {
            char *const prefix = text_of(entry->d_name, "/");
            struct weir_error unread; /* what is not ours to read has no models for us */
            if (prefix != NULL && list(f, below, prefix, &unread) != WEIR_OK &&
                f->count == MODELS_MOST)
                code = weir_fail(err, WEIR_INVALID, "%s", unread.text);
            mem_free(prefix);
        }
        mem_free(below);
    }
    closedir(folder);
    return code;
}

static int by_name(const void *a, const void *b)
{
    const struct model_folder_item *const x = a, *const y = b;
    return strcmp(x->name, y->name);
}

/* The folder m and the file m.gguf have one name: it is the folder's. `other` is used up. */
static void take_folder(struct model_folder_item *held, struct model_folder_item *other)
{
    const struct model_folder_item first = *held;
    const bool is_better = file_is_folder(other->path);
    *held = is_better ? *other : first;
    mem_free(is_better ? first.name : other->name);
    mem_free(is_better ? first.path : other->path);
}

enum weir_code model_folder_list(struct model_folder *f, const char *path, struct weir_error *err)
{
    *f = (struct model_folder){ 0 };
    f->items = mem_new(MODELS_MOST, sizeof(*f->items));
    const enum weir_code code = list(f, path, "", err);
    if (code != WEIR_OK)
        return weir_wrap(err, "%s", path);
    qsort(f->items, f->count, sizeof(*f->items), by_name);
    size_t kept = 0;
    for (size_t i = 0; i < f->count; i++) {
        if (kept > 0 && strcmp(f->items[kept - 1].name, f->items[i].name) == 0)
            take_folder(&f->items[kept - 1], &f->items[i]);
        else
            f->items[kept++] = f->items[i];
    }
    f->count = kept;
    return WEIR_OK;
}

void model_folder_finish(struct model_folder *f)
{
    for (size_t i = 0; i < f->count; i++) {
        mem_free(f->items[i].name);
        mem_free(f->items[i].path);
    }
    mem_free(f->items);
    *f = (struct model_folder){ 0 };
}
