/* The models of subword.h: against what the reference library gave for the same file and word, and
 * against slower ways to the same end. */
#include "text/subword.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/rand.h"
#include "text/field.h"
#include "text/lists.h"
#include "text/score.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define IDS_MAX 16

/* `model` is written with ' for ". */
static enum weir_code try_load(struct subword *s, const char *model, struct weir_error *err)
{
    struct buffer json, rest;
    struct lists lists;
    buffer_init(&json, 1 << 20);
    buffer_printf(&json, "{\"model\":%s}", model);
    for (size_t i = 0; i < json.len; i++)
        json.data[i] = json.data[i] == '\'' ? '"' : json.data[i];
    buffer_init(&rest, 1 << 20);
    lists_cut(buffer_view(&json), &lists, &rest);
    json_t *root = json_loadb((const char *)rest.data, rest.len, JSON_ALLOW_NUL, NULL);
    struct field file = { .value = root };
    struct field f = field_of(&file, "model");
    *s = (struct subword){ 0 };
    enum weir_code code = root == NULL ? weir_fail(err, WEIR_LOAD_FAILED, "not JSON")
                                       : subword_load(s, &f, &lists, err);
    json_decref(root);
    buffer_finish(&rest);
    buffer_finish(&json);
    return code;
}

static void must_load(struct subword *s, const char *model)
{
    struct weir_error err;
    if (try_load(s, model, &err) != WEIR_OK)
        fail_msg("%s: %s", model, err.text);
}

static struct tokens encode(const struct subword *s, struct str word)
{
    struct tokens tokens = { 0 };
    assert_true(subword_encode(s, word, &tokens));
    return tokens;
}

struct row {
    const char *word;
    size_t count;
    int32_t ids[IDS_MAX];
};

static void check_rows(const char *model, const struct row *rows, size_t count)
{
    struct subword s;
    must_load(&s, model);
    for (size_t i = 0; i < count; i++) {
        struct tokens got = encode(&s, str_of(rows[i].word));
        bool same = got.count == rows[i].count;
        for (size_t n = 0; same && n < got.count; n++)
            same = got.ids[n] == rows[i].ids[n];
        if (!same)
            fail_msg("%s: '%s' has %zu ids, the first is %d", model, rows[i].word, got.count,
                     got.count > 0 ? got.ids[0] : -1);
        tokens_finish(&got);
    }
    subword_finish(&s);
}
#define CHECK_ROWS(model, ...)                                                                     \
    check_rows(model, (const struct row[]){ __VA_ARGS__ },                                         \
               ARRAY_COUNT(((const struct row[]){ __VA_ARGS__ })))

#define UNIGRAM(vocab, more) "{'type':'Unigram','unk_id':0,'vocab':[" vocab "]" more "}"

static void unigram_takes_the_best_sum(void **state)
{
    (void)state;
    static const char model[] =
        UNIGRAM("['<unk>',0.0],['a',-1.0],['b',-1.0],['ab',-2.0],['abc',-3]", "");
    /* The sums of "a" "b" and of "ab" are equal: the way found first stays. */
    CHECK_ROWS(model, { "ab", 1, { 3 } }, { "abc", 1, { 4 } }, { "", 0, { 0 } });
    CHECK_ROWS(UNIGRAM("['<unk>',0],['a',-1],['a',-5],['aa',-3]", ""),
               {
                   "a", 1, {2}
    },
               { "aa", 1, { 3 } }, { "aaa", 2, { 2, 3 } });
}

static void unigram_joins_unknown_runs(void **state)
{
    (void)state;
    static const char model[] =
        UNIGRAM("['<unk>',0.0],['a',-1.0],['b',-1.0],['ab',-2.0],['abc',-3]", "");
    CHECK_ROWS(model,
               {
                   "axxa", 3, {1, 0, 1}
    },
               { "xaxx", 3, { 0, 1, 0 } }, { "<unk>", 1, { 0 } }, { "x<unk>x", 1, { 0 } },
               { "\xE2\x98\x83\xE2\x98\x83", 1, { 0 } });
    /* Scores so high that two unknown characters beat the piece that they make up. */
    CHECK_ROWS(UNIGRAM("['<unk>',100.0],['xy',50.0],['z',60.0]", ""),
               {
                   "xy", 1, {1}
    },
               { "xyz", 2, { 1, 2 } }, { "wxy", 1, { 0 } });
}

static void unigram_falls_back_to_bytes(void **state)
{
    (void)state;
    static const char model[] =
        UNIGRAM("['<unk>',0],['a',-1],['<0xE2>',-3],['<0x98>',-3],['<0x83>',-3],['<0x62>',-3]",
                ",'byte_fallback':true");
    CHECK_ROWS(model,
               {
                   "ab", 2, {1, 5}
    },
               { "a\xE2\x98\x83\x62", 5, { 1, 2, 3, 4, 5 } }, { "<0x62>", 1, { 5 } },
               { "bc", 1, { 0 } }, { "<unk>", 1, { 0 } }, { "\xE2\x98\x82", 1, { 0 } });
}

#define BPE(vocab, merges, more) "{'type':'BPE','vocab':{" vocab "},'merges':[" merges "]" more "}"
#define ABC                      "'<unk>':0,'a':1,'b':2,'ab':3,'abc':4,'c':5,'bc':6"

static void bpe_merges_in_the_order_of_ranks(void **state)
{
    (void)state;
    CHECK_ROWS(BPE(ABC, "'a b','b c','ab c'", ",'unk_token':'<unk>'"),
               {
                   "abc", 1, {4}
    },
               { "bc", 1, { 6 } }, { "xxabc", 3, { 0, 0, 4 } }, { "axb", 3, { 1, 0, 2 } },
               { "", 0, { 0 } });
    CHECK_ROWS(BPE(ABC, "['a','b'],['b','c'],['ab','c']", ",'unk_token':'<unk>','fuse_unk':true"),
               {
                   "xxabc", 2, {0, 4}
    },
               { "xx", 1, { 0 } });
    /* Of a pair that stands there twice the last rank counts; a version is no merge. */
    CHECK_ROWS(BPE(ABC, "'#version: 0.2','a b','b c','a b'", ""), {
                                                                      "abc", 2, {1, 6}
    });
    /* Without an unknown token what has no piece is left out, and its neighbours meet. */
    CHECK_ROWS(BPE(ABC, "'a b'", ",'unk_token':null,'dropout':0.0"), { "axb", 1, { 3 } },
               { "x", 0, { 0 } });
    CHECK_ROWS("{'vocab':{'a':0,'b':1,'ab':2},'merges':['a b']}", { "ab", 1, { 2 } });
    CHECK_ROWS(BPE("'<unk>':0,'a':1,'<unk>a':2", "'<unk> a'", ",'unk_token':'<unk>'"),
               {
                   "xa", 1, {2}
    },
               { "xxa", 2, { 0, 2 } });
    CHECK_ROWS(BPE("'a':0,' ':1,'a ':2,'b':3,'a b':4", "['a',' '],['a ','b']", ""),
               { "a b", 1, { 4 } });
}

static void bpe_knows_prefix_suffix_and_whole_words(void **state)
{
    (void)state;
    CHECK_ROWS(BPE("'<unk>':0,'a':1,'##b':2,'ab':3,'##c':4,'##bc':5,'abc':6",
                   "'a ##b','##b ##c','a ##bc'",
                   ",'continuing_subword_prefix':'##','unk_token':'<unk>'"),
               {
                   "abc", 2, {3, 4}
    },
               { "ab", 1, { 3 } }, { "ba", 2, { 0, 0 } });
    CHECK_ROWS(BPE("'<unk>':0,'a':1,'b</w>':2,'ab</w>':3,'b':4,'a</w>':5", "'a b</w>'",
                   ",'end_of_word_suffix':'</w>','unk_token':'<unk>'"),
               {
                   "ab", 1, {3}
    },
               { "abab", 3, { 1, 4, 3 } }, { "a", 1, { 5 } }, { "ax", 2, { 1, 0 } });
    CHECK_ROWS(BPE(ABC, "", ",'ignore_merges':true,'unk_token':'<unk>'"),
               {
                   "abc", 1, {4}
    },
               { "abcx", 4, { 1, 2, 5, 0 } }, { "<unk>", 1, { 0 } });
}

static void bpe_falls_back_to_bytes(void **state)
{
    (void)state;
    static const char bytes[] =
        BPE(ABC ",'<0x7A>':7,'<0x79>':8,'<0x7A><0x79>':9", "'a b','<0x7A> <0x79>'",
            ",'byte_fallback':true,'unk_token':'<unk>'");
    CHECK_ROWS(bytes,
               {
                   "zab", 2, {7, 3}
    },
               { "zy", 1, { 9 } }, { "zxy", 2, { 9, 0 } }, { "\xE2\x98\x83", 1, { 0 } });
    /* Bytes go before an unknown token that is due: the reference does so. */
    CHECK_ROWS(bytes,
               {
                   "xza", 3, {7, 0, 1}
    },
               { "xxzxa", 5, { 0, 7, 0, 0, 1 } });
    CHECK_ROWS(
        BPE(ABC ",'<0x7A>':7", "", ",'byte_fallback':true,'unk_token':'<unk>','fuse_unk':true"),
        {
            "xxzxa", 3, {7, 0, 1}
    });
}

/* The scan that merges.h replaces: the pair that goes first, from the left, until there is none. */
static size_t merge_slowly(const struct subword *s, int32_t *ids, size_t count)
{
    for (;;) {
        const struct merge *best = NULL;
        size_t at = 0;
        for (size_t i = 0; i + 1 < count; i++) {
            const struct merge *m = merges_find(&s->merges, ids[i], ids[i + 1]);
            if (m != NULL && (best == NULL || m->rank < best->rank)) {
                best = m;
                at = i;
            }
        }
        if (best == NULL)
            return count;
        ids[at] = best->made;
        memmove(ids + at + 1, ids + at + 2, (count - at - 2) * sizeof(*ids));
        count--;
    }
}

/* Pieces of up to `most` letters that earlier pieces make up, in random order of merges. */
static void random_bpe(struct rng *rng, size_t most, struct subword *s)
{
    char pieces[200][16] = { "a", "b", "c" };
    size_t count = 3;
    struct buffer vocab, merges, model;
    buffer_init(&vocab, 1 << 16);
    buffer_init(&merges, 1 << 16);
    buffer_init(&model, 1 << 16);
    buffer_text(&vocab, "\"a\":0,\"b\":1,\"c\":2");
    for (int tries = 0; tries < 150; tries++) {
        const char *left = pieces[rand_below(rng, count)], *right = pieces[rand_below(rng, count)];
        char made[32];
        snprintf(made, sizeof(made), "%s%s", left, right);
        bool fits = strlen(made) <= most;
        size_t known = 0;
        while (known < count && strcmp(pieces[known], made) != 0)
            known++;
        if (!fits)
            continue;
        if (known == count) {
            snprintf(pieces[count], sizeof(pieces[count]), "%.15s", made);
            buffer_printf(&vocab, ",\"%s\":%zu", made, count++);
        }
        buffer_printf(&merges, "%s\"%s %s\"", merges.len > 0 ? "," : "", left, right);
    }
    buffer_printf(&model, "{\"type\":\"BPE\",\"vocab\":{%.*s},\"merges\":[%.*s]}",
                  STR_ARG(buffer_view(&vocab)), STR_ARG(buffer_view(&merges)));
    buffer_u8(&model, 0);
    must_load(s, (const char *)model.data);
    buffer_finish(&model);
    buffer_finish(&merges);
    buffer_finish(&vocab);
}

static void bpe_merges_words_of_any_length_alike(void **state)
{
    (void)state;
    struct rng rng;
    size_t merged = 0;
    rand_seed(&rng, 3);
    for (int round = 0; round < 150; round++) {
        struct subword s;
        random_bpe(&rng, 2 + (size_t)rand_below(&rng, 12), &s);
        for (int look = 0; look < 20; look++) {
            char word[80];
            int32_t want[80];
            size_t len = (size_t)rand_below(&rng, sizeof(word) + 1);
            for (size_t i = 0; i < len; i++) {
                want[i] = (int32_t)rand_below(&rng, 3);
                word[i] = (char)('a' + want[i]);
            }
            size_t count = merge_slowly(&s, want, len);
            struct tokens got = encode(&s, (struct str){ word, len });
            assert_int_equal(got.count, count);
            if (count > 0)
                assert_memory_equal(got.ids, want, count * sizeof(*want));
            merged += len - count;
            tokens_finish(&got);
        }
        subword_finish(&s);
    }
    assert_true(merged > 10000);
}

/* The largest sum of scores of all ways to cut the word. */
static double best_sum(const struct subword *s, struct str word)
{
    double best = word.len == 0 ? 0 : -1e300;
    for (size_t len = 1; len <= word.len; len++) {
        int32_t id = vocabulary_find(&s->vocabulary, (struct str){ word.data, len });
        if (id < 0)
            continue;
        double sum = s->scores[id] + best_sum(s, (struct str){ word.data + len, word.len - len });
        best = sum > best ? sum : best;
    }
    return best;
}

static void unigram_finds_the_best_of_all_ways(void **state)
{
    (void)state;
    struct rng rng;
    rand_seed(&rng, 4);
    for (int round = 0; round < 200; round++) {
        struct buffer model;
        struct subword s;
        buffer_init(&model, 1 << 16);
        buffer_text(&model, "{'type':'Unigram','unk_id':0,'vocab':[['?',0],['a',-4.5],['b',-5]");
        for (int i = 0; i < 12; i++) {
            char piece[6] = "";
            for (size_t n = 2 + (size_t)rand_below(&rng, 3), at = 0; at < n; at++)
                piece[at] = (char)('a' + rand_below(&rng, 2));
            buffer_printf(&model, ",['%s',-%d.%d]", piece, (int)rand_below(&rng, 20),
                          (int)rand_below(&rng, 100));
        }
        buffer_text(&model, "]}");
        buffer_u8(&model, 0);
        must_load(&s, (const char *)model.data);
        char word[12];
        for (size_t i = 0; i < sizeof(word); i++)
            word[i] = (char)('a' + rand_below(&rng, 2));
        struct tokens got = encode(&s, (struct str){ word, sizeof(word) });
        double sum = 0;
        size_t len = 0;
        for (size_t i = 0; i < got.count; i++) {
            sum += s.scores[got.ids[i]];
            len += s.vocabulary.pieces[got.ids[i]].text.len;
        }
        assert_int_equal(len, sizeof(word));
        double best = best_sum(&s, (struct str){ word, sizeof(word) });
        assert_true(sum > best - 1e-9 && sum < best + 1e-9);
        tokens_finish(&got);
        subword_finish(&s);
        buffer_finish(&model);
    }
}

/* What the library made of these texts; the nearest double is another in each of the first four. */
static void scores_are_read_as_the_library_reads_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } rows[] = {
        {"-15.985743522644043",          -15.985743522644045   },
        { "-1.5386019945144653",         -1.538601994514465    },
        { "-9.222574234008789",          -9.222574234008787    },
        { "-15.483321189880371",         -15.483321189880373   },
        { "0",                           0                     },
        { "-0.5",                        -0.5                  },
        { "-11.25",                      -11.25                },
        { "123456789012345678901234",    1.2345678901234567e+23},
        { "0.1234567890123456789012345", 0.12345678901234568   },
        { "1e-320",                      1e-320                },
        { "1e22",                        1e22                  },
        { "2.5E-3",                      0.0025                },
        { "1e-400",                      0                     },
        { "1e308",                       1e308                 },
    };
    double value;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        assert_true(score_read(str_of(rows[i].text), &value));
        if (value != rows[i].value)
            fail_msg("%s is %.17g, it should be %.17g", rows[i].text, value, rows[i].value);
    }
    assert_false(score_read(STR("1e309"), &value));
    assert_false(score_read(STR("9e99999999999"), &value));
}

static void refuses_by_name(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        const char *model, *says;
    } rows[] = {
        { UNIGRAM("['a',1]", ",'fuse_unk':true"),
          "model has a field 'fuse_unk' that is not supported" },
        { "{'type':'Unigram','unk_id':null,'vocab':[['a',1]]}",
          "model.unk_id is null, it must be an integer" },
        { "{'type':'Unigram','unk_id':7,'vocab':[['a',1]]}",
          "model.unk_id is 7, model.vocab has only 1 pieces" },
        { "{'type':'Unigram','unk_id':0,'vocab':[]}",
          "model.unk_id is 0, model.vocab has only 0 pieces" },
        { "{'type':'Unigram','unk_id':0,'vocab':{}}",
          "model.vocab is an object, it must be an array" },
        { "{'type':'Unigram','unk_id':0}", "model.vocab is missing, it must be an array" },
        { UNIGRAM("['a','b']", ""),
          "not JSON at byte 6 of model.vocab, or not what it must hold" },
        { UNIGRAM("['a',1],", ""),
          "not JSON at byte 9 of model.vocab, or not what it must hold" },
        { UNIGRAM("['a',1e999]", ""), "the score 1e999 of piece 0 is no finite number" },
        { BPE("'a':0", "'a b'", ""), "model.merges[0]: 'b' is not in model.vocab" },
        { BPE("'a':0,'b':1", "'a b'", ""), "model.merges[0]: 'ab' is not in model.vocab" },
        { BPE("'a':0", "'ab'", ""),
          "model.merges[0] 'ab' must be two pieces with a space between them" },
        { BPE("'a':0", "'a b c'", ""),
          "model.merges[0] 'a b c' must be two pieces with a space between them" },
        { BPE("'a':0,'b':1", "['a','b','c']", ""),
          "not JSON at byte 9 of model.merges, or not a text \"left right\" or a pair of texts" },
        { BPE("'a':0", "1", ""),
          "not JSON at byte 1 of model.merges, or not a text \"left right\" or a pair of texts" },
        { BPE("'a':0,'a':1", "", ""), "model.vocab has 'a' twice" },
        { BPE("'a':0", "", ",'unk_token':'<unk>'"),
          "model.unk_token '<unk>' is not in model.vocab" },
        { BPE("'a':0", "", ",'dropout':0.1"),
          "model.dropout is not null: ids would be chosen at random" },
        { BPE("'##a':0,'b':1", "'##a b'", ",'continuing_subword_prefix':'##'"),
          "model.merges[0]: the right piece is shorter than model.continuing_subword_prefix" },
        { BPE("'a':0", "", ",'more':1"), "model has a field 'more' that is not supported" },
        { BPE("'a':true", "", ""), "model.vocab.a is a boolean, it must be an integer" },
        { "{'type':'BPE','vocab':{'a':0}}", "model.merges is missing, it must be an array" },
        { "{'type':'BPE','vocab':3,'merges':[]}",
          "model.vocab is an integer, it must be an object" },
    };
    /* clang-format on */
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct subword s;
        struct weir_error err = { 0 };
        if (try_load(&s, rows[i].model, &err) != WEIR_LOAD_FAILED)
            fail_msg("%s is not refused", rows[i].model);
        if (strcmp(err.text, rows[i].says) != 0)
            fail_msg("%s: \"%s\", it should say \"%s\"", rows[i].model, err.text, rows[i].says);
        subword_finish(&s);
    }
}

/* Bytes of a file changed at random: refused with a reason, or a model that works. */
static void survives_damaged_models(void **state)
{
    (void)state;
    static const char *const models[] = {
        BPE(ABC ",'##\\u00e9':7,'<0x7A>':8,'##b':9", "'a b',['b','c'],'ab c'",
            ",'unk_token':'<unk>','byte_fallback':true,'fuse_unk':true"),
        UNIGRAM("['<unk>',0.0],['a',-1.5e0],['b',-12345678901234567890],['ab',-2.0],['<0x7A>',-3]",
                ",'byte_fallback':true"),
    };
    static const char bytes[] = "''{}[],:0123456789-.eE \\u#ab";
    struct rng rng;
    size_t accepted = 0, refused = 0;
    rand_seed(&rng, 8);
    for (int round = 0; round < 4000; round++) {
        char copy[300];
        const char *model = models[round % 2];
        size_t len = strlen(model);
        assert_true(len < sizeof(copy));
        memcpy(copy, model, len + 1);
        /* Not the braces around it, without which there is no file. */
        for (uint64_t n = rand_below(&rng, 4); n < 4; n++)
            copy[1 + rand_below(&rng, len - 2)] = bytes[rand_below(&rng, sizeof(bytes) - 1)];
        struct subword s;
        struct weir_error err = { 0 };
        if (try_load(&s, copy, &err) == WEIR_OK) {
            struct tokens got = encode(&s, STR("aabczz\xC3\xA9\xE2\x98\x83"
                                               "abcab"));
            for (size_t i = 0; i < got.count; i++)
                assert_true(vocabulary_has(&s.vocabulary, got.ids[i]));
            tokens_finish(&got);
            accepted++;
        } else {
            assert_true(err.text[0] != '\0');
            refused++;
        }
        subword_finish(&s);
    }
    assert_true(accepted > 100 && refused > 100);
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds_for(const struct subword *s, const char *word, size_t len)
{
    double start = cpu_seconds();
    struct tokens got = encode(s, (struct str){ word, len });
    assert_true(got.count > 0);
    tokens_finish(&got);
    return cpu_seconds() - start;
}

/* Sixteen times the length may cost more than sixteen times the time, but not its square. */
static void long_words_do_not_cost_their_square(void **state)
{
    (void)state;
    static const char *const models[] = {
        BPE("'a':0,'b':1,'aa':2,'aaaa':3,'aaaaaaaa':4,'ab':5,'ba':6",
            "'a a','aa aa','aaaa aaaa','a b','b a'", ""),
        UNIGRAM("['?',0],['a',-2],['aa',-3],['aaaa',-4],['aaaaaaaaaaaaaaaa',-5],['b',-2]", ""),
    };
    const size_t most = 1 << 20, less = most / 16;
    char *word = mem_new(most, 1);
    for (size_t i = 0; i < most; i++)
        word[i] = i % 7 == 3 ? 'b' : 'a';
    for (size_t i = 0; i < ARRAY_COUNT(models); i++) {
        struct subword s;
        must_load(&s, models[i]);
        double small = seconds_for(&s, word, less), large = seconds_for(&s, word, most);
        if (large > 100 * small + 0.05)
            fail_msg("%zu bytes take %.3f s, %zu bytes %.3f s", less, small, most, large);
        subword_finish(&s);
    }
    mem_free(word);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unigram_takes_the_best_sum),
        cmocka_unit_test(unigram_joins_unknown_runs),
        cmocka_unit_test(unigram_falls_back_to_bytes),
        cmocka_unit_test(unigram_finds_the_best_of_all_ways),
        cmocka_unit_test(bpe_merges_in_the_order_of_ranks),
        cmocka_unit_test(bpe_knows_prefix_suffix_and_whole_words),
        cmocka_unit_test(bpe_falls_back_to_bytes),
        cmocka_unit_test(bpe_merges_words_of_any_length_alike),
        cmocka_unit_test(scores_are_read_as_the_library_reads_them),
        cmocka_unit_test(refuses_by_name),
        cmocka_unit_test(survives_damaged_models),
        cmocka_unit_test(long_words_do_not_cost_their_square),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
