/* inputs.h — the list of inputs that every request payload carries: texts, token ids, images.
 *
 * u32 count, then for each u8 kind and a counted run of bytes. Opaque to the supervisor. */
#ifndef WIRE_INPUTS_H
#define WIRE_INPUTS_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/reader.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

enum wire_input_kind { WIRE_TEXT, WIRE_IDS, WIRE_IMAGE, WIRE_INPUT_KINDS };

#define WIRE_TEXTS (1u << WIRE_TEXT | 1u << WIRE_IDS) /* a set of kinds */

struct wire_input {
    uint8_t kind;
    struct str data; /* ids: int32, little-endian */
};

void inputs_write(struct buffer *out, const struct wire_input *inputs, size_t count);
/* The array lies in the arena, the bytes are borrowed from the reader's. Marks the reader failed on
 * a kind that is not of the set, ids whose length is no multiple of 4, or more than `count_max`
 * inputs. */
size_t inputs_read(struct reader *in, struct arena *arena, unsigned kinds, size_t count_max,
                   const struct wire_input **out);

#endif
