#include "model/prompts.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

static const char file_name[] = "config_sentence_transformers.json";

static size_t index_of(const struct prompts *p, struct str name)
{
    size_t i = 0;
    while (i < p->count && !str_eq(name, str_of(p->list[i].name)))
        i++;
    return i;
}

static void add(struct prompts *p, struct str name, struct str text)
{
    CHECK(p->count < PROMPTS_MAX);
    p->list[p->count++] = (struct prompt){ .name = mem_copy_text(name.data, name.len),
                                           .text = mem_copy_text(text.data, text.len) };
}

static enum weir_code read_prompt(struct prompts *p, const struct field *f, struct weir_error *err)
{
    struct str text = STR(""), quote = field_quote(str_of(f->name));
    if (!json_is_null(f->value) && field_text_here(f, &text, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    if (text.len > PROMPT_BYTES_MAX)
        return weir_fail(err, WEIR_LOAD_FAILED, "the prompt '%.*s' has %zu bytes, the limit is %d",
                         STR_ARG(quote), text.len, PROMPT_BYTES_MAX);
    if (p->count == PROMPTS_MAX)
        return weir_fail(err, WEIR_LOAD_FAILED, "there are more than %d prompts", PROMPTS_MAX);
    add(p, str_of(f->name), text);
    return WEIR_OK;
}

/* What else the file may say of the vectors. */
static enum weir_code check_rest(const struct field *config, struct weir_error *err)
{
    struct field type = field_of(config, "model_type");
    struct str name;
    if (type.value != NULL) {
        if (field_text_here(&type, &name, err) != WEIR_OK)
            return WEIR_LOAD_FAILED;
        struct str quote = field_quote(name);
        if (!str_eq(name, STR("SentenceTransformer")))
            return weir_fail(err, WEIR_LOAD_FAILED,
                             "model_type '%.*s' is not supported, only 'SentenceTransformer' is",
                             STR_ARG(quote));
    }
    const json_t *cut = field_of(config, "truncate_dim").value;
    if (cut != NULL && !json_is_null(cut))
        return weir_fail(err, WEIR_LOAD_FAILED, "truncate_dim is set, which is not supported");
    return WEIR_OK;
}

static enum weir_code read_prompts(struct prompts *p, const struct field *config,
                                   struct weir_error *err)
{
    struct field prompts = field_of(config, "prompts");
    const char *name;
    json_t *value;
    if (field_need_object(config, err) != WEIR_OK || check_rest(config, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    if (prompts.value == NULL || json_is_null(prompts.value))
        return WEIR_OK;
    if (field_need_object(&prompts, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    json_object_foreach((json_t *)(uintptr_t)prompts.value, name, value) {
        struct field f = { .value = value, .parent = &prompts, .name = name };
        if (read_prompt(p, &f, err) != WEIR_OK)
            return WEIR_LOAD_FAILED;
    }
    return WEIR_OK;
}

static enum weir_code read_default(struct prompts *p, const struct field *config,
                                   struct weir_error *err)
{
    struct field f = field_of(config, "default_prompt_name");
    struct str name;
    if (f.value == NULL || json_is_null(f.value))
        return WEIR_OK;
    if (field_text_here(&f, &name, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    p->default_index = index_of(p, name);
    struct str quote = field_quote(name);
    if (p->default_index == p->count)
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "default_prompt_name is '%.*s', which is none of the prompts",
                         STR_ARG(quote));
    return WEIR_OK;
}

enum weir_code prompts_read(struct folder *f, struct prompts *out, struct weir_error *err)
{
    static const char *const always[] = { "query", "document" };
    struct prompts p;
    struct field config;
    memset(&p, 0, sizeof(p));
    if (folder_json(f, file_name, FOLDER_OPTIONAL, &config, err) != WEIR_OK)
        return WEIR_LOAD_FAILED;
    enum weir_code code = config.value ? read_prompts(&p, &config, err) : WEIR_OK;
    for (size_t i = 0; code == WEIR_OK && i < ARRAY_COUNT(always); i++) {
        if (index_of(&p, str_of(always[i])) == p.count && p.count < PROMPTS_MAX)
            add(&p, str_of(always[i]), STR(""));
    }
    p.default_index = p.count;
    if (code == WEIR_OK)
        code = read_default(&p, &config, err);
    if (code != WEIR_OK) {
        weir_wrap(err, "'%s'", file_name);
        prompts_finish(&p);
        return WEIR_LOAD_FAILED;
    }
    *out = p;
    return WEIR_OK;
}

void prompts_finish(struct prompts *p)
{
    for (size_t i = 0; i < p->count; i++) {
        mem_free(p->list[i].name);
        mem_free(p->list[i].text);
    }
    memset(p, 0, sizeof(*p));
}

static bool is_line(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.data[i] < ' ' || name.data[i] == 0x7f)
            return false;
    }
    return name.len > 0 && str_utf8_valid(name) == name.len;
}

uint32_t prompts_names(const struct prompts *p, char *out, size_t room)
{
    static const char more[] = "…\n";
    uint32_t line = 0, found = 0;
    size_t used = 0;
    memset(out, 0, room);
    for (size_t i = 0; i < p->count; i++) {
        const struct str name = str_of(p->list[i].name);
        if (p->list[i].text[0] == '\0' || !is_line(name))
            continue;
        if (name.len + 1 + sizeof(more) > room - used) {
            memcpy(out + used, more, sizeof(more));
            break;
        }
        memcpy(out + used, name.data, name.len);
        out[used + name.len] = '\n';
        used += name.len + 1;
        line++;
        if (i == p->default_index)
            found = line;
    }
    return found;
}

enum weir_code prompts_find(const struct prompts *p, struct str name, struct str *out_text,
                            struct weir_error *err)
{
    const size_t index = name.len > 0 ? index_of(p, name) : p->default_index;
    struct str quote = field_quote(name);
    char known[120] = "";
    if (index < p->count) {
        *out_text = str_of(p->list[index].text);
        return WEIR_OK;
    }
    if (name.len == 0) {
        *out_text = STR("");
        return WEIR_OK;
    }
    for (size_t i = 0, at = 0; i < p->count && sizeof(known) - at > 8; i++, at = strlen(known)) {
        str_print(known + at, sizeof(known) - at, "%s%s", i > 0 ? ", " : "", p->list[i].name);
    }
    return weir_fail(err, WEIR_INVALID, "there is no prompt '%.*s', the model knows %s",
                     STR_ARG(quote), known);
}
