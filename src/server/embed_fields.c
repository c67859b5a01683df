#include "server/embed_fields.h"

#include <string.h>

static enum weir_truncate read_truncate(struct json_fields *f)
{
    bool cuts = json_fields_bool(f, "truncate", false);
    if (cuts != json_fields_bool(f, "truncate", true))
        return WEIR_TRUNCATE_AS_MODEL; /* the field is absent */
    return cuts ? WEIR_TRUNCATE_CUT : WEIR_TRUNCATE_REFUSE;
}

/* As a C string; NULL when there is none. */
static const char *read_prompt_name(struct json_fields *f, struct arena *arena)
{
    struct str name = json_fields_text(f, "prompt_name", STR(""));
    if (name.len == 0)
        return NULL;
    const char *text = arena_str(arena, name).data;
    if (text == NULL || strlen(text) != name.len)
        json_fields_fail(f, "prompt_name", "'prompt_name' is no name of a prompt");
    return text;
}

void embed_fields_read(struct json_fields *f, struct arena *arena, struct weir_embed *embed)
{
    embed->truncate = read_truncate(f);
    embed->dimensions = (uint32_t)json_fields_integer(f, "dimensions", 1, UINT32_MAX, 0);
    embed->prompt_name = read_prompt_name(f, arena);
}
