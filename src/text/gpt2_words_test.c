/* The scanner against the pattern that it stands for. */
#include "text/gpt2_words.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/rand.h"
#include "text/field.h"
#include "text/pattern.h"
#include "text/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 20000

static const char pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

static void put(struct buffer *out, uint32_t c)
{
    uint8_t bytes[UTF8_BYTES_MAX];
    buffer_append(out, bytes, utf8_put(c, bytes));
}

static void append_random(struct rng *rng, struct buffer *out)
{
    static const char *const parts[] = {
        "'",       "'s", "'re",          "'l",           "'ll",
        " ",       "  ", "\n",           "\t ",          "a",
        "Zx",      "7",  "!?",           "\xC2\xA0",     "\xE3\x80\x80",
        "v",       "e",  "\xE1\xA0\x8E", "\xE2\x80\x8B", "_",
        "\xCC\x81"
    };
    if (rand_below(rng, 3) > 0) {
        buffer_text(out, parts[rand_below(rng, ARRAY_COUNT(parts))]);
        return;
    }
    uint32_t c = (uint32_t)rand_below(rng, rand_below(rng, 2) ? 0x3000 : 0x32000);
    put(out, c >= 0xD800 && c <= 0xDFFF ? 'x' : c);
}

static void check(const struct pattern *p, struct pattern_work *w, struct str text)
{
    struct pattern_scan scan = pattern_scan(p, w, text);
    size_t start, end, at = 0;
    while (pattern_next(&scan, &start, &end)) {
        assert_int_equal(start, at);
        size_t got = gpt2_word_end(text, at);
        if (got != end)
            fail_msg("a word of '%.*s' from %zu on ends at %zu, it should end at %zu",
                     STR_ARG(text), at, got, end);
        at = end;
    }
    assert_int_equal(at, text.len);
}

static void finds_the_words_of_the_pattern(void **state)
{
    (void)state;
    struct pattern p = { 0 };
    struct pattern_work w = { 0 };
    struct buffer text;
    struct rng rng;
    struct field f = { 0 };
    rand_seed(&rng, 2);
    buffer_init(&text, 4096);
    assert_int_equal(pattern_compile(&p, &f, str_of(pattern), NULL), WEIR_OK);
    for (uint32_t c = 1; c < 0x110000; c++) {
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        buffer_clear(&text);
        buffer_text(&text, "a");
        put(&text, c);
        buffer_text(&text, "1 ");
        put(&text, c);
        buffer_text(&text, "!");
        check(&p, &w, buffer_view(&text));
    }
    for (int round = 0; round < ROUNDS; round++) {
        buffer_clear(&text);
        for (uint64_t n = rand_below(&rng, 12); n > 0; n--)
            append_random(&rng, &text);
        check(&p, &w, buffer_view(&text));
    }
    buffer_finish(&text);
    pattern_work_finish(&w);
    pattern_finish(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_words_of_the_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
