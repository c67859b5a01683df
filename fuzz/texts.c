#include "fuzz/texts.h"

#include "base/check.h"
#include "fuzz/fuzz.h"
#include "text/tokenizer.h"

#include <string.h>

enum { DECODED_BYTES_MAX = 64 * 1024 * 1024 };

static void check_refused(const struct tokenizer *t, struct str text, size_t valid)
{
    int32_t mine = 7;
    struct tokens tokens = { .ids = NULL };
    struct weir_error err;
    memset(&err, 0, sizeof(err));
    CHECK(tokens_reserve(&tokens, 1));
    tokens.ids[tokens.count++] = mine;
    CHECK(tokenizer_encode(t, text, true, &tokens, &err) == WEIR_INVALID);
    fuzz_check_error(&err, WEIR_INVALID, "UTF-8");
    CHECK(err.value == (int64_t)valid);
    CHECK(tokens.count == 1 && tokens.ids[0] == mine);
    tokens_finish(&tokens);
}

static void check_ids(const struct tokenizer *t, const struct tokens *tokens)
{
    const size_t size = tokenizer_vocab_size(t);
    for (size_t i = 0; i < tokens->count; i++)
        CHECK(tokens->ids[i] >= 0 && (size_t)tokens->ids[i] < size);
}

/* The special tokens stand around the others, and every length can be had. */
static void check_lengths(const struct tokenizer *t, const struct tokens *bare,
                          struct tokens *whole)
{
    bool found = bare->count == 0;
    for (size_t i = 0; !found && i + bare->count <= whole->count; i++)
        found = memcmp(whole->ids + i, bare->ids, bare->count * sizeof(*bare->ids)) == 0;
    CHECK(found);
    CHECK(!tokenizer_truncate(t, whole, 0, whole->count, true));
    for (size_t most = whole->count; most > 0; most /= 2) {
        const bool must = whole->count > most;
        CHECK(tokenizer_truncate(t, whole, 0, most, most % 2 == 0) == must);
        CHECK(whole->count <= most);
        check_ids(t, whole);
    }
}

static void check_decoding(const struct tokenizer *t, const struct tokens *tokens,
                           bool skip_special)
{
    struct buffer out;
    struct weir_error err;
    memset(&err, 0, sizeof(err));
    buffer_init(&out, DECODED_BYTES_MAX);
    buffer_text(&out, "before");
    const enum weir_code code =
        tokenizer_decode(t, tokens->ids, tokens->count, skip_special, &out, &err);
    CHECK(out.len >= 6 && memcmp(out.data, "before", 6) == 0);
    if (code == WEIR_OK)
        CHECK(fuzz_utf8_valid(buffer_view(&out)) == out.len);
    else
        fuzz_check_error(&err, code, NULL);
    buffer_finish(&out);
}

void texts_check(const struct tokenizer *t, struct str text)
{
    struct tokens bare = { .ids = NULL }, whole = { .ids = NULL }, again = { .ids = NULL };
    const size_t valid = fuzz_utf8_valid(text);
    if (valid < text.len) {
        check_refused(t, text, valid);
        return;
    }
    CHECK(tokenizer_encode(t, text, false, &bare, NULL) == WEIR_OK);
    CHECK(tokenizer_encode(t, text, true, &whole, NULL) == WEIR_OK);
    CHECK(tokenizer_encode(t, text, true, &again, NULL) == WEIR_OK);
    CHECK(again.count == whole.count);
    CHECK(again.count == 0 || memcmp(again.ids, whole.ids, again.count * sizeof(*again.ids)) == 0);
    check_ids(t, &bare);
    check_ids(t, &whole);
    check_decoding(t, &bare, false);
    check_decoding(t, &whole, true);
    check_lengths(t, &bare, &whole);
    tokens_finish(&bare);
    tokens_finish(&whole);
    tokens_finish(&again);
}

void texts_check_sample(const struct tokenizer *t)
{
    texts_check(t, STR("The ÅNGSTRÖM, e\xcc\x81 don't\t[SEP] 東京 12345 \xf0\x9f\x8c\x8a  a\n"));
}
