/* form.h — the four normalisation forms of Unicode, as the reference library gives them.
 *
 * Runs in one pass over those parts of a text that a form can change: what it surely leaves alone
 * (unicode_table.h: quiet) is found first and copied. */
#ifndef TEXT_FORM_H
#define TEXT_FORM_H

#include "base/buffer.h"
#include "base/str.h"

#include <stdbool.h>

#define FORMS(X)                                                                                   \
    X(NFC, nfc, false, true)                                                                       \
    X(NFD, nfd, false, false)                                                                      \
    X(NFKC, nfkc, true, true)                                                                      \
    X(NFKD, nfkd, true, false)

#define FORM_ENUM(upper, lower, compat, composes) FORM_##upper,
enum form { FORMS(FORM_ENUM) FORMS_COUNT };
#undef FORM_ENUM

/* Returns the text itself when the form leaves it as it is; else appends the result to `out` and
 * returns a view of it. Failure is the buffer's. The text is UTF-8. */
struct str form_apply(enum form form, struct str text, struct buffer *out);

#endif
