/* Any text through the tokenizers of fuzz/tokenizers, which are loaded once: the first byte chooses
 * one, the rest is the text (F185). */
#include "fuzz/fuzz.h"

#include "base/check.h"
#include "fuzz/texts.h"
#include "text/tokenizer.h"

#include <string.h>

static const char *const files[] = {
    "fuzz/tokenizers/wordpiece.json",
    "fuzz/tokenizers/bpe.json",
    "fuzz/tokenizers/unigram.json",
};
static struct tokenizer *tokenizers[ARRAY_COUNT(files)];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        struct weir_error err;
        /* A kind that is refused by name is no fault; the first must be there. */
        if (tokenizer_create(fuzz_file(files[i]), &tokenizers[i], &err) != WEIR_OK)
            CHECK(i > 0 && strstr(err.text, "not supported") != NULL);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct tokenizer *t = size > 0 ? tokenizers[data[0] % ARRAY_COUNT(tokenizers)] : NULL;
    if (t != NULL)
        texts_check(t, (struct str){ (const char *)data + 1, size - 1 });
    return 0;
}
