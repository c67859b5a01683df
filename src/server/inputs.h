/* inputs.h — the inputs of a request, as clients write them, as the pool takes them. */
#ifndef SERVER_INPUTS_H
#define SERVER_INPUTS_H

#include "base/arena.h"
#include "server/json_fields.h"

#include "weir/weir.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inputs_rules {
    const char *name;  /* of the field */
    int64_t count_max; /* the limit `inputs` */
    bool takes_ids;    /* also [int] and [[int]] */
    bool takes_empty;  /* also "" */
    bool takes_mixed;  /* texts beside arrays of ids */
};

/* Reads string | [string], and | [int] | [[int]] when ids are taken. Texts are borrowed from the
 * JSON, ids live in the arena. NULL after a problem. */
const struct weir_input *inputs_read(struct json_fields *f, const struct inputs_rules *rules,
                                     struct arena *arena, size_t *count);
/* One input of ids, from a field that is [int]; may be empty. False after a problem. */
bool inputs_read_ids(struct json_fields *f, const char *name, struct arena *arena,
                     struct weir_input *out);

#endif
