/* base64.h — base64 that came in (RFC 4648). Writing it is jsonw_base64's work.
 *
 * Strict: the standard alphabet, no white space, no bits left over. Padding may be missing, since
 * many programs leave it off, but where it stands it must be right. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"

#include <stddef.h>

/* The most bytes that a text of so many characters can mean. */
size_t base64_bytes_max(size_t text_len);
/* Appends what `text` means to `out`, whose ceiling bounds it. WEIR_INVALID names the offset. */
enum weir_code base64_decode(struct str text, struct buffer *out, struct weir_error *err);

#endif
