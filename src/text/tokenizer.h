/* tokenizer.h — texts to token ids and back, as a Hugging Face tokenizer.json says.
 *
 * Promises the very ids that the library `tokenizers` gives (unicode.h says which version where it
 * matters). Supported is what published encoders use; a file that asks for anything else is refused
 * with the name of the field. Nothing is ever cut or filled up behind the caller's back. A text
 * goes through these rooms:
 *
 *     added_tokens   names of whole tokens, in the raw text
 *     normalizer     cleaned, accents off, lower case, and the like
 *     added_tokens   names that are looked for in normalised text
 *     pretokenizer   words
 *     subword        ids
 *     postprocessor  special tokens around them
 *
 * A tokenizer never changes once it is made: threads may share it. */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include "text/tokens.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKENIZER_FILE_BYTES_MAX (128 * 1024 * 1024)
#define TOKENIZER_TEXT_BYTES_MAX (1024 * 1024 * 1024)

struct tokenizer;

/* `json` is the text of tokenizer.json and need not outlive the call. WEIR_LOAD_FAILED names the
 * field at fault. */
enum weir_code tokenizer_create(struct str json, struct tokenizer **out, struct weir_error *err);
/* `vocab` is the text of the vocab.txt of a BERT model that has no tokenizer.json: one piece a line
 * (bert_vocab.h says what else). `lowercase` is the model's `do_lower_case`. */
enum weir_code tokenizer_create_from_vocab(struct str vocab, bool lowercase, struct tokenizer **out,
                                           struct weir_error *err);
void tokenizer_destroy(struct tokenizer *t);

size_t tokenizer_vocab_size(const struct tokenizer *t); /* largest id + 1 */
/* The vocabulary's text, borrowed from the tokenizer; empty when there is no such id. */
struct str tokenizer_piece(const struct tokenizer *t, int32_t id);

/* Appends to `out`, which stays as it was on failure. Text that is not UTF-8 is WEIR_INVALID, with
 * the offset of the first bad byte in the error's text and value. */
enum weir_code tokenizer_encode(const struct tokenizer *t, struct str text, bool add_special_tokens,
                                struct tokens *out, struct weir_error *err);

/* Shortens the ids from `start` on, one text encoded with its special tokens, to at most `max`, and
 * says whether it had to. The end of the text goes, or its `front`; the special tokens around it
 * stay. When not even the special tokens fit, the first `max` of them are left. */
bool tokenizer_truncate(const struct tokenizer *t, struct tokens *tokens, size_t start, size_t max,
                        bool front);

/* Appends the text of the ids to `out`, which stays as it was on failure. An id without a piece is
 * WEIR_INVALID. */
enum weir_code tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t count,
                                bool skip_special, struct buffer *out, struct weir_error *err);

#endif
