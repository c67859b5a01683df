/* hf_cache.h — the models in a cache that the tools of Hugging Face keep; read, never changed.
 *
 *     CACHE/models--OWNER--NAME/refs/REVISION          the commit that a branch or tag stood for
 *     CACHE/models--OWNER--NAME/snapshots/COMMIT/…     its files: links into blobs/
 *
 * Data sets, spaces and whatever else lies there are not looked at. Opens nothing but folders and
 * the files of refs, whose contents may lead to a snapshot of the same model and nowhere else. */
#ifndef HUB_HF_CACHE_H
#define HUB_HF_CACHE_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>

#define HF_CACHE_MAIN "main" /* the revision that a name without one means */

/* The snapshot of "OWNER/NAME" or "NAME" at a branch, tag or commit, or NULL when it was not
 * fetched. Caller frees with mem_free. */
char *hf_cache_find(const char *cache, struct str name, struct str revision);

/* Tells of each model whose main was fetched with a config.json or modules.json, be they links to
 * what is still missing: that is an incomplete download, which its inspection will name. Ends early
 * when `tell` says so by false. A cache that is not there has no models; one that cannot be read is
 * WEIR_INVALID. */
enum weir_code hf_cache_list(const char *cache,
                             bool (*tell)(void *context, struct str name, const char *path),
                             void *context, struct weir_error *err);

#endif
