/* prompts.h — the texts that a model wants before its inputs: config_sentence_transformers.json.
 *
 * Every model knows "query" and "document", without a text where the file gives none, as the
 * library has it that writes this file. What cannot be honoured is refused (WEIR_LOAD_FAILED). */
#ifndef MODEL_PROMPTS_H
#define MODEL_PROMPTS_H

#include "base/error.h"
#include "base/str.h"
#include "model/folder.h"

#include <stddef.h>
#include <stdint.h>

#define PROMPTS_MAX      64
#define PROMPT_BYTES_MAX 16384

/* Owns its texts. A zeroed struct has none. */
struct prompts {
    struct prompt {
        char *name, *text;
    } list[PROMPTS_MAX];
    size_t count;
    size_t default_index; /* count: none */
};

enum weir_code prompts_read(struct folder *f, struct prompts *out, struct weir_error *err);
void prompts_finish(struct prompts *p);

/* The names of those that have a text, a line each, as many as there is room for; where that is not
 * all, the last line is "…". Names that are no single line of text are left out. Returns which line
 * is the default's, from 1, or 0. */
uint32_t prompts_names(const struct prompts *p, char *out, size_t room);

/* The text of that name; of an empty name the default's, or none. WEIR_INVALID lists what is
 * known. Borrowed. */
enum weir_code prompts_find(const struct prompts *p, struct str name, struct str *out_text,
                            struct weir_error *err);

#endif
