#include "server/images.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/size.h"
#include "hub/fetch.h"
#include "hub/rooted_file.h"
#include "server/exchange.h"
#include "server/percent.h"
#include "server/server_state.h"

#include <string.h>

/* Base64 is decoded at some 500 MB/s: a text of this size holds the loop for 0.2 ms. */
#define INLINE_BYTES_MAX (64 * 1024)

/* Of the four threads of the loop's pool: the others go on parsing bodies. */
#define FETCHES_MAX 2

enum source { FROM_TEXT, FROM_FILE, FROM_URL };

struct image {
    struct image *next;
    struct weir_input *input;
    enum source source;
    struct str text; /* base64, a path, or a URL; ends in NUL */
    size_t index;
    struct buffer bytes;
};

/* What the thread sees. Only `is_cancelled` is written by the loop meanwhile. */
struct images_load {
    uv_work_t work;
    struct link link; /* in server.fetches_waiting */
    struct images *set;
    void (*then)(struct exchange *x);
    bool has_urls;
    bool is_waiting; /* on that list, and no thread has seen it yet */
    int64_t began_ms;
    struct weir_error err;
    uv_mutex_t lock;
    bool is_cancelled;
};

/* --- what clients write ----------------------------------------------------------------------- */

void images_init(struct images *set, struct exchange *x, const char *param)
{
    *set = (struct images){ .exchange = x, .param = param, .last = &set->first };
}

static bool forbid(struct json_fields *f, const char *param, const char *where, const char *why)
{
    if (!json_fields_ok(f))
        return false;
    json_fields_fail(f, param, "%s: %s", where, why);
    f->problem.code = WEIR_FORBIDDEN;
    return false;
}

static bool starts(struct str text, struct str prefix)
{
    return text.len >= prefix.len &&
           str_eq_ignore_case((struct str){ text.data, prefix.len }, prefix);
}

/* data:[MEDIA TYPE][;PARAMETER]…;base64,TEXT */
static bool read_data_url(struct images *set, struct json_fields *f, struct str url,
                          const char *where, struct image *out)
{
    struct str head, media_type, rest;
    if (!str_cut((struct str){ url.data + 5, url.len - 5 }, ',', &head, &out->text) ||
        !str_ends(head, STR(";base64"))) {
        json_fields_fail(f, set->param, "%s is no data URL of the form data:image/png;base64,…",
                         where);
        return false;
    }
    str_cut(head, ';', &media_type, &rest);
    if (media_type.len > 0 && !starts(media_type, STR("image/"))) {
        json_fields_fail(f, set->param, "%s is of type '%.*s', which is no image", where,
                         (int)(media_type.len < 40 ? media_type.len : 40), media_type.data);
        return false;
    }
    int64_t limit = set->exchange->server->limits.image_bytes;
    if (out->text.len / 4 * 3 > (size_t)limit + 2) {
        json_fields_fail(f, set->param, "%s has %zu bytes, the limit image_bytes is %lld", where,
                         out->text.len / 4 * 3, (long long)limit);
        return false;
    }
    out->source = FROM_TEXT;
    return true;
}

static bool read_file_url(struct images *set, struct json_fields *f, struct str url,
                          const char *where, struct image *out)
{
    struct str coded = { url.data + 7, url.len - 7 };
    if (starts(coded, STR("localhost/")))
        coded = (struct str){ coded.data + 9, coded.len - 9 };
    out->source = FROM_FILE;
    if (str_starts(coded, STR("/")) && percent_decode(coded, &set->exchange->arena, &out->text))
        return true;
    json_fields_fail(f, set->param, "%s is no file URL of the form file:///folder/image.png",
                     where);
    return false;
}

static bool read_url(struct images *set, struct json_fields *f, struct str url, const char *where,
                     struct image *out)
{
    if (starts(url, STR("data:")))
        return read_data_url(set, f, url, where, out);
    if (starts(url, STR("file://")))
        return read_file_url(set, f, url, where, out);
    if (!starts(url, STR("http://")) && !starts(url, STR("https://"))) {
        json_fields_fail(f, set->param, "%s must be a data:, http:, https: or file: URL", where);
        return false;
    }
    out->source = FROM_URL;
    out->text = url;
    if (set->exchange->server->allow_image_urls)
        return true;
    return forbid(f, set->param, where,
                  "this server fetches no URLs (--allow-image-urls); send a data: URL instead");
}

/* The text within an object, and whether it is a path. NULL data after a problem. */
static struct str text_of(struct images *set, struct json_fields *f, const struct json_value *v,
                          const char *where, bool *is_path)
{
    const struct json_value *path = json_read_field(v, "path");
    const struct json_value *url =
        json_read_kind(v) == JSON_IS_TEXT ? v : json_read_field(v, "url");
    const struct json_value *text = path ? path : url;
    *is_path = path != NULL;
    if (json_read_kind(text) != JSON_IS_TEXT) {
        json_fields_fail(f, set->param, "%s must be a URL, {\"url\": URL} or {\"path\": PATH}",
                         where);
        return (struct str){ NULL, 0 };
    }
    struct str found = json_read_text(text);
    if (strlen(found.data) == found.len)
        return found;
    json_fields_fail(f, set->param, "%s has a NUL in it", where);
    return (struct str){ NULL, 0 };
}

bool images_add(struct images *set, struct json_fields *f, const struct json_value *v,
                const char *where, struct weir_input *out)
{
    int64_t limit = set->exchange->server->limits.images;
    bool is_path;
    struct str text = text_of(set, f, v, where, &is_path);
    if (text.data == NULL)
        return false;
    if (set->count >= (size_t)limit) {
        json_fields_fail(f, set->param, "%s is one image more than the limit images, %lld", where,
                         (long long)limit);
        return false;
    }
    struct image *image = arena_try(&set->exchange->arena, 1, sizeof(*image));
    if (image == NULL) {
        json_fields_fail(f, set->param, "there is no memory for %s", where);
        return false;
    }
    *image = (struct image){ .input = out, .source = FROM_FILE, .text = text, .index = set->count };
    if (!is_path && !read_url(set, f, text, where, image))
        return false;
    buffer_init(&image->bytes, (size_t)set->exchange->server->limits.image_bytes);
    *out = (struct weir_input){ .size = sizeof(*out), .kind = WEIR_INPUT_IMAGE };
    *set->last = image;
    set->last = &image->next;
    set->count++;
    return true;
}

/* --- loading ---------------------------------------------------------------------------------- */

static bool is_cancelled(void *context)
{
    struct images_load *l = context;
    uv_mutex_lock(&l->lock);
    bool is = l->is_cancelled;
    uv_mutex_unlock(&l->lock);
    return is;
}

static enum weir_code load_one(struct images_load *l, struct image *image)
{
    const struct server *s = l->set->exchange->server;
    const struct fetch_options options = { .timeout_ms = s->limits.image_fetch_ms,
                                           .content_type = "image/",
                                           .is_public = s->address_is_public,
                                           .is_cancelled = is_cancelled,
                                           .context = l };
    enum weir_code code = WEIR_INTERNAL;
    switch (image->source) {
    case FROM_TEXT: code = base64_decode(image->text, &image->bytes, &l->err); break;
    case FROM_FILE:
        code = rooted_read(s->image_roots, image->text.data, &image->bytes, &l->err);
        break;
    case FROM_URL: code = fetch_get(image->text.data, &options, &image->bytes, &l->err); break;
    }
    if (code == WEIR_OK && image->bytes.len == 0)
        code = weir_fail(&l->err, WEIR_INVALID, "it is empty");
    return code == WEIR_OK ? code : weir_wrap(&l->err, "image %zu", image->index);
}

static void load_all(struct images_load *l)
{
    for (struct image *at = l->set->first; at && !is_cancelled(l); at = at->next)
        if (load_one(l, at) != WEIR_OK)
            return;
}

static void finish(struct images_load *l)
{
    struct images *set = l->set;
    struct exchange *x = set->exchange;
    set->load = NULL;
    set->took_ms = clock_ms() - l->began_ms;
    for (struct image *at = set->first; at; at = at->next) {
        at->input->data = at->bytes.data;
        at->input->bytes = at->bytes.len;
    }
    if (x->connection != NULL) {
        if (l->err.code == WEIR_OK)
            l->then(x);
        else
            exchange_fail(x, &l->err, set->param);
    }
    for (struct image *at = set->first; at; at = at->next)
        buffer_finish(&at->bytes);
    uv_mutex_destroy(&l->lock);
    mem_free(l);
    exchange_release(x);
}

static void on_thread(uv_work_t *work)
{
    load_all(work->data);
}

static void start_fetches(struct server *s);

static void on_loaded(uv_work_t *work, int status)
{
    struct images_load *l = work->data;
    struct server *s = l->set->exchange->server;
    CHECK(status == 0 || is_cancelled(l));
    if (l->has_urls) {
        s->fetches_running--;
        start_fetches(s);
    }
    finish(l);
}

static void start(struct images_load *l)
{
    uv_loop_t *loop = l->set->exchange->server->loop;
    CHECK(uv_queue_work(loop, &l->work, on_thread, on_loaded) == 0);
}

/* Hosts that are slow to answer must not hold every thread of the pool. */
static void start_fetches(struct server *s)
{
    while (s->fetches_running < FETCHES_MAX && !list_empty(&s->fetches_waiting)) {
        struct link *first = list_first(&s->fetches_waiting);
        struct images_load *l = CONTAINER_OF(first, struct images_load, link);
        list_remove(first);
        l->is_waiting = false;
        s->fetches_running++;
        start(l);
    }
}

void images_load(struct images *set, void (*then)(struct exchange *x))
{
    struct exchange *x = set->exchange;
    struct images_load *l;
    size_t bytes = 0;
    bool has_files = false;
    if (set->count == 0) {
        then(x);
        return;
    }
    l = mem_new(1, sizeof(*l));
    *l = (struct images_load){ .set = set, .then = then, .began_ms = clock_ms() };
    l->work.data = l;
    CHECK(uv_mutex_init(&l->lock) == 0);
    set->load = l;
    exchange_hold(x);
    for (const struct image *at = set->first; at; at = at->next) {
        bytes += at->text.len;
        has_files = has_files || at->source == FROM_FILE;
        l->has_urls = l->has_urls || at->source == FROM_URL;
    }
    if (l->has_urls) {
        l->is_waiting = true;
        list_push_back(&x->server->fetches_waiting, &l->link);
        start_fetches(x->server);
    } else if (has_files || bytes > INLINE_BYTES_MAX) {
        start(l);
    } else {
        load_all(l);
        finish(l);
    }
}

bool images_late(const struct images *set, struct weir_request *request, struct weir_error *err)
{
    int64_t deadline_ms = request->deadline_ms;
    if (deadline_ms == 0) /* the pool's own, which is long */
        return false;
    request->deadline_ms -= set->took_ms;
    if (request->deadline_ms > 0)
        return false;
    weir_fail(err, WEIR_DEADLINE, "the images were not there within the deadline of %lld ms",
              (long long)deadline_ms);
    return true;
}

void images_cancel(struct images *set)
{
    struct images_load *l = set->load;
    if (l == NULL)
        return;
    if (l->is_waiting) { /* its body must not wait for the fetches of others */
        list_remove(&l->link);
        finish(l);
        return;
    }
    uv_mutex_lock(&l->lock);
    l->is_cancelled = true;
    uv_mutex_unlock(&l->lock);
    uv_cancel((uv_req_t *)&l->work); /* in vain once it runs, which then looks at the flag */
}
