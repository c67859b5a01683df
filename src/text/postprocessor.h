/* postprocessor.h — the special tokens around the ids of one text.
 *
 * Every type that a file may name (TemplateProcessing, BertProcessing, RobertaProcessing, and
 * ByteLevel, which adds none) comes down to some ids before the text and some behind it. The
 * templates for pairs of texts are not read: weir embeds one text at a time. */
#ifndef TEXT_POSTPROCESSOR_H
#define TEXT_POSTPROCESSOR_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct field;
struct vocabulary;

#define POSTPROCESSOR_IDS_MAX 16

struct postprocessor {
    int32_t prefix[POSTPROCESSOR_IDS_MAX], suffix[POSTPROCESSOR_IDS_MAX];
    size_t prefix_count, suffix_count;
};

/* `f` is the file's field `post_processor`; null adds nothing. Every id must have a piece in the
 * vocabulary. */
enum weir_code postprocessor_load(struct postprocessor *p, const struct field *f,
                                  const struct vocabulary *v, struct weir_error *err);

#endif
