#include "cmd/ask.h"

#include "base/buffer.h"
#include "base/mem.h"

static enum weir_code ask(const struct api *api, const char *path, struct str body,
                          int64_t total_ms, bool *answered, json_t **out, struct weir_error *err)
{
    int status;
    const enum weir_code code = api_call(api, path, body, total_ms, &status, out, err);
    if (code != WEIR_OK && status == 0)
        weir_wrap(err, "no server answers at %s", api->host);
    if (answered != NULL)
        *answered = status != 0;
    return code;
}

enum weir_code ask_server(const struct api *api, const char *path, struct str body,
                          int64_t total_ms, json_t **out, struct weir_error *err)
{
    return ask(api, path, body, total_ms, NULL, out, err);
}

enum weir_code ask_status(const struct api *api, int64_t total_ms, bool *answered, json_t **out,
                          struct weir_error *err)
{
    return ask(api, "/weir/v1/status", (struct str){ NULL, 0 }, total_ms, answered, out, err);
}

enum weir_code ask_model(const struct api *api, const char *what, const char *model, bool *answered,
                         json_t **out, struct weir_error *err)
{
    char *const name = api_encode(model);
    struct buffer path;
    buffer_init(&path, 16 * KiB);
    buffer_printf(&path, "/weir/v1/%s?model=%s", what, name != NULL ? name : "");
    buffer_u8(&path, '\0');
    if (answered != NULL)
        *answered = true;
    const enum weir_code code =
        name == NULL || path.failed
            ? weir_fail(err, WEIR_INVALID, "the name of a model is too long")
            : ask(api, (const char *)path.data, (struct str){ NULL, 0 }, ASK_MS, answered, out,
                  err);
    buffer_finish(&path);
    mem_free(name);
    return code;
}

const char *ask_text(const json_t *object, const char *key, const char *otherwise)
{
    const char *const text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : otherwise;
}

int64_t ask_number(const json_t *object, const char *key)
{
    const json_int_t number = json_integer_value(json_object_get(object, key));
    return number > 0 ? (int64_t)number : 0;
}

bool ask_flag(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

const char *ask_size(const json_t *object, const char *key, struct size_text *out)
{
    return size_format((uint64_t)ask_number(object, key), out);
}

static int add_piece(const char *piece, size_t bytes, void *out)
{
    buffer_append(out, piece, bytes);
    return 0;
}

void ask_dump(const json_t *object, struct buffer *out)
{
    json_dump_callback(object, add_piece, out, JSON_COMPACT);
    buffer_u8(out, '\n');
}
