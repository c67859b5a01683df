/* percent.h — percent-encoded text, as paths and queries carry it. */
#ifndef SERVER_PERCENT_H
#define SERVER_PERCENT_H

#include "base/arena.h"
#include "base/str.h"

#include <stdbool.h>

/* Decodes %XX into the arena. NUL and what is no UTF-8 are refused, so that the result is a C
 * string to show; so is a text for which there is no memory. */
bool percent_decode(struct str coded, struct arena *arena, struct str *out);

/* The value of the first field of that name in "a=1&b=x+y%2Fz", where '+' is a space. False when it
 * is malformed; absent: true, and data NULL. */
bool percent_query(struct str query, struct str name, struct arena *arena, struct str *out);

#endif
