/* fuzz.h — what the fuzz targets share: a folder of small files, and what must hold of any result.
 *
 * A target is one file with LLVMFuzzerTestOneInput (and LLVMFuzzerInitialize where it prepares
 * something). It feeds bytes to the public functions of one parser and checks what their headers
 * promise, not only that nothing crashes. A broken promise ends the program through CHECK. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* A folder of this process in memory, made by the first call and removed at a regular end.
 * Borrowed for ever. */
const char *fuzz_folder(void);
/* Puts a file there, for "1_Pooling/config.json" with the folder above it. */
void fuzz_folder_write(const char *name, struct str data);
void fuzz_folder_remove(const char *name); /* a file that is not there is fine */

/* A file of the source tree, whole; freed at the end of the program only. */
struct str fuzz_file(const char *name);

/* Aborts unless the error can be shown: filled for this failure, with a text that is UTF-8 and
 * holds `named` (NULL: any text). */
void fuzz_check_error(const struct weir_error *err, enum weir_code code, const char *named);

/* Like str_utf8_valid, written as plainly as possible: what that is checked against. */
size_t fuzz_utf8_valid(struct str text);

/* The first `separator` parts the input; without one, everything is head. */
void fuzz_split(struct str input, char separator, struct str *out_head, struct str *out_tail);

#endif
