/* embed_fields.h — the fields of a request for embeddings that mean the same on each of its routes:
 * `truncate`, `dimensions`, `prompt_name`. */
#ifndef SERVER_EMBED_FIELDS_H
#define SERVER_EMBED_FIELDS_H

#include "base/arena.h"
#include "server/json_fields.h"

#include "weir/weir.h"

/* Fills truncate, dimensions and prompt_name, whose text lies in the arena. */
void embed_fields_read(struct json_fields *f, struct arena *arena, struct weir_embed *embed);

#endif
