#include "hub/fetch.h"

#include "base/check.h"
#include "base/size.h"
#include "base/str.h"
#include "hub/address.h"

#include <curl/curl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOK_UP_MS     50 /* between two looks at is_cancelled */
#define HEAD_BYTES_MAX (64 * 1024)

struct fetch {
    const struct fetch_options *options;
    CURL *easy;
    struct buffer *out;
    size_t before;             /* bytes of `out` that are not ours */
    size_t head_bytes;         /* of all answers */
    char host[80];             /* of the URL that was asked for, to show */
    struct weir_error refusal; /* code WEIR_OK: nothing was refused by a rule of ours */
};

void fetch_prepare(void)
{
    static bool is_prepared;
    if (!is_prepared)
        CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == 0);
    is_prepared = true;
}

/* --- rules that are looked at while it runs ------------------------------------------------- */

/* The one place where a connection can begin. */
static curl_socket_t on_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct fetch *f = context;
    char shown[64];
    bool (*is_public)(const struct sockaddr *) = f->options->is_public;
    (void)purpose;
    if (is_public == NULL)
        is_public = address_is_public;
    if (!is_public(&address->addr)) {
        weir_fail(&f->refusal, WEIR_FORBIDDEN,
                  "the host '%s' leads to %s, which is no public address", f->host,
                  address_print(&address->addr, shown));
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool has_wanted_type(struct fetch *f)
{
    const char *wanted = f->options->content_type;
    char *type = NULL;
    curl_easy_getinfo(f->easy, CURLINFO_CONTENT_TYPE, &type);
    if (wanted == NULL)
        return true;
    struct str got = str_of(type);
    struct str head = { got.data, got.len < strlen(wanted) ? got.len : strlen(wanted) };
    if (str_eq_ignore_case(head, str_of(wanted)))
        return true;
    weir_fail(&f->refusal, WEIR_INVALID, "the host '%s' sent '%.60s' where %s belongs", f->host,
              type ? type : "no content type", wanted);
    return false;
}

static size_t fail_too_large(struct fetch *f)
{
    struct size_text limit;
    const size_t room = f->out->max - f->before;
    weir_fail(&f->refusal, WEIR_INVALID, "the host '%s' sent more than the limit of %s", f->host,
              size_format(room, &limit));
    f->refusal.limit = (int64_t)room;
    return 0;
}

/* Anything but `bytes` ends the transfer. The bodies of redirects do not come here. */
static size_t on_body(char *data, size_t one, size_t bytes, void *context)
{
    struct fetch *f = context;
    long status = 0;
    (void)one; /* is always 1 */
    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200 || (f->out->len == f->before && !has_wanted_type(f)))
        return 0;
    buffer_append(f->out, data, bytes);
    return f->out->failed ? fail_too_large(f) : bytes;
}

static size_t on_head(char *data, size_t one, size_t bytes, void *context)
{
    struct fetch *f = context;
    (void)data, (void)one;
    f->head_bytes += bytes;
    if (f->head_bytes <= HEAD_BYTES_MAX)
        return bytes;
    weir_fail(&f->refusal, WEIR_INVALID, "the host '%s' sent a head of more than %d bytes", f->host,
              HEAD_BYTES_MAX);
    return 0;
}

/* --- one transfer --------------------------------------------------------------------------- */

static bool set_up(struct fetch *f, const char *url)
{
    CURL *e = f->easy;
    const long timeout_ms = (long)f->options->timeout_ms;
    bool is_set = true;
#define SET(option, value) is_set = curl_easy_setopt(e, option, value) == CURLE_OK && is_set
    SET(CURLOPT_URL, url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(CURLOPT_PROXY, ""); /* of the environment: it would connect where we do not look */
    SET(CURLOPT_FOLLOWLOCATION, 1L);
    SET(CURLOPT_MAXREDIRS, (long)FETCH_REDIRECTS_MAX);
    SET(CURLOPT_TIMEOUT_MS, timeout_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, timeout_ms);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* a name server that does not answer holds nobody */
    SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)(f->out->max - f->before));
    SET(CURLOPT_USERAGENT, "weir");
    SET(CURLOPT_OPENSOCKETFUNCTION, on_socket);
    SET(CURLOPT_OPENSOCKETDATA, f);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, f);
    SET(CURLOPT_HEADERFUNCTION, on_head);
    SET(CURLOPT_HEADERDATA, f);
#undef SET
    return is_set;
}

/* Runs the transfer to its end; WEIR_CANCELLED is in `refusal` when the caller has had enough. */
static CURLcode run(struct fetch *f, CURLM *multi)
{
    int running = 1, left;
    while (running > 0) {
        if (f->options->is_cancelled && f->options->is_cancelled(f->options->context)) {
            weir_fail(&f->refusal, WEIR_CANCELLED, "the fetch from '%s' was cancelled", f->host);
            return CURLE_ABORTED_BY_CALLBACK;
        }
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return CURLE_OUT_OF_MEMORY;
        if (running > 0 && curl_multi_poll(multi, NULL, 0, LOOK_UP_MS, NULL) != CURLM_OK)
            return CURLE_OUT_OF_MEMORY;
    }
    const CURLMsg *end = curl_multi_info_read(multi, &left);
    return end != NULL && end->msg == CURLMSG_DONE ? end->data.result : CURLE_OUT_OF_MEMORY;
}

static enum weir_code judge(struct fetch *f, CURLcode result, struct weir_error *err)
{
    long status = 0;
    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
    /* What was refused may have been one address of several. */
    if (f->refusal.code != WEIR_OK && result != CURLE_OK) {
        if (err)
            *err = f->refusal;
        return f->refusal.code;
    }
    if (result == CURLE_TOO_MANY_REDIRECTS)
        return weir_fail(err, WEIR_INVALID, "the host '%s' redirects more than %d times", f->host,
                         FETCH_REDIRECTS_MAX);
    if (result == CURLE_FILESIZE_EXCEEDED) {
        fail_too_large(f);
        if (err)
            *err = f->refusal;
        return WEIR_INVALID;
    }
    if (result == CURLE_OPERATION_TIMEDOUT)
        return weir_fail(err, WEIR_INVALID, "the host '%s' did not answer within %lld ms", f->host,
                         (long long)f->options->timeout_ms);
    if (result == CURLE_UNSUPPORTED_PROTOCOL)
        return weir_fail(err, WEIR_INVALID,
                         "the host '%s' speaks no HTTP, or leads away from http and https",
                         f->host);
    if ((result == CURLE_OK || result == CURLE_WRITE_ERROR) && status != 200 && status != 0)
        return weir_fail(err, WEIR_INVALID, "the host '%s' answered with status %ld", f->host,
                         status);
    if (result != CURLE_OK)
        return weir_fail(err, WEIR_INVALID, "cannot fetch from '%s': %s", f->host,
                         curl_easy_strerror(result));
    if (f->out->len == f->before)
        return weir_fail(err, WEIR_INVALID, "the host '%s' sent nothing", f->host);
    return WEIR_OK;
}

/* The host alone is shown: the rest of a URL may be a secret of the caller's. */
static void name_host(struct fetch *f, const char *url)
{
    CURLU *parts = curl_url();
    char *host = NULL;
    str_print(f->host, sizeof(f->host), "?");
    if (parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK)
        str_print(f->host, sizeof(f->host), "%s", host);
    curl_free(host);
    curl_url_cleanup(parts);
}

static bool is_http(const char *url)
{
    const struct str scheme = { url, strcspn(url, ":") };
    return str_eq_ignore_case(scheme, STR("http")) || str_eq_ignore_case(scheme, STR("https"));
}

enum weir_code fetch_get(const char *url, const struct fetch_options *options, struct buffer *out,
                         struct weir_error *err)
{
    CHECK(!out->failed && options->timeout_ms > 0);
    if (!is_http(url))
        return weir_fail(err, WEIR_INVALID, "only http and https URLs are fetched");
    struct fetch f = { .options = options, .out = out, .before = out->len };
    CURLM *multi = curl_multi_init();
    enum weir_code code;
    f.easy = curl_easy_init();
    name_host(&f, url);
    if (multi == NULL || f.easy == NULL || !set_up(&f, url) ||
        curl_multi_add_handle(multi, f.easy) != CURLM_OK) {
        code = weir_fail(err, WEIR_NO_MEMORY, "there is no memory to fetch from '%s'", f.host);
    } else {
        code = judge(&f, run(&f, multi), err);
        curl_multi_remove_handle(multi, f.easy);
    }
    curl_easy_cleanup(f.easy);
    curl_multi_cleanup(multi);
    if (code != WEIR_OK) {
        out->len = f.before;
        out->failed = false;
    }
    return code;
}
