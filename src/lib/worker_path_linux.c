#define _GNU_SOURCE
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "lib/pool.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef WEIR_LIBEXECDIR
#define WEIR_LIBEXECDIR "/usr/local/libexec/weir"
#endif

static char *program_in(const char *folder, const char *file)
{
    char *path = file_join(folder, file);
    if (access(path, X_OK) == 0 && !file_is_folder(path))
        return path;
    mem_free(path);
    return NULL;
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

/* The folder that was named, else $WEIR_WORKER, else beside the executable, else libexecdir. A
 * folder that was named is the only place: a worker of some other build would be no help. */
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
        path = program_in(WEIR_LIBEXECDIR, file);
    if (path == NULL)
        weir_fail(err, WEIR_LOAD_FAILED,
                  "there is no program '%s' in '%.80s' or '%s'; $WEIR_WORKER "
                  "names its folder",
                  file, have_own ? beside : "", WEIR_LIBEXECDIR);
    return path;
}
