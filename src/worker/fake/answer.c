#include "worker/fake/answer.h"

#include "base/rand.h"
#include "base/reader.h"
#include "wire/tokens.h"

#define VOCABULARY 30000

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str answer_next_word(struct str *rest)
{
    size_t start = 0;
    while (start < rest->len && is_space(rest->data[start]))
        start++;
    size_t end = start;
    while (end < rest->len && !is_space(rest->data[end]))
        end++;
    const struct str word = { rest->data + start, end - start };
    *rest = (struct str){ rest->data + end, rest->len - end };
    return word;
}

size_t answer_words(struct str text)
{
    size_t count = 0;
    while (answer_next_word(&text).len > 0)
        count++;
    return count;
}

uint32_t answer_tokens(const struct wire_input *input)
{
    if (input->kind == WIRE_IDS)
        return (uint32_t)(input->data.len / sizeof(int32_t));
    if (input->kind == WIRE_IMAGE)
        return 1;
    const size_t words = answer_words(input->data);
    return words > 0 ? (uint32_t)words : 1;
}

struct str answer_kept(const struct wire_input *input, uint32_t tokens, bool front)
{
    const size_t unit = sizeof(int32_t);
    const uint32_t all = answer_tokens(input);
    struct str data = input->data;
    if (tokens >= all)
        return data;
    if (input->kind == WIRE_IDS)
        return (struct str){ data.data + (front ? (all - tokens) * unit : 0), tokens * unit };
    for (uint32_t i = 0; i < (front ? all - tokens : tokens); i++)
        (void)answer_next_word(&data);
    return front ? str_trim(data) : (struct str){ input->data.data, input->data.len - data.len };
}

void answer_vector(struct str kept, float *out, size_t dim)
{
    struct rng rng;
    rand_seed(&rng, str_hash(kept));
    for (size_t i = 0; i < dim; i++)
        out[i] = (float)(2 * rand_unit(&rng) - 1);
}

void answer_tokenize(struct buffer *out, struct str text)
{
    tokens_row_begin(out, (uint32_t)answer_words(text));
    for (;;) {
        const struct str word = answer_next_word(&text);
        if (word.len == 0)
            break;
        tokens_row_add(out, (int32_t)(str_hash(word) % VOCABULARY), word);
    }
}

void answer_detokenize(struct buffer *out, struct str ids)
{
    struct reader r = reader_of(ids.data, ids.len);
    while (reader_has(&r, sizeof(int32_t))) {
        const int32_t id = (int32_t)reader_u32(&r);
        buffer_printf(out, r.pos > sizeof(int32_t) ? " %d" : "%d", (int)id);
    }
}

void answer_picture(struct str prompt, uint64_t seed, uint32_t width, uint32_t height, uint8_t *rgb)
{
    enum { TILES = 8 };
    uint64_t colours[TILES * TILES];
    const uint64_t parts[] = { str_hash(prompt), seed };
    struct rng rng;
    rand_seed(&rng, str_hash((struct str){ (const char *)parts, sizeof(parts) }));
    for (size_t i = 0; i < TILES * TILES; i++)
        colours[i] = rand_u64(&rng);
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            const uint64_t colour = colours[y * TILES / height * TILES + x * TILES / width];
            *rgb++ = (uint8_t)colour;
            *rgb++ = (uint8_t)(colour >> 8);
            *rgb++ = (uint8_t)(colour >> 16);
        }
    }
}
