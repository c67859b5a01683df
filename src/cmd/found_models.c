#include "cmd/found_models.h"

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "cmd/model_folder.h"
#include "cmd/model_ref.h"
#include "hub/hf_cache.h"

#include <stdlib.h>
#include <string.h>

struct collector {
    struct found_models *found;
    enum found_place place;
    size_t count; /* of this place */
    bool beyond;  /* there are more than may be */
};

const char *found_place_name(enum found_place place)
{
    return place == FOUND_IN_FOLDER ? "the folder of models" : "the Hugging Face cache";
}

/* Goes on beyond the limit, to count what is beyond. */
static bool collect(void *context, struct str name, const char *path)
{
    struct collector *const c = context;
    struct found_models *const f = c->found;
    const bool is_name = model_ref_is_name(name);
    if (!is_name || c->count == FOUND_MODELS_MOST) {
        f->passed_over[c->place]++;
        c->beyond = c->beyond || is_name;
        return true;
    }
    f->items[f->count++] = (struct found_model){ .name = mem_copy_text(name.data, name.len),
                                                 .path = mem_copy_text(path, strlen(path)),
                                                 .place = c->place };
    c->count++;
    return true;
}

static int by_name(const void *a, const void *b)
{
    const struct found_model *const x = a, *const y = b;
    const int order = strcmp(x->name, y->name);
    return order != 0 ? order : (int)x->place - (int)y->place;
}

/* Of two with one name it is the first's place; in one place the folder m goes before the file
 * m.gguf. `other` is used up. */
static void keep_one(struct found_model *held, struct found_model *other)
{
    const struct found_model first = *held;
    const bool is_better = other->place == first.place && file_is_folder(other->path);
    *held = is_better ? *other : first;
    mem_free(is_better ? first.name : other->name);
    mem_free(is_better ? first.path : other->path);
}

static void keep_one_of_each_name(struct found_models *f)
{
    size_t kept = 0;
    qsort(f->items, f->count, sizeof(*f->items), by_name);
    for (size_t i = 0; i < f->count; i++) {
        if (kept > 0 && strcmp(f->items[kept - 1].name, f->items[i].name) == 0)
            keep_one(&f->items[kept - 1], &f->items[i]);
        else
            f->items[kept++] = f->items[i];
    }
    f->count = kept;
}

static enum weir_code look_in_folder(struct found_models *f, const char *folder,
                                     struct weir_error *err)
{
    struct collector c = { .found = f, .place = FOUND_IN_FOLDER };
    const enum weir_code code = model_folder_list(folder, collect, &c, err);
    if (code == WEIR_OK && c.beyond)
        return weir_fail(err, WEIR_INVALID, "more than %d models lie in '%s'", FOUND_MODELS_MOST,
                         folder);
    return code;
}

enum weir_code found_models_look(struct found_models *f, const char *folder, const char *hub,
                                 struct weir_error *err)
{
    *f = (struct found_models){ 0 };
    f->items = mem_new((size_t)FOUND_PLACES * FOUND_MODELS_MOST, sizeof(*f->items));
    if (hub != NULL) {
        struct collector c = { .found = f, .place = FOUND_IN_HUB };
        f->places[FOUND_IN_HUB] = mem_copy_text(hub, strlen(hub));
        (void)hf_cache_list(hub, collect, &c, &f->hub_problem); /* others keep it, for others */
    }
    enum weir_code code = WEIR_OK;
    if (folder != NULL) {
        f->places[FOUND_IN_FOLDER] = mem_copy_text(folder, strlen(folder));
        code = look_in_folder(f, folder, err);
    }
    keep_one_of_each_name(f);
    return code;
}

void found_models_finish(struct found_models *f)
{
    for (size_t i = 0; i < f->count; i++) {
        mem_free(f->items[i].name);
        mem_free(f->items[i].path);
    }
    for (size_t i = 0; i < FOUND_PLACES; i++)
        mem_free(f->places[i]);
    mem_free(f->items);
    *f = (struct found_models){ 0 };
}

static int is_named(const void *name, const void *item)
{
    const struct found_model *const m = item;
    return strcmp(name, m->name);
}

char *found_models_path(const struct found_models *f, const char *name, enum found_place *place)
{
    const struct found_model *const m =
        f->count > 0 ? bsearch(name, f->items, f->count, sizeof(*f->items), is_named) : NULL;
    *place = m != NULL ? m->place : FOUND_IN_HUB;
    if (m != NULL)
        return mem_copy_text(m->path, strlen(m->path));
    return f->places[FOUND_IN_HUB] != NULL ? model_ref_in_hub(f->places[FOUND_IN_HUB], name) : NULL;
}
