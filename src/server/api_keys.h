/* api_keys.h — the keys that let a client in, and whose they are.
 *
 * A text of keys has one a line, `KEY` or `NAME:KEY`; empty lines and those that begin with '#' are
 * skipped, and white space around a line does not count. A name stands for its client, in turns of
 * fairness and in logs; several keys may have the same one, while a client changes from one to the
 * next. No key is kept, only digests, and whatever is offered is compared with all of them, whole,
 * so that the time taken tells nothing of a key or its length. A plain value to its readers. */
#ifndef SERVER_API_KEYS_H
#define SERVER_API_KEYS_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct api_keys;

/* `path` is what the lines are called by. WEIR_INVALID names the line, never what stands in it; a
 * text without any key is wrong too. */
enum weir_code api_keys_parse(struct str text, const char *path, struct api_keys **out,
                              struct weir_error *err);
void api_keys_destroy(struct api_keys *keys);
size_t api_keys_count(const struct api_keys *keys);

/* What a request offers in its fields Authorization (Bearer, or the password of Basic) and
 * x-api-key; data NULL: absent. True when one of them is a key; *name is then the key's, NULL when
 * it has none, borrowed from `keys`. */
bool api_keys_admit(const struct api_keys *keys, struct str authorization, struct str x_api_key,
                    const char **name);

#endif
