/* texts.h — what must hold of any tokenizer and any text. */
#ifndef FUZZ_TEXTS_H
#define FUZZ_TEXTS_H

#include "base/str.h"

struct tokenizer;

/* Encodes, cuts and decodes; aborts unless all of it is as tokenizer.h promises. */
void texts_check(const struct tokenizer *t, struct str text);
/* The same with a text that touches every room of a tokenizer. */
void texts_check_sample(const struct tokenizer *t);

#endif
