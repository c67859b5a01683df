#include "server/json_body.h"

#include "base/check.h"
#include "base/mem.h"
#include "server/exchange.h"
#include "server/json_read.h"
#include "server/server_state.h"

/* jansson reads 54 MB/s in the worst case: a body of this size holds the loop for 1.2 ms. To free
 * what the largest can hold, millions of small values, takes 270 ms. */
#define INLINE_BYTES_MAX (64 * 1024)

/* What the thread sees: one body in, one tree or error out. */
struct parse {
    uv_work_t work;
    struct str text;
    struct json_value *tree;
    struct weir_error err;
    struct exchange *exchange; /* held; not for the thread */
    void (*then)(struct exchange *x);
};

/* A tree that nobody looks at any more. */
struct disposal {
    uv_work_t work;
    struct json_value *tree;
};

static void parse(struct parse *p)
{
    p->tree = json_read_parse(p->text, &p->err);
}

/* The client has left: a body that still waits for a thread must not wait for those before it. */
static void on_over(struct exchange *x)
{
    struct parse *p = x->state;
    uv_cancel((uv_req_t *)&p->work); /* in vain once it runs, which it then does to its end */
}

static void finish(struct parse *p)
{
    struct exchange *x = p->exchange;
    x->over = NULL; /* from here on both are the route's */
    x->state = NULL;
    x->json = p->tree;
    if (x->connection == NULL)
        return;
    if (p->tree == NULL)
        exchange_fail(x, &p->err, NULL);
    else
        p->then(x);
}

static void on_thread(uv_work_t *work)
{
    parse(work->data);
}

static void on_parsed(uv_work_t *work, int status)
{
    struct parse *p = work->data;
    struct exchange *x = p->exchange;
    CHECK(status == 0 || x->connection == NULL); /* nobody else cancels it */
    finish(p);
    mem_free(p);
    exchange_release(x);
}

static bool is_json(struct str content_type)
{
    struct str type, parameters;
    if (content_type.data == NULL)
        return true; /* absent is accepted: curl users forget it */
    str_cut(content_type, ';', &type, &parameters);
    return str_eq_ignore_case(str_trim(type), STR("application/json"));
}

static enum weir_code check_type(const struct exchange *x, struct weir_error *err)
{
    struct str type = exchange_header(x, STR("content-type"));
    struct str coding = exchange_header(x, STR("content-encoding"));
    if (!is_json(type))
        return weir_fail(err, WEIR_MEDIA_TYPE,
                         "the content type must be application/json, not '%.*s'",
                         (int)(type.len < 80 ? type.len : 80), type.data);
    if (coding.len > 0 && !str_eq_ignore_case(coding, STR("identity")))
        return weir_fail(err, WEIR_MEDIA_TYPE,
                         "the body must have no content encoding, such as '%.*s'",
                         (int)(coding.len < 80 ? coding.len : 80), coding.data);
    return WEIR_OK;
}

void json_body_read(struct exchange *x, void (*then)(struct exchange *x))
{
    struct weir_error err;
    if (check_type(x, &err) != WEIR_OK) {
        exchange_fail(x, &err, NULL);
        return;
    }
    if (x->body.len == 0) {
        weir_fail(&err, WEIR_INVALID, "the body is empty; it must be a JSON object");
        exchange_fail(x, &err, NULL);
        return;
    }
    struct parse *p = mem_new(1, sizeof(*p));
    *p = (struct parse){ .text = buffer_view(&x->body), .exchange = x, .then = then };
    p->work.data = p;
    exchange_hold(x);
    if (x->body.len <= INLINE_BYTES_MAX) {
        parse(p);
        on_parsed(&p->work, 0);
    } else {
        x->state = p;
        x->over = on_over;
        CHECK(uv_queue_work(x->server->loop, &p->work, on_thread, on_parsed) == 0);
    }
}

static void on_dispose(uv_work_t *work)
{
    struct disposal *d = work->data;
    json_read_free(d->tree);
}

static void on_disposed(uv_work_t *work, int status)
{
    (void)status; /* nobody cancels it */
    mem_free(work->data);
}

void json_body_free(struct exchange *x)
{
    if (x->json == NULL || x->body.len <= INLINE_BYTES_MAX) {
        json_read_free(x->json);
    } else {
        struct disposal *d = mem_new(1, sizeof(*d));
        *d = (struct disposal){ .tree = x->json };
        d->work.data = d;
        CHECK(uv_queue_work(x->server->loop, &d->work, on_dispose, on_disposed) == 0);
    }
    x->json = NULL;
}
