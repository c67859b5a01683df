/* size.h — sizes: overflow-safe arithmetic, units, and their reading and writing. */
#ifndef BASE_SIZE_H
#define BASE_SIZE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KiB UINT64_C(1024)
#define MiB (KiB * 1024)
#define GiB (MiB * 1024)

bool size_mul(uint64_t a, uint64_t b, uint64_t *out); /* false on overflow; out untouched */
bool size_add(uint64_t a, uint64_t b, uint64_t *out);

/* Reads "512", "64KiB", "1.5GiB", "200MB" (decimal units too); whole text or failure. */
enum weir_code size_parse(const char *text, uint64_t *out_bytes, struct weir_error *err);

/* Reads "200ms", "2s", "1.5s", "3m" or a bare number of `bare_unit_ms` (1 or 1000). */
enum weir_code size_parse_duration(const char *text, int64_t bare_unit_ms, int64_t *out_ms,
                                   struct weir_error *err);

/* Writes "7.1 GiB", "512 MiB", "0 B" into `out` and returns it. */
struct size_text {
    char text[32];
};
const char *size_format(uint64_t bytes, struct size_text *out);

#endif
