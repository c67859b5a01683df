/* A tokenizer.json and, behind the first NUL, a text. What loads must be JSON to another parser
 * too, and encode that text; what does not load says why. */
#include "fuzz/fuzz.h"

#include "base/check.h"
#include "fuzz/texts.h"
#include "text/tokenizer.h"

#include <jansson.h>
#include <string.h>

/* But for what only that parser refuses: large numbers, U+0000, deep nesting. */
static void check_json(struct str file)
{
    json_error_t why;
    json_t *root = json_loadb(file.data, file.len, JSON_REJECT_DUPLICATES, &why);
    if (root == NULL) {
        const enum json_error_code code = json_error_code(&why);
        CHECK(code == json_error_numeric_overflow || code == json_error_null_character ||
              code == json_error_null_byte_in_key || code == json_error_stack_overflow);
    }
    json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tokenizer *t = NULL;
    struct weir_error err;
    struct str file, text;
    memset(&err, 0, sizeof(err));
    fuzz_split((struct str){ (const char *)data, size }, '\0', &file, &text);
    const enum weir_code code = tokenizer_create(file, &t, &err);
    if (code != WEIR_OK) {
        CHECK(t == NULL && (code == WEIR_LOAD_FAILED || code == WEIR_NO_MEMORY));
        fuzz_check_error(&err, code, NULL);
        return 0;
    }
    check_json(file);
    texts_check(t, text);
    texts_check_sample(t);
    CHECK(tokenizer_piece(t, -1).len == 0);
    CHECK(tokenizer_piece(t, (int32_t)tokenizer_vocab_size(t)).len == 0);
    tokenizer_destroy(t);
    return 0;
}
