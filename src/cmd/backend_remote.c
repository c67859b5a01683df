/* backend_remote.c — embed and tokenize by a running server. */
#include "base/check.h"
#include "base/mem.h"
#include "base/size.h"
#include "client/api.h"
#include "cmd/backend.h"

#include <jansson.h>
#include <string.h>

#define ASK_MS   10000
#define WORK_MS  700000 /* above the server's own deadline of 600 s, so that its words arrive */
#define BODY_MAX (64 * MiB)

struct remote {
    struct backend base;
    struct api api;
    char *model;
};

static struct remote *remote_of(struct backend *b)
{
    return CONTAINER_OF(b, struct remote, base);
}

static enum weir_code malformed(const struct remote *r, const char *what, struct weir_error *err)
{
    return weir_fail(err, WEIR_INTERNAL, "%s answered with a malformed %s", r->api.host, what);
}

/* Sends `body` (which is finished here) and takes the answer. */
static enum weir_code post(const struct remote *r, const char *path, struct buffer *body,
                           json_t **out, struct weir_error *err)
{
    int status;
    const enum weir_code code =
        body->failed
            ? weir_fail(err, WEIR_BODY_TOO_LARGE, "a request of over %d MiB", (int)(BODY_MAX / MiB))
            : api_call(&r->api, path, buffer_view(body), WORK_MS, &status, out, err);
    buffer_finish(body);
    return code;
}

/* -1 for what is no digit of base64. */
static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *const at = memchr(digits, c, sizeof(digits) - 1);
    return at != NULL ? (int)(at - digits) : -1;
}

/* Decodes exactly `bytes` bytes, padded; false for anything else. */
static bool base64_decode(const char *text, size_t len, uint8_t *out, size_t bytes)
{
    if (len != (bytes + 2) / 3 * 4)
        return false;
    const size_t digits = bytes / 3 * 4 + (bytes % 3 > 0 ? bytes % 3 + 1 : 0);
    uint32_t held = 0;
    size_t held_bits = 0, done = 0;
    for (size_t i = 0; i < len; i++) {
        if (i >= digits) {
            if (text[i] != '=')
                return false;
            continue;
        }
        const int digit = base64_digit(text[i]);
        if (digit < 0)
            return false;
        held = held << 6 | (uint32_t)digit;
        held_bits += 6;
        if (held_bits >= 8) {
            held_bits -= 8;
            out[done++] = (uint8_t)(held >> held_bits);
        }
    }
    return done == bytes;
}

/* {"data":[{"index":i,"embedding":"…"}]}, in order; the first row decides how long all are. */
static bool read_vectors(const json_t *answer, size_t count, struct embeddings *out)
{
    const json_t *const data = json_object_get(answer, "data");
    if (json_array_size(data) != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *const text = json_object_get(json_array_get(data, i), "embedding");
        const char *const digits = json_string_value(text);
        const size_t len = json_string_length(text);
        if (digits == NULL || len < 4)
            return false;
        const size_t padding = (size_t)(digits[len - 1] == '=') + (digits[len - 2] == '=');
        const size_t bytes = len / 4 * 3 - padding;
        if (i == 0) {
            out->dim = bytes / sizeof(float);
            out->vectors = out->dim > 0 ? mem_try(count, bytes) : NULL;
            out->tokens = mem_new(count, sizeof(*out->tokens));
            out->rows = count;
        }
        if (out->vectors == NULL || bytes != out->dim * sizeof(float) ||
            !base64_decode(digits, len, (uint8_t *)(out->vectors + i * out->dim), bytes))
            return false;
    }
    return true;
}

/* The answer tells the sum of the tokens only. What each text has comes from the tokenizer; texts
 * that were cut all have the same number, the model's limit, which is what is left of the sum. */
static enum weir_code share_tokens(struct remote *r, const struct str *texts, size_t count,
                                   const json_t *answer, struct embeddings *out,
                                   struct weir_error *err)
{
    const json_int_t sum =
        json_integer_value(json_object_get(json_object_get(answer, "usage"), "prompt_tokens"));
    const json_t *const cut = json_object_get(answer, "truncated");
    const size_t cut_count = json_array_size(cut);
    if (count == cut_count || count == 1) {
        for (size_t i = 0; i < count; i++)
            out->tokens[i] = (uint32_t)(sum / (json_int_t)count);
        return WEIR_OK;
    }
    struct buffer body;
    json_t *tokens = NULL;
    buffer_init(&body, BODY_MAX);
    body_tokenize(&body, r->model, texts, count, true);
    enum weir_code code = post(r, "/weir/v1/tokenize", &body, &tokens, err);
    if (code != WEIR_OK)
        return code;
    const json_t *const rows = json_object_get(tokens, "tokens");
    json_int_t whole = 0;
    for (size_t i = 0; i < count; i++) {
        out->tokens[i] = (uint32_t)json_array_size(json_array_get(rows, i));
        whole += out->tokens[i];
    }
    for (size_t i = 0; i < cut_count; i++) {
        const json_int_t index = json_integer_value(json_array_get(cut, i));
        if (index >= 0 && (size_t)index < count)
            whole -= out->tokens[index];
    }
    for (size_t i = 0; i < cut_count; i++) {
        const json_int_t index = json_integer_value(json_array_get(cut, i));
        if (index >= 0 && (size_t)index < count)
            out->tokens[index] = (uint32_t)((sum - whole) / (json_int_t)cut_count);
    }
    if (json_array_size(rows) != count)
        code = malformed(r, "list of tokens", err);
    json_decref(tokens);
    return code;
}

static enum weir_code remote_embed(struct backend *b, const struct str *texts, size_t count,
                                   const struct embed_choice *choice, struct embeddings *out,
                                   struct weir_error *err)
{
    struct remote *const r = remote_of(b);
    struct buffer body;
    json_t *answer = NULL;
    *out = (struct embeddings){ 0 };
    buffer_init(&body, BODY_MAX);
    body_embed(&body, r->model, texts, count, choice);
    enum weir_code code = post(r, "/v1/embeddings", &body, &answer, err);
    if (code != WEIR_OK)
        return code;
    if (!read_vectors(answer, count, out))
        code = malformed(r, "list of embeddings", err);
    else
        code = share_tokens(r, texts, count, answer, out, err);
    json_decref(answer);
    if (code != WEIR_OK)
        embeddings_finish(out);
    return code;
}

static bool read_tokens(const json_t *ids, const json_t *pieces, struct buffer *lines)
{
    const size_t count = json_array_size(ids);
    int32_t *const numbers = mem_new(count + 1, sizeof(*numbers));
    struct str *const texts = mem_new(count + 1, sizeof(*texts));
    bool ok = json_is_array(ids) && json_array_size(pieces) == count;
    for (size_t i = 0; i < count && ok; i++) {
        const json_t *const id = json_array_get(ids, i), *const piece = json_array_get(pieces, i);
        const json_int_t number = json_integer_value(id);
        ok = json_is_integer(id) && number >= 0 && number <= INT32_MAX && json_is_string(piece);
        numbers[i] = (int32_t)number;
        texts[i] = (struct str){ json_string_value(piece), json_string_length(piece) };
    }
    if (ok)
        line_tokens(lines, numbers, texts, count);
    mem_free(numbers);
    mem_free(texts);
    return ok;
}

static enum weir_code remote_tokenize(struct backend *b, const struct str *texts, size_t count,
                                      bool special, struct buffer *lines, struct weir_error *err)
{
    struct remote *const r = remote_of(b);
    struct buffer body;
    json_t *answer = NULL;
    buffer_init(&body, BODY_MAX);
    body_tokenize(&body, r->model, texts, count, special);
    enum weir_code code = post(r, "/weir/v1/tokenize", &body, &answer, err);
    const json_t *const ids = json_object_get(answer, "tokens");
    const json_t *const pieces = json_object_get(answer, "pieces");
    for (size_t i = 0; i < count && code == WEIR_OK; i++) {
        if (!read_tokens(json_array_get(ids, i), json_array_get(pieces, i), lines))
            code = malformed(r, "list of tokens", err);
    }
    json_decref(answer);
    return code;
}

static enum weir_code remote_detokenize(struct backend *b, const int32_t *ids, size_t count,
                                        struct buffer *lines, struct weir_error *err)
{
    struct remote *const r = remote_of(b);
    struct buffer body;
    json_t *answer = NULL;
    buffer_init(&body, BODY_MAX);
    body_detokenize(&body, r->model, ids, count);
    enum weir_code code = post(r, "/weir/v1/detokenize", &body, &answer, err);
    const json_t *const text = json_object_get(answer, "text");
    if (code == WEIR_OK && json_is_string(text))
        line_text(lines, (struct str){ json_string_value(text), json_string_length(text) });
    else if (code == WEIR_OK)
        code = malformed(r, "text", err);
    json_decref(answer);
    return code;
}

static void remote_close(struct backend *b)
{
    struct remote *const r = remote_of(b);
    mem_free(r->model);
    mem_free(r);
}

static const struct backend_ops ops = {
    .name = "remote",
    .embed = remote_embed,
    .tokenize = remote_tokenize,
    .detokenize = remote_detokenize,
    .close = remote_close,
};

/* GET /v1/models/NAME: the one question whose 404 means that the name is not known. */
static enum weir_code ask_model(const struct api *api, const char *model, bool *answered,
                                struct weir_error *err)
{
    json_t *answer = NULL;
    char *const encoded = api_encode(model);
    struct buffer path;
    buffer_init(&path, 16 * KiB);
    buffer_printf(&path, "/v1/models/%s", encoded != NULL ? encoded : "");
    buffer_u8(&path, '\0');
    int status = 0;
    enum weir_code code =
        path.failed || encoded == NULL
            ? weir_fail(err, WEIR_INVALID, "a model's name of %zu bytes", strlen(model))
            : api_call(api, (const char *)path.data, (struct str){ NULL, 0 }, ASK_MS, &status,
                       &answer, err);
    *answered = status != 0;
    if (status == 404) /* whatever its body says */
        code = weir_fail(err, WEIR_NO_SUCH_MODEL, "%s does not know '%s'", api->host, model);
    else if (status > 0 && code != WEIR_OK)
        weir_wrap(err, "%s", api->host);
    buffer_finish(&path);
    mem_free(encoded);
    json_decref(answer);
    return code;
}

enum weir_code backend_remote_open(const char *model, struct backend **out, bool *answered,
                                   struct weir_error *err)
{
    struct api api;
    *answered = false;
    enum weir_code code = api_init(&api, err);
    if (code != WEIR_OK)
        return code;
    code = ask_model(&api, model, answered, err);
    if (code != WEIR_OK)
        return code;
    struct remote *const r = mem_new(1, sizeof(*r));
    *r = (struct remote){ .base = { .ops = &ops },
                          .api = api,
                          .model = mem_copy_text(model, strlen(model)) };
    *out = &r->base;
    return WEIR_OK;
}
