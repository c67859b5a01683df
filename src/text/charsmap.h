/* charsmap.h — the compiled character map of SentencePiece: texts and what stands for them.
 *
 * The file's bytes are a length, a double-array trie of so many bytes, and the replacements, each
 * ended by a zero. A unit of the trie holds, in 32 bits,
 *
 *     bits 0-7     the byte that leads here
 *     bit 8        a value lies at the unit that the offset leads to
 *     bits 9-30    the offset to the children: bits 10-30, eight bits further when bit 9 is set
 *     bit 31       this is a value: bits 0-30 are the place of a replacement
 *
 * Every step is checked against the number of units. As in the reference, a grapheme of fewer than
 * six bytes that begins with an entry is replaced as a whole, and the shortest entry counts; else
 * its code points are replaced one by one. */
#ifndef TEXT_CHARSMAP_H
#define TEXT_CHARSMAP_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct field;

#define CHARSMAP_BYTES_MAX (16 * 1024 * 1024)

struct charsmap {
    struct buffer bytes; /* of the whole map */
    size_t units;
    struct str replacements;
    struct str ascii[128]; /* what becomes of an ASCII byte that is a grapheme of its own */
    bool ascii_stays[128];
};

/* `f` is the field with the map in base64. charsmap_finish is due after a failure too. */
enum weir_code charsmap_load(struct charsmap *m, const struct field *f, struct weir_error *err);
void charsmap_finish(struct charsmap *m);
/* Appends what becomes of the text, which is UTF-8. Failure is the buffer's. */
void charsmap_apply(const struct charsmap *m, struct str text, struct buffer *out);

#endif
