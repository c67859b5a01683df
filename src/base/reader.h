/* reader.h — reads foreign bytes; the first failure sticks.
 *
 * After a failure every get returns zero. The caller checks once, with reader_done (everything
 * consumed, nothing failed). Numbers are little-endian. Nothing is indexed without reader_has. */
#ifndef BASE_READER_H
#define BASE_READER_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader {
    const uint8_t *data;
    size_t size;
    size_t pos;
    const char *problem; /* NULL while all is well: what could not be read */
    size_t problem_pos;
};

struct reader reader_of(const void *data, size_t size);
bool reader_has(const struct reader *r, size_t n);
uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
int64_t reader_i64(struct reader *r);
float reader_f32(struct reader *r);                      /* any bits: not a number, too */
const uint8_t *reader_bytes(struct reader *r, size_t n); /* borrowed from data; NULL on failure */
struct str reader_str(struct reader *r);                 /* u32 length, then the bytes; borrowed */
void reader_fail(struct reader *r, const char *problem); /* a value that was read is out of range */
bool reader_ok(const struct reader *r);
/* True when nothing failed and nothing is left; else fills err (WEIR_INVALID) naming what and
 * where. */
bool reader_done(const struct reader *r, struct weir_error *err);

#endif
