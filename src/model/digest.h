/* digest.h — what identifies a model without reading its weights: SHA-256 over the header and the
 * size of each file of weights, and each configuration file with its name. */
#ifndef MODEL_DIGEST_H
#define MODEL_DIGEST_H

#include "base/error.h"
#include "model/folder.h"
#include "model/weight_files.h"

#include <stddef.h>
#include <stdint.h>

#define DIGEST_BYTES 32

/* `files` are `count` lists of files, some of which may be empty. */
enum weir_code digest_model(const struct weight_files *const *files, size_t count,
                            const struct folder *folder, uint8_t out[DIGEST_BYTES],
                            struct weir_error *err);

#endif
