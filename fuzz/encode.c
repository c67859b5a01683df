/* Any text through the tokenizers of fuzz/tokenizers, which are loaded once: the first byte chooses
 * one, the rest is the text (F185). */
#include "fuzz/fuzz.h"

#include "base/check.h"
#include "fuzz/texts.h"
#include "text/tokenizer.h"

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
        CHECK(tokenizer_create(fuzz_file(files[i]), &tokenizers[i], NULL) == WEIR_OK);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0)
        texts_check(tokenizers[data[0] % ARRAY_COUNT(tokenizers)],
                    (struct str){ (const char *)data + 1, size - 1 });
    return 0;
}
