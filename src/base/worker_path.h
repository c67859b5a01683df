/* worker_path.h — where the worker programs are: the one search for them, by pool and verbs.
 *
 * In the folder that was named, else in $WEIR_WORKER, else beside the executable, else in
 * libexecdir. A folder that was named is the only place: a worker of some other build would be no
 * help. */
#ifndef BASE_WORKER_PATH_H
#define BASE_WORKER_PATH_H

#include "weir/error.h"

/* The caller frees with mem_free. NULL names the places looked at in err. */
char *worker_path(const char *folder, const char *file, struct weir_error *err);

#endif
