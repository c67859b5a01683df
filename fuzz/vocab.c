/* A vocab.txt and, behind the first NUL, a text; the first byte says whether it folds case.
 * What loads must encode that text; what does not load says why. */
#include "fuzz/fuzz.h"

#include "base/check.h"
#include "fuzz/texts.h"
#include "text/tokenizer.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tokenizer *t = NULL;
    struct weir_error err;
    struct str file, text;
    if (size == 0)
        return 0;
    memset(&err, 0, sizeof(err));
    fuzz_split((struct str){ (const char *)data + 1, size - 1 }, '\0', &file, &text);
    const bool lowercase = (data[0] & 1) != 0;
    const enum weir_code code = tokenizer_create_from_vocab(file, lowercase, &t, &err);
    if (code != WEIR_OK) {
        CHECK(t == NULL && (code == WEIR_LOAD_FAILED || code == WEIR_NO_MEMORY));
        fuzz_check_error(&err, code, NULL);
        return 0;
    }
    texts_check(t, text);
    texts_check_sample(t);
    tokenizer_destroy(t);
    return 0;
}
