/* byte_level.h — bytes written as characters that can be seen, as in byte-level vocabularies.
 *
 * A printable character of Latin-1 stands for its own byte; the other 68 bytes, in ascending order,
 * are the characters from U+0100 on. */
#ifndef TEXT_BYTE_LEVEL_H
#define TEXT_BYTE_LEVEL_H

#include "base/buffer.h"
#include "base/str.h"

#include <stdbool.h>

/* Appends each byte's character. Failure is the buffer's. */
void byte_level_write(struct str bytes, struct buffer *out);
/* Appends the bytes that the characters of `text`, which is UTF-8, stand for. False, with nothing
 * appended, when one of them stands for none. */
bool byte_level_read(struct str text, struct buffer *out);

#endif
