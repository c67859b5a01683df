#include "cmd/bodies.h"

#include "base/jsonw.h"

static void write_texts(struct jsonw *j, const struct str *texts, size_t count)
{
    jsonw_array(j);
    for (size_t i = 0; i < count; i++)
        jsonw_str(j, texts[i]);
    jsonw_end(j);
}

static void write_number(struct jsonw *j, const char *key, int64_t value)
{
    if (value >= 0)
        jsonw_key(j, key), jsonw_i64(j, value);
}

void body_register(struct buffer *out, const struct body_model *m)
{
    struct jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j);
    jsonw_key(&j, "op"), jsonw_text(&j, "register");
    jsonw_key(&j, "name"), jsonw_text(&j, m->name);
    jsonw_key(&j, "path"), jsonw_text(&j, m->path);
    write_number(&j, "max_workers", m->max_workers);
    write_number(&j, "min_workers", m->min_workers);
    write_number(&j, "idle_ms", m->idle_ms);
    write_number(&j, "idle_label_ms", m->idle_label_ms);
    write_number(&j, "slots", m->slots);
    write_number(&j, "context", m->context);
    if (m->aliases_count > 0)
        jsonw_key(&j, "aliases"), write_texts(&j, m->aliases, m->aliases_count);
    if (m->capabilities_count > 0)
        jsonw_key(&j, "capabilities"), write_texts(&j, m->capabilities, m->capabilities_count);
    if (m->priority != NULL)
        jsonw_key(&j, "priority"), jsonw_text(&j, m->priority);
    if (m->precision != NULL)
        jsonw_key(&j, "precision"), jsonw_text(&j, m->precision);
    if (m->truncate)
        jsonw_key(&j, "truncate"), jsonw_bool(&j, true);
    if (m->pin)
        jsonw_key(&j, "pin"), jsonw_bool(&j, true);
    if (m->preload)
        jsonw_key(&j, "preload"), jsonw_bool(&j, true);
    jsonw_end(&j);
}

void body_name(struct buffer *out, const char *op, const char *name)
{
    struct jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j);
    jsonw_key(&j, "op"), jsonw_text(&j, op);
    jsonw_key(&j, "name"), jsonw_text(&j, name);
    jsonw_end(&j);
}

void body_model(struct buffer *out, const char *name)
{
    struct jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j);
    jsonw_key(&j, "model"), jsonw_text(&j, name);
    jsonw_end(&j);
}

void body_embed(struct buffer *out, const char *model, const struct str *texts, size_t count,
                const struct embed_choice *choice)
{
    struct jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j);
    jsonw_key(&j, "model"), jsonw_text(&j, model);
    jsonw_key(&j, "encoding_format"), jsonw_text(&j, "base64");
    if (choice->truncate)
        jsonw_key(&j, "truncate"), jsonw_bool(&j, true);
    if (choice->dimensions > 0)
        jsonw_key(&j, "dimensions"), jsonw_u64(&j, choice->dimensions);
    if (choice->prompt != NULL)
        jsonw_key(&j, "prompt_name"), jsonw_text(&j, choice->prompt);
    jsonw_key(&j, "input"), write_texts(&j, texts, count);
    jsonw_end(&j);
}

void body_tokenize(struct buffer *out, const char *model, const struct str *texts, size_t count,
                   bool special)
{
    struct jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j);
    jsonw_key(&j, "model"), jsonw_text(&j, model);
    jsonw_key(&j, "add_special_tokens"), jsonw_bool(&j, special);
    jsonw_key(&j, "input"), write_texts(&j, texts, count);
    jsonw_end(&j);
}

static void write_ids(struct jsonw *j, const int32_t *ids, size_t count)
{
    jsonw_array(j);
    for (size_t i = 0; i < count; i++)
        jsonw_i64(j, ids[i]);
    jsonw_end(j);
}

void body_detokenize(struct buffer *out, const char *model, const int32_t *ids, size_t count)
{
    struct jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j);
    jsonw_key(&j, "model"), jsonw_text(&j, model);
    jsonw_key(&j, "tokens"), write_ids(&j, ids, count);
    jsonw_end(&j);
}

void line_embedding(struct buffer *out, size_t index, uint32_t tokens, const float *vector,
                    size_t dim)
{
    struct jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j);
    jsonw_key(&j, "index"), jsonw_u64(&j, index);
    jsonw_key(&j, "tokens"), jsonw_u64(&j, tokens);
    jsonw_key(&j, "embedding"), jsonw_array(&j);
    for (size_t i = 0; i < dim; i++)
        jsonw_float(&j, vector[i]);
    jsonw_end(&j);
    jsonw_end(&j);
    buffer_u8(out, '\n');
}

void line_tokens(struct buffer *out, const int32_t *ids, const struct str *pieces, size_t count)
{
    struct jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j);
    jsonw_key(&j, "tokens"), write_ids(&j, ids, count);
    jsonw_key(&j, "pieces"), write_texts(&j, pieces, count);
    jsonw_end(&j);
    buffer_u8(out, '\n');
}

void line_text(struct buffer *out, struct str text)
{
    struct jsonw j;
    jsonw_init(&j, out);
    jsonw_object(&j);
    jsonw_key(&j, "text"), jsonw_str(&j, text);
    jsonw_end(&j);
    buffer_u8(out, '\n');
}
