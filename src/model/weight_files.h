/* weight_files.h — the weights of a model folder: one file, or shards that an index lists.
 *
 * model.safetensors is taken where it is there. Else model.safetensors.index.json says in its
 * weight_map which tensor is in which shard; every shard is a file of this folder, every tensor
 * that is listed is in the shard that the list says, and none is in two. Only headers are read.
 * What is wrong is WEIR_LOAD_FAILED and names the file and the tensor. */
#ifndef MODEL_WEIGHT_FILES_H
#define MODEL_WEIGHT_FILES_H

#include "base/error.h"
#include "model/folder.h"
#include "model/safetensors.h"

#include <stddef.h>
#include <stdint.h>

#define WEIGHT_FILES_MAX        256
#define WEIGHT_FILES_NAME_BYTES 200

/* A zeroed struct is "nothing open". */
struct weight_files {
    char name[WEIGHT_FILES_NAME_BYTES]; /* of the file, or of the index; for messages */
    struct safetensors *files;
    size_t count;
    uint64_t bytes; /* of all files together */
};

/* In `folder` below the model's own ("" for that one). */
enum weir_code weight_files_open(struct folder *f, const char *folder, struct weight_files *out,
                                 struct weir_error *err);
void weight_files_close(struct weight_files *w);

const struct tensor *weight_files_find(const struct weight_files *w,
                                       const char *name); /* or NULL */

#endif
