#include "cmd/config.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/size.h"
#include "cmd/folders.h"
#include "cmd/model_ref.h"

#include <string.h>

#define FILE_MAX    (size_t) MiB
#define LIMITS_MOST 256 /* far more than there are */
#define SYSTEM_FILE "/etc/weir/weir.conf"

enum section { SECTION_SERVE, SECTION_LIMITS, SECTION_MODEL };

/* The line that is being read. */
struct position {
    struct config *config;
    struct map names; /* of the models so far */
    enum section section;
    unsigned line;
    char where[512]; /* "/etc/weir/weir.conf:12" */
};

static const char *keep(struct config *c, struct str text)
{
    const struct str kept = arena_str(&c->arena, text);
    CHECK(kept.data != NULL); /* the arena holds a multiple of the largest file */
    return kept.data;
}

static const char *keep_origin(const struct position *at)
{
    return keep(at->config, str_of(at->where));
}

static enum weir_code check_line(const struct position *at, struct str line, struct weir_error *err)
{
    for (size_t i = 0; i < line.len; i++) {
        const unsigned char c = (unsigned char)line.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return weir_fail(err, WEIR_INVALID, "%s: control character 0x%02x in column %zu",
                             at->where, c, i + 1);
    }
    if (str_utf8_valid(line) < line.len)
        return weir_fail(err, WEIR_INVALID, "%s: no UTF-8 in column %zu", at->where,
                         str_utf8_valid(line) + 1);
    return WEIR_OK;
}

static bool is_comment(struct str text)
{
    return text.len == 0 || text.data[0] == '#' || text.data[0] == ';';
}

static enum weir_code begin_model(struct position *at, struct str name, struct weir_error *err)
{
    struct config *const c = at->config;
    if (!model_ref_is_name(name))
        return weir_fail(err, WEIR_INVALID,
                         "%s: '%.*s' is no name of a model (" MODEL_REF_NAME_RULE ")", at->where,
                         STR_ARG(name));
    const struct config_model *const earlier = map_get(&at->names, name);
    if (earlier != NULL)
        return weir_fail(err, WEIR_INVALID, "%s: [model %s] stands already at %s", at->where,
                         earlier->name, earlier->origin);
    struct option_setting *settings = c->model_settings;
    if (c->models_count > 0) {
        const struct config_model *const last = &c->models[c->models_count - 1];
        settings = last->settings + last->count;
    }
    struct config_model *const model = &c->models[c->models_count++];
    *model = (struct config_model){ .name = keep(c, name),
                                    .origin = keep_origin(at),
                                    .settings = settings };
    map_put(&at->names, str_of(model->name), model);
    at->section = SECTION_MODEL;
    return WEIR_OK;
}

static enum weir_code begin_section(struct position *at, struct str line, struct weir_error *err)
{
    static const char *const names[] = { "serve", "limits", "model" };
    struct str head, behind, word, rest;
    line.data++, line.len--;
    if (!str_cut(line, ']', &head, &behind) || !is_comment(str_trim(behind)))
        return weir_fail(err, WEIR_INVALID, "%s: a section is written [NAME], alone in its line",
                         at->where);
    head = str_trim(head);
    str_cut(head, ' ', &word, &rest);
    rest = str_trim(rest);
    if (str_eq(word, STR("model")))
        return begin_model(at, rest, err);
    if (str_eq(head, STR("serve")) || str_eq(head, STR("limits"))) {
        at->section = head.data[0] == 's' ? SECTION_SERVE : SECTION_LIMITS;
        return WEIR_OK;
    }
    char text[64];
    str_print(text, sizeof(text), "%.*s", STR_ARG(word));
    const char *const near = options_nearest(text, names, ARRAY_COUNT(names));
    return weir_fail(err, WEIR_INVALID,
                     "%s: there is no section [%.*s]%s%s%s; there are [serve], [limits] and "
                     "[model NAME]",
                     at->where, STR_ARG(head), near != NULL ? ", perhaps [" : "",
                     near != NULL ? near : "", near != NULL ? "]?" : "");
}

/* Takes a comment off the end, or the quotes off a value that has them. */
static enum weir_code clean_value(const struct position *at, struct str *value,
                                  struct weir_error *err)
{
    struct str inside, behind;
    if (value->len > 0 && value->data[0] == '"') {
        const struct str rest = { value->data + 1, value->len - 1 };
        if (!str_cut(rest, '"', &inside, &behind) || !is_comment(str_trim(behind)))
            return weir_fail(err, WEIR_INVALID,
                             "%s: a value in quotes ends in a quote, with nothing behind it",
                             at->where);
        *value = inside;
        return WEIR_OK;
    }
    for (size_t i = 0; i < value->len; i++) {
        const bool blank_before = i == 0 || value->data[i - 1] == ' ' || value->data[i - 1] == '\t';
        if (blank_before && (value->data[i] == '#' || value->data[i] == ';'))
            value->len = i;
    }
    *value = str_trim(*value);
    return WEIR_OK;
}

static void add_serve(struct config *c, const struct option_setting *setting)
{
    c->serve[c->serve_count++] = *setting;
}

/* One that stands in the file already would be overruled without a word. `item` is its "NAME=". */
static enum weir_code check_limit(const struct config *c, const struct option_setting *setting,
                                  struct str item, struct weir_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < c->serve_count; i++) {
        const struct option_setting *const before = &c->serve[i];
        if (strcmp(before->name, "limit") != 0)
            continue;
        if (str_starts(str_of(before->value), item))
            return weir_fail(err, WEIR_INVALID, "%s: '%s' was set before, at %s", setting->origin,
                             setting->name, before->origin);
        if (++count == LIMITS_MOST)
            return weir_fail(err, WEIR_INVALID, "%s: more than %d limits", setting->origin,
                             LIMITS_MOST);
    }
    return WEIR_OK;
}

/* A limit goes the way that --limit NAME=VALUE takes. */
static enum weir_code add_limit(struct config *c, const struct option_setting *setting,
                                struct weir_error *err)
{
    struct buffer item;
    buffer_init(&item, 2 * FILE_MAX);
    for (const char *at = setting->name; *at != '\0'; at++)
        buffer_u8(&item, (uint8_t)(*at == '-' ? '_' : *at));
    buffer_u8(&item, '=');
    const enum weir_code code = check_limit(c, setting, buffer_view(&item), err);
    if (code == WEIR_OK) {
        buffer_text(&item, setting->value);
        add_serve(c, &(struct option_setting){ .name = "limit",
                                               .value = keep(c, buffer_view(&item)),
                                               .origin = setting->origin });
    }
    buffer_finish(&item);
    return code;
}

static enum weir_code read_setting(struct position *at, struct str line, struct weir_error *err)
{
    struct config *const c = at->config;
    struct str name, value;
    if (!str_cut(line, '=', &name, &value))
        return weir_fail(err, WEIR_INVALID, "%s: '%.*s' is not of the form name = value", at->where,
                         STR_ARG(line));
    name = str_trim(name);
    value = str_trim(value);
    if (clean_value(at, &value, err) != WEIR_OK)
        return WEIR_INVALID;
    if (name.len == 0 || value.len == 0)
        return weir_fail(err, WEIR_INVALID, "%s: the %s of '%.*s' is missing", at->where,
                         name.len == 0 ? "name" : "value", STR_ARG(line));
    const struct option_setting setting = { .name = keep(c, name),
                                            .value = keep(c, value),
                                            .origin = keep_origin(at) };
    struct config_model *const model = &c->models[c->models_count > 0 ? c->models_count - 1 : 0];
    switch (at->section) {
    case SECTION_SERVE: add_serve(c, &setting); break;
    case SECTION_LIMITS: return add_limit(c, &setting, err);
    case SECTION_MODEL: model->settings[model->count++] = setting; break;
    }
    return WEIR_OK;
}

static size_t count_lines(struct str text)
{
    size_t count = 1;
    for (size_t i = 0; i < text.len; i++)
        count += text.data[i] == '\n';
    return count;
}

enum weir_code config_parse(struct config *c, const char *path, struct str text,
                            struct weir_error *err)
{
    const size_t lines = count_lines(text);
    struct position at = { .config = c };
    map_init(&at.names);
    struct str line;
    enum weir_code code = WEIR_OK;
    *c = (struct config){ 0 };
    /* A line keeps its own text and at most the longest name of a place. */
    arena_init(&c->arena, 8 * (size_t)MiB + (lines + 1) * (sizeof(at.where) + 256));
    c->path = keep(c, str_of(path));
    c->serve = mem_new(lines, sizeof(*c->serve));
    c->model_settings = mem_new(lines, sizeof(*c->model_settings));
    c->models = mem_new(lines, sizeof(*c->models));
    if (text.len > FILE_MAX)
        return weir_fail(err, WEIR_INVALID, "%s: %zu bytes, the limit is %zu", path, text.len,
                         FILE_MAX);
    if (str_starts(text, STR("\xef\xbb\xbf")))
        text.data += 3, text.len -= 3;
    while (text.len > 0 && code == WEIR_OK) {
        str_cut(text, '\n', &line, &text);
        str_print(at.where, sizeof(at.where), "%s:%u", path, ++at.line);
        if (str_ends(line, STR("\r")))
            line.len--;
        code = check_line(&at, line, err);
        line = str_trim(line);
        if (code != WEIR_OK || is_comment(line))
            continue;
        code = line.data[0] == '[' ? begin_section(&at, line, err) : read_setting(&at, line, err);
    }
    map_finish(&at.names);
    return code;
}

enum weir_code config_load(struct config *c, const char *asked, struct weir_error *err)
{
    char *const own = asked == NULL ? folders_config() : NULL;
    const char *path = asked;
    struct buffer text;
    *c = (struct config){ 0 };
    if (path == NULL && own != NULL && file_exists(own))
        path = own;
    if (path == NULL && file_exists(SYSTEM_FILE))
        path = SYSTEM_FILE;
    enum weir_code code = WEIR_OK;
    if (path != NULL) {
        buffer_init(&text, FILE_MAX);
        code = file_read(path, &text, err);
        if (code == WEIR_OK)
            code = config_parse(c, path, buffer_view(&text), err);
        buffer_finish(&text);
    }
    mem_free(own);
    return code;
}

void config_finish(struct config *c)
{
    arena_finish(&c->arena);
    mem_free(c->serve);
    mem_free(c->model_settings);
    mem_free(c->models);
    *c = (struct config){ 0 };
}
