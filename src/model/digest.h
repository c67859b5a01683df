/* digest.h — what identifies a model without reading its weights: SHA-256 over the header of the
 * weights, their file's size, and each configuration file with its name. */
#ifndef MODEL_DIGEST_H
#define MODEL_DIGEST_H

#include "base/error.h"
#include "base/str.h"
#include "model/folder.h"

#include <stdint.h>

#define DIGEST_BYTES 32

enum weir_code digest_model(struct str header, uint64_t file_bytes, const struct folder *folder,
                            uint8_t out[DIGEST_BYTES], struct weir_error *err);

#endif
