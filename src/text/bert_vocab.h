/* bert_vocab.h — what a tokenizer.json would say about a BERT model that only has a vocab.txt.
 *
 * The oldest models come with a list of pieces, one a line, and everything else is known: BERT's
 * own way to normalise and cut, WordPiece with "##", [CLS] before a text and [SEP] behind it, and
 * five names that are never cut. This is what `transformers` makes of such a file, but for one
 * thing: a name that the file doesn't have is not added behind it, where the model has no row for
 * it. Without [UNK], [CLS] or [SEP] the file is refused; [PAD] and [MASK] may be missing. */
#ifndef TEXT_BERT_VOCAB_H
#define TEXT_BERT_VOCAB_H

#include "text/lists.h"

#include "base/error.h"
#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>

/* The document without its vocabulary, which is the caller's to release, and the vocabulary,
 * borrowed from the text. The text must be UTF-8. */
enum weir_code bert_vocab_read(struct str text, bool lowercase, json_t **out_document,
                               struct lists *out_lists, struct weir_error *err);

#endif
