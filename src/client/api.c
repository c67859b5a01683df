#include "client/api.h"

#include "base/buffer.h"
#include "base/size.h"

#include <stdlib.h>
#include <string.h>

#define CONNECT_MS 2000
#define BODY_MAX   (256 * MiB)

enum weir_code api_init(struct api *a, struct weir_error *err)
{
    const char *host = getenv("WEIR_HOST");
    if (host == NULL || host[0] == '\0')
        host = API_DEFAULT_HOST;
    *a = (struct api){ .host = host, .api_key = getenv("WEIR_API_KEY") };
    if (http_client_url(host, &a->url, err) != WEIR_OK)
        return weir_wrap(err, "WEIR_HOST");
    return WEIR_OK;
}

/* The server's own name of the code when weir knows it, else a code of the same status. */
static enum weir_code code_of(int status, const char *name)
{
    for (enum weir_code code = WEIR_OK + 1; name != NULL && code < WEIR_CODE_COUNT; code++)
        if (strcmp(error_name(code), name) == 0)
            return code;
    for (enum weir_code code = WEIR_OK + 1; code < WEIR_CODE_COUNT; code++)
        if (error_http_status(code) == status)
            return code;
    return WEIR_INTERNAL;
}

static enum weir_code fail_from_reply(const struct api *a, const struct response *reply,
                                      const json_t *body, struct weir_error *err)
{
    const json_t *const error = json_object_get(body, "error");
    const char *const message = json_string_value(json_object_get(error, "message"));
    const char *const name = json_string_value(json_object_get(error, "code"));
    const enum weir_code code = code_of(reply->status, name);
    uint64_t after_s = 0;
    if (message != NULL)
        weir_fail(err, code, "%s", message);
    else
        weir_fail(err, code, "%s answered with status %d", a->host, reply->status);
    if (code == WEIR_UNAUTHORIZED)
        weir_wrap(err, a->api_key != NULL ? "$WEIR_API_KEY" : "$WEIR_API_KEY is not set");
    if (str_to_u64(response_header(reply, "retry-after"), &after_s) && after_s < 86400 &&
        err != NULL)
        err->retry_after_ms = (int64_t)after_s * 1000;
    return code;
}

static enum weir_code read_reply(const struct api *a, const struct response *reply, json_t **out,
                                 struct weir_error *err)
{
    const struct str text = buffer_view(&reply->body);
    json_error_t problem;
    /* A token or a text may hold NUL. */
    json_t *const body =
        json_loadb(text.len > 0 ? text.data : "", text.len, JSON_ALLOW_NUL, &problem);
    enum weir_code code = WEIR_OK;
    if (reply->status != 200) {
        code = fail_from_reply(a, reply, body, err);
    } else if (!json_is_object(body)) {
        code = weir_fail(err, WEIR_INTERNAL, "what %s answered is not a JSON object", a->host);
    } else {
        *out = body;
        return WEIR_OK;
    }
    json_decref(body);
    return code;
}

enum weir_code api_call(const struct api *a, const char *path, struct str body, int64_t total_ms,
                        int *status, json_t **out, struct weir_error *err)
{
    struct response reply;
    bool connected;
    response_init(&reply, true, BODY_MAX);
    const struct http_request request = {
        .method = body.data != NULL ? "POST" : "GET",
        .path = path,
        .api_key = a->api_key,
        .body = body,
        .connect_ms = CONNECT_MS,
        .total_ms = total_ms,
    };
    *status = 0;
    enum weir_code code = http_client_send(&a->url, &request, &reply, &connected, err);
    if (code == WEIR_OK) {
        *status = reply.status;
        code = read_reply(a, &reply, out, err);
    } else if (connected) {
        *status = -1; /* somebody is there, but does not speak HTTP as we do */
        weir_wrap(err, "%s", a->host);
    }
    response_finish(&reply);
    return code;
}

enum weir_code api_text(const struct api *a, const char *path, int64_t total_ms, struct buffer *out,
                        struct weir_error *err)
{
    struct response reply;
    bool connected;
    response_init(&reply, true, out->max);
    const struct http_request request = {
        .method = "GET",
        .path = path,
        .api_key = a->api_key,
        .connect_ms = CONNECT_MS,
        .total_ms = total_ms,
    };
    enum weir_code code = http_client_send(&a->url, &request, &reply, &connected, err);
    if (code == WEIR_OK && reply.status != 200)
        code = fail_from_reply(a, &reply, NULL, err);
    if (code == WEIR_OK)
        buffer_str(out, buffer_view(&reply.body));
    if (code == WEIR_OK && out->failed)
        code = weir_fail(err, WEIR_NO_MEMORY, "no memory for what %s answered", a->host);
    response_finish(&reply);
    return code;
}

char *api_encode(const char *text)
{
    struct buffer out;
    buffer_init(&out, 4 * KiB);
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (letter || (c >= '0' && c <= '9') || strchr("._-:@/", c) != NULL)
            buffer_u8(&out, c);
        else
            buffer_printf(&out, "%%%02X", c);
    }
    return buffer_take(&out, NULL);
}
