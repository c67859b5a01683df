/* Encodes and decodes texts for tests/oracle/tokenizers: weir's side of the comparison.
 *
 *     oracle-encode tokenizer.json|vocab.txt [lowercase|cased] < texts > answers
 *
 * A text is its length (u32) and its bytes. An answer is the number of ids (u32), the ids, and what
 * they decode to as a text without special tokens; or, where the text was refused, the number
 * 0xFFFFFFFF and the offset that the error named (u32). Numbers are little-endian. What loading and
 * encoding cost goes to standard error, as one line of JSON. */
#include "base/buffer.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/reader.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define INPUT_BYTES_MAX ((size_t)1 << 30)
#define REFUSED         UINT32_MAX

static int64_t cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool read_input(struct buffer *b)
{
    size_t got;
    do {
        uint8_t *room = buffer_reserve(b, 65536);
        if (room == NULL)
            return false;
        got = fread(room, 1, 65536, stdin);
        b->len += got;
    } while (got > 0);
    return !ferror(stdin);
}

static void answer(const struct tokenizer *t, struct str text, struct tokens *tokens,
                   struct buffer *out)
{
    struct weir_error err = { 0 };
    struct buffer decoded;
    tokens->count = 0;
    if (tokenizer_encode(t, text, true, tokens, &err) != WEIR_OK) {
        buffer_u32(out, REFUSED);
        buffer_u32(out, (uint32_t)err.value);
        return;
    }
    buffer_u32(out, (uint32_t)tokens->count);
    buffer_append(out, tokens->ids, tokens->count * sizeof(*tokens->ids));
    buffer_init(&decoded, INPUT_BYTES_MAX);
    if (tokenizer_decode(t, tokens->ids, tokens->count, true, &decoded, &err) != WEIR_OK)
        fprintf(stderr, "oracle-encode: %s\n", err.text);
    buffer_counted(out, buffer_view(&decoded));
    buffer_finish(&decoded);
}

/* Encodes everything once more, on the clock: answering took other time, too. */
static int64_t time_encoding(const struct tokenizer *t, struct str input, struct tokens *tokens)
{
    struct reader r = reader_of(input.data, input.len);
    int64_t start = cpu_us();
    while (reader_has(&r, 1)) {
        tokens->count = 0;
        (void)tokenizer_encode(t, reader_str(&r), true, tokens, NULL);
    }
    return cpu_us() - start;
}

static void answer_all(const struct tokenizer *t, struct str input, int64_t load_us, size_t bytes)
{
    struct tokens tokens = { 0 };
    struct reader r = reader_of(input.data, input.len);
    struct buffer out;
    buffer_init(&out, INPUT_BYTES_MAX);
    while (reader_has(&r, 1))
        answer(t, reader_str(&r), &tokens, &out);
    fwrite(out.data, 1, out.len, stdout);
    int64_t us = time_encoding(t, input, &tokens);
    fprintf(stderr,
            "{\"load_ms\": %.1f, \"bytes\": %zu, \"encode_ms\": %.1f, \"text_bytes\": %zu}\n",
            (double)load_us / 1e3, bytes, (double)us / 1e3, input.len);
    tokens_finish(&tokens);
    buffer_finish(&out);
}

int main(int argc, char **argv)
{
    struct buffer file, input;
    struct weir_error err = { 0 };
    struct tokenizer *t = NULL;
    buffer_init(&file, TOKENIZER_FILE_BYTES_MAX);
    buffer_init(&input, INPUT_BYTES_MAX);
    if (argc < 2 || file_read(argv[1], &file, &err) != WEIR_OK || !read_input(&input)) {
        fprintf(stderr, "oracle-encode: %s\n", argc < 2 ? "no file named" : err.text);
        return 2;
    }
    size_t before = mem_in_use();
    int64_t start = cpu_us();
    enum weir_code code = argc > 2
                              ? tokenizer_create_from_vocab(buffer_view(&file),
                                                            strcmp(argv[2], "cased") != 0, &t, &err)
                              : tokenizer_create(buffer_view(&file), &t, &err);
    if (code != WEIR_OK) {
        fprintf(stderr, "oracle-encode: %s\n", err.text);
        return 3;
    }
    answer_all(t, buffer_view(&input), cpu_us() - start, mem_in_use() - before);
    tokenizer_destroy(t);
    buffer_finish(&file);
    buffer_finish(&input);
    return 0;
}
