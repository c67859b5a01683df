#include "cmd/doctor.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"
#include "client/api.h"
#include "cmd/ask.h"
#include "cmd/folders.h"

#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define ROOM_LEAST (2 * GiB) /* below it few models can be packed once for all workers */
#define SERVER_MS  3000

static bool is_configured(const struct doctor *d)
{
    return d->config_error.code == WEIR_OK;
}

void doctor_config(struct doctor *d)
{
    if (!is_configured(d)) {
        doctor_say(d, DOCTOR_WRONG, "%s", d->config_error.text);
        doctor_advise(d, "'weir serve' refuses to start like this");
    } else if (d->config.file.path != NULL) {
        doctor_say(d, DOCTOR_OK, "'%s'", d->config.file.path);
    } else {
        doctor_say(d, DOCTOR_OK, "no configuration file; every option has its default");
    }
}

void doctor_models(struct doctor *d)
{
    const struct serve_models *const models = &d->config.models;
    const struct found_models *const found = &models->found;
    const char *const folder = found->places[FOUND_IN_FOLDER];
    if (!is_configured(d))
        return; /* said already */
    if (models->count > 0) {
        doctor_say(d, DOCTOR_OK, "%zu, as 'weir serve' would find them", models->count);
    } else {
        doctor_say(d, DOCTOR_NOTE, "none%s%s%s", folder != NULL ? " in '" : "",
                   folder != NULL ? folder : "", folder != NULL ? "'" : "");
        doctor_advise(d, "--model NAME=PATH, or --models DIR with models in it ($WEIR_MODELS)");
    }
    for (size_t i = 0; i < FOUND_PLACES; i++) {
        if (found->passed_over[i] > 0)
            doctor_say(d, DOCTOR_NOTE,
                       "%zu in '%s' are passed over: no model may have their names, or there are "
                       "more than %d",
                       found->passed_over[i], found->places[i], FOUND_MODELS_MOST);
    }
    if (found->hub_problem.code != WEIR_OK)
        doctor_say(d, DOCTOR_NOTE, "%s", found->hub_problem.text);
}

/* The folder, or the first one above it that is there. Caller frees with mem_free. */
static char *existing(const char *folder)
{
    char *path = mem_copy_text(folder, strlen(folder));
    while (!file_exists(path)) {
        char *const slash = strrchr(path, '/');
        if (slash == NULL || slash == path)
            break;
        *slash = '\0';
    }
    return path;
}

void doctor_cache(struct doctor *d)
{
    struct statvfs info;
    struct size_text room;
    char *const folder = folders_cache();
    if (folder == NULL) {
        doctor_say(d, DOCTOR_NOTE, "none: neither $XDG_CACHE_HOME nor $HOME is set");
        doctor_advise(d, "set one, or each worker packs its weights for itself alone");
        return;
    }
    char *const there = existing(folder);
    if (!file_is_folder(there) || access(there, W_OK | X_OK) != 0) {
        doctor_say(d, DOCTOR_WRONG, "'%s' cannot be written", there);
        doctor_advise(d, "make it a folder of this user, or set $XDG_CACHE_HOME: without it each "
                         "worker packs its weights for itself alone");
    } else if (statvfs(there, &info) != 0) {
        doctor_say(d, DOCTOR_OK, "'%s'", folder);
    } else {
        const uint64_t bytes = (uint64_t)info.f_bavail * info.f_frsize;
        doctor_say(d, bytes < ROOM_LEAST ? DOCTOR_NOTE : DOCTOR_OK, "'%s', with %s free", folder,
                   size_format(bytes, &room));
        if (bytes < ROOM_LEAST)
            doctor_advise(d, "packed weights may not fit; each worker then packs for itself alone");
    }
    mem_free(there);
    mem_free(folder);
}

void doctor_server(struct doctor *d)
{
    struct api api;
    struct weir_error err;
    json_t *status = NULL;
    int answered;
    if (api_init(&api, &err) != WEIR_OK) {
        doctor_say(d, DOCTOR_WRONG, "%s", err.text);
        doctor_advise(d, "set $WEIR_HOST to http://HOST:PORT");
        return;
    }
    if (api_call(&api, "/weir/v1/status", (struct str){ NULL, 0 }, SERVER_MS, &answered, &status,
                 &err) == WEIR_OK) {
        doctor_say(d, DOCTOR_OK, "one answers at %s, with %zu models", api.host,
                   json_array_size(json_object_get(status, "models")));
    } else if (answered == 0) {
        doctor_say(d, DOCTOR_NOTE, "none answers at %s", api.host);
        doctor_advise(d, "'weir serve' starts one; $WEIR_HOST says where it is");
    } else {
        doctor_say(d, DOCTOR_WRONG, "what answers at %s says: %s", api.host, err.text);
        doctor_advise(d, answered == 401 ? "$WEIR_API_KEY must hold one of its keys"
                                         : "another program may have its port");
    }
    json_decref(status);
}
