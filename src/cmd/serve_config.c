#include "cmd/serve_config.h"

#include "cmd/api_key_file.h"

/* Flags and environment alone: they say which file to read. */
static enum weir_code find_file(struct serve_config *c, const struct serve_sources *from,
                                struct weir_error *err)
{
    const struct option_sources without_file = { .argc = from->argc,
                                                 .argv = from->argv,
                                                 .environment = from->environment };
    struct serve_options options = { 0 };
    struct options o;
    enum weir_code code =
        options_read(&o, serve_options_table, SERVE_OPTIONS_COUNT, &options, &without_file, err);
    if (code == WEIR_OK)
        code = config_load(&c->file, options.config, err);
    options_finish(&o);
    return code;
}

enum weir_code serve_config_read(struct serve_config *c, const struct serve_sources *from,
                                 struct weir_error *err)
{
    *c = (struct serve_config){ 0 };
    enum weir_code code = find_file(c, from, err);
    if (code != WEIR_OK)
        return code;
    const struct option_sources all = { .argc = from->argc,
                                        .argv = from->argv,
                                        .environment = from->environment,
                                        .settings = c->file.serve,
                                        .settings_count = c->file.serve_count };
    code =
        options_read(&c->values, serve_options_table, SERVE_OPTIONS_COUNT, &c->options, &all, err);
    if (code == WEIR_OK && c->values.rest_count > 0)
        code = weir_fail(err, WEIR_INVALID, "'%s' is no option of it", c->values.rest[0]);
    if (code == WEIR_OK)
        code = serve_settings_read(&c->settings, &c->values, &c->options, err);
    if (code == WEIR_OK)
        code = serve_models_read(&c->models, &c->values, &c->options, &c->file, err);
    if (code == WEIR_OK && c->options.api_key_file != NULL && !from->without_keys &&
        api_key_file_read(c->options.api_key_file, &c->keys, err) != WEIR_OK)
        code = options_wrap(&c->values, "api-key-file", 0, err);
    return code;
}

void serve_config_finish(struct serve_config *c)
{
    api_keys_destroy(c->keys);
    serve_models_finish(&c->models);
    serve_settings_finish(&c->settings);
    options_finish(&c->values);
    config_finish(&c->file);
}

void serve_config_print(const struct serve_config *c, struct buffer *out)
{
    buffer_printf(out, "# configuration file: %s\n", c->file.path != NULL ? c->file.path : "none");
    options_print(&c->values, out);
    serve_settings_print_defaults(&c->settings, out);
    serve_models_print(&c->models, out);
}
