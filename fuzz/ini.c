/* A configuration file of `weir serve`. What is read is clean text with its line, the same for line
 * ends of either kind, and goes on to the table of options, where each value is good or refused by
 * the line that it stands in. */
#include "fuzz/fuzz.h"

#include "base/buffer.h"
#include "base/check.h"
#include "cmd/config.h"
#include "cmd/model_ref.h"
#include "cmd/options.h"
#include "cmd/serve_options.h"

#include <string.h>

#define PATH "weir.conf"

static void check_text(const char *text)
{
    const struct str s = str_of(text);
    CHECK(s.len > 0 && fuzz_utf8_valid(s) == s.len);
    for (size_t i = 0; i < s.len; i++)
        CHECK(((unsigned char)s.data[i] >= 0x20 || s.data[i] == '\t') && s.data[i] != 0x7f);
}

static void check_setting(const struct option_setting *s)
{
    check_text(s->name);
    check_text(s->origin);
    CHECK(s->value != NULL && str_starts(str_of(s->origin), STR(PATH ":")));
}

static void check_config(const struct config *c)
{
    const struct option_setting *next = c->model_settings;
    for (size_t i = 0; i < c->serve_count; i++)
        check_setting(&c->serve[i]);
    for (size_t i = 0; i < c->models_count; i++) {
        const struct config_model *m = &c->models[i];
        CHECK(model_ref_is_name(str_of(m->name)) && m->settings == next);
        for (size_t k = 0; k < m->count; k++)
            check_setting(&m->settings[k]);
        for (size_t k = 0; k < i; k++)
            CHECK(strcmp(c->models[k].name, m->name) != 0);
        next += m->count;
    }
}

static void check_same(const struct config *a, const struct config *b)
{
    CHECK(a->serve_count == b->serve_count && a->models_count == b->models_count);
    for (size_t i = 0; i < a->serve_count; i++) {
        CHECK(strcmp(a->serve[i].name, b->serve[i].name) == 0);
        CHECK(strcmp(a->serve[i].value, b->serve[i].value) == 0);
        CHECK(strcmp(a->serve[i].origin, b->serve[i].origin) == 0);
    }
    for (size_t i = 0; i < a->models_count; i++)
        CHECK(strcmp(a->models[i].name, b->models[i].name) == 0 &&
              a->models[i].count == b->models[i].count);
}

/* The same file as another system writes it. */
static void check_line_ends(struct str text, const struct config *was, enum weir_code code)
{
    struct buffer other;
    struct config c;
    if (memchr(text.data, '\r', text.len) != NULL)
        return;
    buffer_init(&other, 2 * text.len + 1);
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\n')
            buffer_u8(&other, '\r');
        buffer_u8(&other, (uint8_t)text.data[i]);
    }
    CHECK(config_parse(&c, PATH, buffer_view(&other), NULL) == code);
    if (code == WEIR_OK)
        check_same(was, &c);
    config_finish(&c);
    buffer_finish(&other);
}

static void check_options(const struct config *c)
{
    const struct option_sources from = { .settings = c->serve, .settings_count = c->serve_count };
    struct serve_options options = { 0 };
    struct serve_settings settings = { 0 };
    struct options o;
    struct weir_error err;
    memset(&err, 0, sizeof(err));
    enum weir_code code =
        options_read(&o, serve_options_table, SERVE_OPTIONS_COUNT, &options, &from, &err);
    if (code == WEIR_OK)
        code = serve_settings_read(&settings, &o, &options, &err);
    if (code != WEIR_OK)
        fuzz_check_error(&err, WEIR_INVALID, NULL);
    else
        CHECK(options.listen.count > 0 && options.min_workers <= options.max_workers);
    serve_settings_finish(&settings);
    options_finish(&o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str text = { size > 0 ? (const char *)data : "", size };
    struct config c;
    struct weir_error err;
    memset(&err, 0, sizeof(err));
    const enum weir_code code = config_parse(&c, PATH, text, &err);
    if (code != WEIR_OK) {
        fuzz_check_error(&err, WEIR_INVALID, PATH);
    } else {
        CHECK(fuzz_utf8_valid(text) == size);
        check_config(&c);
        check_options(&c);
    }
    check_line_ends(text, &c, code);
    config_finish(&c);
    return 0;
}
