/* prepared.h — blocks of repacked weights, kept as files that all workers map and share.
 *
 * A file is one header of PREPARED_HEADER_BYTES, which says all that its bytes depend on, and the
 * block behind it. Opening compares the header byte for byte with what the caller expects and takes
 * no file of another length; the map is shared and read-only, and a shared lock on the file says
 * that it is in use. A file is made in place of a temporary one of its own name, whose lock keeps
 * other makers waiting: what a killed maker leaves behind is never taken for a file, and is removed
 * by the next maker. Files that nobody uses leave, the least recently opened first, until the
 * folder is within its bound. What the block holds is the caller's affair alone. */
#ifndef MODEL_PREPARED_H
#define MODEL_PREPARED_H

#include "base/error.h"
#include "model/digest.h"

#include <stddef.h>
#include <stdint.h>

#define PREPARED_HEADER_BYTES 4096
#define PREPARED_FOLDER       "prepared"           /* of such files, in a cache */
#define PREPARED_BYTES_MAX    (UINT64_C(64) << 30) /* the folder's bound; see prepared_make */
#define PREPARED_WAIT_MS      600000

/* All that the bytes of a block depend on. Two keys that differ have two files. */
struct prepared_key {
    uint8_t digest[DIGEST_BYTES]; /* of the model's headers and configuration */
    uint64_t stamp;     /* of the files of weights, which the digest does not read: see model.c */
    const char *layout; /* of the packing and its version, as "avx2.1": letters, digits, . - */
    const char *precision; /* "f32" */
    uint64_t block_bytes;  /* above 0 */
};

/* A file in use. Zeroed: none. */
struct prepared {
    const void *block; /* aligned to PREPARED_HEADER_BYTES */
    size_t map_bytes;
    int fd; /* holds the shared lock */
};

/* Maps the file of that key in the folder. WEIR_LOAD_FAILED names the file and what is wrong. */
enum weir_code prepared_open(const char *folder, const struct prepared_key *key,
                             struct prepared *out, struct weir_error *err);
void prepared_close(struct prepared *p); /* also of none */

/* How a block comes to be; called by the thread that called prepared_make. */
struct prepared_maker {
    /* Mandatory: writes the whole block, which is zeros. */
    enum weir_code (*fill)(void *context, void *block, struct weir_error *err);
    /* Optional: called now and then while it waits for another maker or for the disk. */
    void (*tick)(void *context);
    void *context;
};

/* Makes sure that the file is there: returns at once when it is, waits at most PREPARED_WAIT_MS
 * while another process makes it, else makes the folder and the file. The bound of the folder, with
 * this file, is bound_bytes; 0: half of the room that its file system would have without its files,
 * at most PREPARED_BYTES_MAX. WEIR_LOAD_FAILED names the file, and both numbers where room is
 * short. */
enum weir_code prepared_make(const char *folder, const struct prepared_key *key,
                             uint64_t bound_bytes, const struct prepared_maker *maker,
                             struct weir_error *err);

#endif
