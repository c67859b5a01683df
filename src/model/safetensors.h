/* safetensors.h — one .safetensors file, mapped read-only.
 *
 *     0        8                8 + N                        end of file
 *     +--------+----------------+----------------------------+
 *     | N, u64 | JSON, N bytes  | data of all tensors        |
 *     +--------+----------------+----------------------------+
 *
 * Opening reads the header alone and checks all of it: then every tensor has a known type, its data
 * lies inside the file, is as long as its shape says, and belongs to no other tensor. What is
 * wrong is WEIR_LOAD_FAILED, naming the file, the tensor and the offset. Data may be unaligned. */
#ifndef MODEL_SAFETENSORS_H
#define MODEL_SAFETENSORS_H

#include "base/error.h"
#include "base/file.h"
#include "base/map.h"
#include "base/str.h"
#include "tensor/tensor.h"

#include <stddef.h>
#include <stdint.h>

/* The format's own limit. Once read a header takes some thirty times as much memory. */
#define SAFETENSORS_HEADER_BYTES_MAX UINT64_C(100000000)

struct safetensors_entry {
    char *name;
    struct tensor tensor; /* borrows from the map */
    uint64_t begin, end;  /* offsets in the data section */
};

struct safetensors {
    char *path;
    struct file_map map;
    uint64_t header_bytes; /* the length word included */
    struct safetensors_entry *entries;
    size_t count;
    struct map by_name;
};

enum weir_code safetensors_open(const char *path, struct safetensors *out, struct weir_error *err);
void safetensors_close(struct safetensors *s); /* a zeroed struct is fine */

const struct tensor *safetensors_find(const struct safetensors *s, const char *name); /* or NULL */
/* Whether `t`, which was found in a file (NULL: it is missing), holds floats in this shape; the
 * error names it `name` and says where it begins. */
enum weir_code safetensors_expect(const struct tensor *t, const char *name, const int64_t *dims,
                                  uint32_t rank, struct weir_error *err);
/* Everything before the data: what identifies the layout without reading weights. */
struct str safetensors_header(const struct safetensors *s);

#endif
