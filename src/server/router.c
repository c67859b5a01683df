#include "server/router.h"

#include "base/check.h"
#include "server/exchange.h"
#include "server/http_head.h"
#include "server/percent.h"
#include "server/routes.h"
#include "server/tei.h"

#include <string.h>

/* clang-format off */
static const struct route routes[] = {
    { "POST",   "/v1/embeddings",         openai_embeddings_begin,
      "Texts, token ids or images to vectors, in OpenAI's form." },
    { "GET",    "/v1/models",             openai_models_begin,
      "The models that are registered, in OpenAI's form." },
    { "GET",    "/v1/models/",            openai_models_one_begin,
      "One of them, by its name or an alias." },
    { "GET",    "/health/live",           health_live_begin,
      "200 as long as the server answers at all." },
    { "GET",    "/health/ready",          health_ready_begin,
      "200 once every model was inspected and while no drain runs, else 503." },
    { "GET",    "/weir/v1/status",        weir_status_begin,
      "Memory, models and workers of the moment." },
    { "GET",    "/weir/v1/events",        weir_events_begin,
      "Every transition and decision as it happens, as server-sent events." },
    { "POST",   "/weir/v1/tokenize",      weir_tokenize_begin,
      "Texts to token ids and pieces." },
    { "POST",   "/weir/v1/detokenize",    weir_detokenize_begin,
      "Token ids to a text." },
    { "POST",   "/weir/v1/load",          weir_load_begin,
      "Loads a model; answers when it is ready." },
    { "POST",   "/weir/v1/unload",        weir_unload_begin,
      "Unloads a model; answers when its workers are gone." },
    { "POST",   "/weir/v1/pin",           weir_pin_begin,
      "Keeps a model loaded, whoever else needs the memory." },
    { "POST",   "/weir/v1/unpin",         weir_unpin_begin,
      "Lets a pinned model leave again." },
    { "GET",    "/weir/v1/plan",          weir_plan_begin,
      "What a load of ?model=NAME would do now, and all that is known of the model." },
    { "GET",    "/weir/v1/requests",      weir_requests_begin,
      "The requests that have no whole answer yet." },
    { "GET",    "/weir/v1/requests/",     weir_requests_one_begin,
      "Where one of them stands, by its x-request-id." },
    { "DELETE", "/weir/v1/requests/",     weir_requests_cancel_begin,
      "Cancels it." },
    { "GET",    "/metrics",               weir_metrics_begin,
      "Counters and gauges in Prometheus' text format." },
    { "POST",   "/v1/chat/completions",   openai_chat_begin,
      "A conversation to text, plain or streamed, in OpenAI's form." },
    { "POST",   "/v1/images/generations", openai_images_begin,
      "A prompt to images, in OpenAI's form." },
    { "POST",   "/embed",                 tei_embed_begin,
      "Texts or token ids to vectors, in TEI's form." },
    { "GET",    "/info",                  tei_info_begin,
      "What the embedding model takes, in TEI's form." },
    { "GET",    "/health",                tei_health_begin,
      "200 or 503 as /health/ready, in TEI's form." },
};
/* clang-format on */

/* The paths whose errors are not written as OpenAI's. */
static const struct {
    const char *path;
    exchange_write_error *write;
} error_writers[] = {
    {"/embed",   tei_error_write},
    { "/info",   tei_error_write},
    { "/health", tei_error_write},
};

/* What a browser may send: what the official clients send, and our own. */
static const char allowed_headers[] =
    "authorization, content-type, accept, x-request-id, x-weir-deadline-ms, "
    "x-weir-priority, openai-organization, "
    "openai-project, openai-beta, x-stainless-lang, x-stainless-package-version, x-stainless-os, "
    "x-stainless-arch, x-stainless-retry-count, x-stainless-runtime, "
    "x-stainless-runtime-version, x-stainless-async, x-stainless-helper-method, "
    "x-stainless-poll-helper, x-stainless-custom-poll-interval, x-stainless-timeout, x-api-key";

static bool has_path(const struct route *r, struct str path)
{
    struct str own = str_of(r->path);
    bool takes_rest = str_ends(own, STR("/"));
    return takes_rest ? str_starts(path, own) && path.len > own.len : str_eq(path, own);
}

static bool has_method(const struct route *r, struct str method)
{
    bool is_head_for_get = str_eq(method, STR("HEAD")) && strcmp(r->method, "GET") == 0;
    return is_head_for_get || str_eq(method, str_of(r->method));
}

exchange_write_error *router_error_writer(struct str path)
{
    for (size_t i = 0; i < ARRAY_COUNT(error_writers); i++)
        if (str_eq(path, str_of(error_writers[i].path)))
            return error_writers[i].write;
    return NULL;
}

size_t router_count(void)
{
    return ARRAY_COUNT(routes);
}

const struct route *router_at(size_t index)
{
    CHECK(index < ARRAY_COUNT(routes));
    return &routes[index];
}

const struct route *router_find(struct str method, struct str path, struct arena *arena,
                                struct str *rest, struct weir_error *err)
{
    bool is_path = false;
    struct str shown = { path.data, path.len < 100 ? path.len : 100 };
    for (size_t i = 0; i < ARRAY_COUNT(routes); i++) {
        const struct route *r = &routes[i];
        if (!has_path(r, path))
            continue;
        is_path = true;
        if (!has_method(r, method))
            continue;
        size_t own = strlen(r->path);
        if (percent_decode((struct str){ path.data + own, path.len - own }, arena, rest))
            return r;
        weir_fail(err, WEIR_INVALID, "the path '%.*s' is not valid percent-encoded UTF-8",
                  STR_ARG(shown));
        return NULL;
    }
    if (is_path)
        weir_fail(err, WEIR_METHOD, "%.*s is not allowed at '%.*s'",
                  (int)(method.len < 20 ? method.len : 20), method.data, STR_ARG(shown));
    else
        weir_fail(err, WEIR_NO_SUCH_PATH, "there is nothing at '%.*s'", STR_ARG(shown));
    return NULL;
}

void router_allow(struct str path, struct buffer *out)
{
    const char *separator = "";
    for (size_t i = 0; i < ARRAY_COUNT(routes); i++) {
        if (!has_path(&routes[i], path))
            continue;
        buffer_printf(out, "%s%s", separator, routes[i].method);
        if (strcmp(routes[i].method, "GET") == 0)
            buffer_text(out, ", HEAD");
        separator = ", ";
    }
    if (out->len > 0)
        buffer_text(out, ", OPTIONS");
}

/* The fields are for browsers: exchange_admit has already said yes or no to the origin. */
static void answer_options(struct exchange *x, struct str allow)
{
    exchange_field(x, "Allow", allow);
    if (exchange_header(x, STR("origin")).data) {
        exchange_field(x, "Access-Control-Allow-Methods", allow);
        exchange_field(x, "Access-Control-Allow-Headers", str_of(allowed_headers));
        exchange_field(x, "Access-Control-Max-Age", STR("3600"));
    }
    exchange_reply(x, 204, NULL, NULL);
}

/* Whether it was one; answered then. */
static bool admit_options(struct exchange *x)
{
    const struct http_request *r = x->request;
    struct buffer allow;
    if (!str_eq(r->method, STR("OPTIONS")))
        return false;
    buffer_init(&allow, 256);
    router_allow(r->path, &allow);
    if (str_eq(r->path, STR("*")))
        buffer_text(&allow, "GET, HEAD, POST, OPTIONS");
    const bool is_known = allow.len > 0;
    if (is_known)
        answer_options(x, buffer_view(&allow));
    buffer_finish(&allow);
    return is_known;
}

bool router_admit(struct exchange *x)
{
    const struct http_request *r = x->request;
    struct weir_error err;
    struct buffer allow;
    if (admit_options(x))
        return false;
    x->route = router_find(r->method, r->path, &x->arena, &x->rest, &err);
    if (x->route != NULL)
        return true;
    buffer_init(&allow, 256);
    if (err.code == WEIR_METHOD) {
        router_allow(r->path, &allow);
        exchange_field(x, "Allow", buffer_view(&allow));
    }
    exchange_fail(x, &err, NULL);
    buffer_finish(&allow);
    return false;
}
