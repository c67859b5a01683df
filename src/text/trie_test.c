/* The trie against a search through a list. */
#include "text/trie.h"

#include "base/check.h"
#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define KEYS_MAX 60
#define KEY_MAX  14

/* Few letters, so that keys are often equal or begin alike; one of them has its top bit set, one is
 * what a shorter key is filled up with while keys are sorted. */
static size_t random_text(struct rng *rng, char *out, size_t least, size_t most)
{
    static const char letters[] = { 'a', 'b', '\xE4', '\0' };
    size_t len = least + (size_t)rand_below(rng, most - least + 1);
    for (size_t i = 0; i < len; i++)
        out[i] = letters[rand_below(rng, ARRAY_COUNT(letters))];
    return len;
}

/* A key that begins with some times the same letter. */
static struct trie_entry random_entry(struct rng *rng, char bytes[KEY_MAX], size_t alike,
                                      size_t most, int32_t value)
{
    memset(bytes, 'a', alike);
    size_t len = alike + random_text(rng, bytes + alike, 1, most);
    return (struct trie_entry){
        {bytes, len},
        value
    };
}

static int32_t longest_by_list(const struct trie_entry *entries, size_t count, struct str text,
                               size_t *out_len)
{
    int32_t value = -1;
    *out_len = 0;
    for (size_t i = 0; i < count; i++) {
        bool same = entries[i].key.len == *out_len && entries[i].value < value;
        if (str_starts(text, entries[i].key) && (entries[i].key.len > *out_len || same)) {
            value = entries[i].value;
            *out_len = entries[i].key.len;
        }
    }
    return value;
}

static void finds_what_a_list_finds(void **state)
{
    (void)state;
    struct rng rng;
    rand_seed(&rng, 11);
    size_t found = 0;
    for (int round = 0; round < 300; round++) {
        char bytes[KEYS_MAX][KEY_MAX];
        struct trie_entry entries[KEYS_MAX];
        size_t count = (size_t)rand_below(&rng, KEYS_MAX + 1);
        size_t most = round % 3 == 0 ? KEY_MAX : 5, alike = round % 3 == 1 ? 9 : 0;
        for (size_t i = 0; i < count; i++)
            entries[i] = random_entry(&rng, bytes[i], alike, most, (int32_t)i);
        struct trie t;
        struct weir_error err;
        assert_int_equal(trie_init(&t, entries, count, &err), WEIR_OK);
        for (int look = 0; look < 100; look++) {
            char text[24];
            memset(text, 'a', alike);
            struct str s = { text, alike + random_text(&rng, text + alike, 0, 12) };
            size_t want_len, len = 0;
            int32_t want = longest_by_list(entries, count, s, &want_len);
            assert_int_equal(trie_longest(&t, TRIE_ROOT, s, &len), want);
            assert_int_equal(len, want_len);
            found += want >= 0;
        }
        trie_finish(&t);
    }
    assert_true(found > 1000);
}

static void walks_from_where_another_walk_ended(void **state)
{
    (void)state;
    struct trie_entry entries[] = {
        {STR("##ing"), 7},
        { STR("##i"),  8},
        { STR("in"),   9}
    };
    struct trie t;
    size_t len = 0;
    assert_int_equal(trie_init(&t, entries, ARRAY_COUNT(entries), NULL), WEIR_OK);
    uint32_t inner = trie_walk(&t, TRIE_ROOT, STR("##"));
    assert_int_equal(trie_longest(&t, inner, STR("ingot"), &len), 7);
    assert_int_equal(len, 3);
    assert_int_equal(trie_longest(&t, inner, STR("inner"), &len), 8);
    assert_int_equal(len, 1);
    assert_int_equal(trie_longest(&t, inner, STR("got"), &len), -1);
    assert_int_equal(trie_longest(&t, inner, STR(""), &len), -1);
    assert_int_equal(trie_walk(&t, TRIE_ROOT, STR("x")), TRIE_NONE);
    assert_int_equal(trie_longest(&t, TRIE_NONE, STR("in"), &len), -1);
    trie_finish(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_a_list_finds),
        cmocka_unit_test(walks_from_where_another_walk_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
