/* floor — the least that weir's own way of serving HTTP can cost: bench-floor ANSWER-FILE
 *
 * The same loop, the same reader of heads and writer of answers, a read and a write for each
 * request, and nothing behind them: every complete request gets 200 and the bytes of the file.
 * Prints the port on 127.0.0.1 that it listens on, and ends with its input. */
#include "bench.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/mem.h"
#include "server/http_head.h"
#include "server/http_reply.h"

#include <netinet/in.h>
#include <uv.h>

#define ANSWER_MAX ((size_t)1 << 20)
#define HEAD_MAX   ((size_t)32 * 1024)

static struct buffer answer;
static char read_bytes[64 * 1024];

struct client {
    uv_tcp_t tcp;
    struct http_head *head;
};

static void on_closed(uv_handle_t *handle)
{
    struct client *c = handle->data;
    http_head_destroy(c->head);
    mem_free(c);
}

/* As weir answers: the id of the request, and how long it waited. */
static void reply(struct client *c, bool keep_alive)
{
    struct buffer out;
    const struct http_reply head = { .status = 200,
                                     .content_type = STR("application/json"),
                                     .content_length = answer.len,
                                     .keep_alive = keep_alive,
                                     .fields = STR("x-weir-queued-ms: 0\r\n"
                                                   "x-request-id: req-0123456789abcdef\r\n") };
    buffer_init(&out, answer.len + HEAD_MAX);
    http_reply_head(&out, &head, clock_wall_ms());
    buffer_str(&out, buffer_view(&answer));
    uv_buf_t all = { .base = (char *)out.data, .len = out.len };
    BENCH_NEEDS(uv_try_write((uv_stream_t *)&c->tcp, &all, 1) == (int)out.len);
    buffer_finish(&out);
    http_head_reset(c->head);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct client *c = stream->data;
    if (n < 0) {
        uv_close((uv_handle_t *)&c->tcp, on_closed);
        return;
    }
    struct str in = { buf->base, (size_t)n };
    struct http_event event;
    do {
        const size_t taken = http_head_feed(c->head, in, &event);
        const struct http_request *request = http_head_request(c->head);
        in = (struct str){ in.data + taken, in.len - taken };
        BENCH_NEEDS(event.kind != HTTP_EVENT_BAD);
        if (event.kind == HTTP_EVENT_DONE || (event.kind == HTTP_EVENT_HEAD && !request->has_body))
            reply(c, request->keep_alive);
    } while (event.kind != HTTP_EVENT_MORE && (in.len > 0 || event.kind == HTTP_EVENT_BODY));
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    (void)handle, (void)wanted;
    *buf = uv_buf_init(read_bytes, sizeof read_bytes);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct client *c = mem_new(1, sizeof *c);
    BENCH_NEEDS(status == 0 && uv_tcp_init(listener->loop, &c->tcp) == 0);
    c->tcp.data = c;
    c->head = http_head_create(HEAD_MAX, ANSWER_MAX);
    BENCH_NEEDS(uv_accept(listener, (uv_stream_t *)&c->tcp) == 0);
    uv_tcp_nodelay(&c->tcp, 1);
    BENCH_NEEDS(uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) == 0);
}

static void on_input(uv_poll_t *input, int status, int events)
{
    (void)input, (void)status, (void)events;
    exit(0);
}

static void read_answer(const char *path)
{
    FILE *file = fopen(path, "rb");
    BENCH_NEEDS(file != NULL);
    buffer_init(&answer, ANSWER_MAX);
    char *room = (char *)buffer_reserve(&answer, ANSWER_MAX);
    BENCH_NEEDS(room != NULL);
    answer.len = fread(room, 1, ANSWER_MAX, file);
    BENCH_NEEDS(answer.len > 0 && answer.len < ANSWER_MAX);
    fclose(file);
}

int main(int argc, char **argv)
{
    uv_tcp_t listener;
    uv_poll_t input;
    struct sockaddr_in address;
    int bytes = sizeof address;
    uv_loop_t *loop = uv_default_loop();
    BENCH_NEEDS(argc == 2);
    read_answer(argv[1]);
    BENCH_NEEDS(uv_ip4_addr("127.0.0.1", 0, &address) == 0 && uv_tcp_init(loop, &listener) == 0);
    BENCH_NEEDS(uv_tcp_bind(&listener, (struct sockaddr *)&address, 0) == 0);
    BENCH_NEEDS(uv_listen((uv_stream_t *)&listener, 511, on_connection) == 0);
    BENCH_NEEDS(uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &bytes) == 0);
    BENCH_NEEDS(uv_poll_init(loop, &input, 0) == 0);
    BENCH_NEEDS(uv_poll_start(&input, UV_READABLE, on_input) == 0);
    printf("%u\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);
    uv_run(loop, UV_RUN_DEFAULT);
    return 0;
}
