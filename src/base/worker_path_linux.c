#define _GNU_SOURCE
#include "base/worker_path.h"

#include "base/check.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* libexecdir, as cmake/install.cmake says it: first as it lies from the folder of the program, so
 * that a whole tree may be moved; then where this build would be installed; then where the package
 * is, for a host that was linked with another copy of the library. */
static const char *const libexec_folders[] = { WEIR_LIBEXECDIR, "/usr/libexec/weir" };

static char *program_in(const char *folder, const char *file)
{
    char *path = file_join(folder, file);
    if (access(path, X_OK) == 0 && !file_is_folder(path))
        return path;
    mem_free(path);
    return NULL;
}

static char *program_in_libexec(const char *own, const char *file)
{
    char *path = NULL;
    if (own != NULL) {
        char *const folder = file_join(own, WEIR_LIBEXECDIR_FROM_BIN);
        path = program_in(folder, file);
        mem_free(folder);
    }
    for (size_t i = 0; i < ARRAY_COUNT(libexec_folders) && path == NULL; i++)
        path = program_in(libexec_folders[i], file);
    return path;
}

static bool own_folder(char out[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
    if (n <= 0)
        return false;
    out[n] = '\0';
    char *slash = strrchr(out, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    return true;
}

char *worker_path(const char *folder, const char *file, struct weir_error *err)
{
    char beside[PATH_MAX];
    if (folder == NULL || folder[0] == '\0')
        folder = getenv("WEIR_WORKER");
    if (folder != NULL && folder[0] != '\0') {
        char *path = program_in(folder, file);
        if (path == NULL)
            weir_fail(err, WEIR_LOAD_FAILED, "there is no program '%s' in '%.120s'", file, folder);
        return path;
    }
    bool have_own = own_folder(beside);
    char *path = have_own ? program_in(beside, file) : NULL;
    if (path == NULL)
        path = program_in_libexec(have_own ? beside : NULL, file);
    if (path == NULL)
        weir_fail(err, WEIR_LOAD_FAILED,
                  "there is no program '%s' in '%.80s' or '%s'; $WEIR_WORKER "
                  "names its folder",
                  file, have_own ? beside : "", WEIR_LIBEXECDIR);
    return path;
}
