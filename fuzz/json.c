/* The body of a request: the first byte says of which route, the rest is the JSON. What is read is
 * within the bounds that the routes state to the pool; what is refused says why, and in which
 * field. */
#include "fuzz/fuzz.h"

#include "base/check.h"
#include "server/chat_request.h"
#include "server/draw_request.h"
#include "server/embed_fields.h"
#include "server/exchange.h"
#include "server/inputs.h"
#include "server/json_read.h"
#include "server/request_fields.h"
#include "server/server_state.h"

#include <math.h>
#include <string.h>

#define ARENA_BYTES (64 * 1024)
#define INPUTS_MAX  20
#define IMAGES_MAX  3

static struct server server = {
    .limits = {.inputs = INPUTS_MAX, .images = IMAGES_MAX, .image_bytes = 1000},
};

/* --- what every route reads ------------------------------------------------------------------- */

static bool check_problem(const struct json_fields *f)
{
    if (json_fields_ok(f))
        return true;
    CHECK(f->problem.code == WEIR_INVALID || f->problem.code == WEIR_FORBIDDEN);
    fuzz_check_error(&f->problem, f->problem.code, f->param ? f->param : "JSON object");
    return false;
}

static void check_common(const struct weir_request *r)
{
    CHECK(r->model != NULL && r->model[0] != '\0');
    CHECK(r->deadline_ms >= 0 && (unsigned)r->priority <= WEIR_PRIORITY_BATCH);
    CHECK(r->keep_alive_ms >= 0 || r->keep_alive_ms == WEIR_KEEP_ALIVE_NONE ||
          r->keep_alive_ms == WEIR_KEEP_ALIVE_FOREVER);
}

static void check_input(const struct weir_input *in, bool takes_empty)
{
    CHECK(in->size == sizeof(*in));
    if (in->kind == WEIR_INPUT_TEXT) {
        CHECK((in->bytes > 0 || takes_empty) && in->data != NULL);
        CHECK(fuzz_utf8_valid((struct str){ in->data, in->bytes }) == in->bytes);
        return;
    }
    const int32_t *ids = in->data;
    CHECK(in->kind == WEIR_INPUT_IDS && in->bytes % sizeof(*ids) == 0);
    for (size_t i = 0; i < in->bytes / sizeof(*ids); i++)
        CHECK(ids[i] >= 0);
}

/* --- the routes ------------------------------------------------------------------------------- */

static void read_inputs(struct exchange *x, struct json_fields *f, const struct inputs_rules *rules)
{
    struct weir_request request = { .size = sizeof(request) };
    struct weir_embed embed = { .size = sizeof(embed) };
    size_t count = 0;
    request_fields_read(x, f, &request);
    embed_fields_read(f, &x->arena, &embed);
    const struct weir_input *inputs = inputs_read(f, rules, &x->arena, &count);
    if (!check_problem(f))
        return;
    check_common(&request);
    CHECK((unsigned)embed.truncate <= WEIR_TRUNCATE_REFUSE);
    CHECK(embed.prompt_name == NULL || embed.prompt_name[0] != '\0');
    CHECK(inputs != NULL && count > 0 && count <= INPUTS_MAX);
    for (size_t i = 0; i < count; i++)
        check_input(&inputs[i], rules->takes_empty);
}

static void read_embeddings(struct exchange *x, struct json_fields *f)
{
    static const struct inputs_rules rules = { .name = "input",
                                               .count_max = INPUTS_MAX,
                                               .takes_ids = true };
    read_inputs(x, f, &rules);
}

/* As /embed, but for the name of the field. */
static void read_mixed(struct exchange *x, struct json_fields *f)
{
    static const struct inputs_rules rules = {
        .name = "input", .count_max = INPUTS_MAX, .takes_ids = true, .takes_mixed = true
    };
    read_inputs(x, f, &rules);
}

static void read_tokenize(struct exchange *x, struct json_fields *f)
{
    static const struct inputs_rules rules = { .name = "input",
                                               .count_max = INPUTS_MAX,
                                               .takes_empty = true };
    read_inputs(x, f, &rules);
}

static void read_detokenize(struct exchange *x, struct json_fields *f)
{
    struct weir_request request = { .size = sizeof(request) };
    struct weir_input ids;
    request_fields_read(x, f, &request);
    const bool is_read = inputs_read_ids(f, "tokens", &x->arena, &ids);
    if (!check_problem(f))
        return;
    CHECK(is_read && ids.kind == WEIR_INPUT_IDS);
    check_common(&request);
    check_input(&ids, true);
}

static void read_chat(struct exchange *x, struct json_fields *f)
{
    struct chat_request chat;
    chat_request_read(&chat, x, f);
    CHECK(chat.affinity != 0 && chat.images.count <= IMAGES_MAX);
    if (!check_problem(f))
        return;
    const struct weir_generate *g = &chat.generate;
    CHECK(g->messages_count > 0 && g->stop_count <= CHAT_STOPS_MAX);
    CHECK(g->temperature >= 0 && g->temperature <= 2 && g->top_p > 0 && g->top_p <= 1);
    size_t images = 0;
    for (size_t i = 0; i < g->messages_count; i++) {
        const struct weir_message *m = &g->messages[i];
        CHECK(m->role != NULL && m->size == sizeof(*m));
        for (size_t k = 0; k < m->count; k++) {
            if (m->parts[k].kind == WEIR_INPUT_IMAGE)
                images++;
            else
                check_input(&m->parts[k], true);
        }
    }
    CHECK(images == chat.images.count);
    for (size_t i = 0; i < g->stop_count; i++)
        CHECK(g->stop[i][0] != '\0');
}

static void read_draw(struct exchange *x, struct json_fields *f)
{
    (void)x;
    const struct draw_request r = draw_request_read(f);
    if (!check_problem(f))
        return;
    CHECK(r.draw.prompt.bytes > 0 && r.draw.count >= 1 && r.draw.count <= 10);
    CHECK(r.draw.width % 16 == 0 && r.draw.width <= 2048 && r.draw.height % 16 == 0);
    CHECK((r.draw.width == 0) == (r.draw.height == 0));
    CHECK(r.draw.steps <= 200 && isfinite(r.draw.guidance) && r.draw.guidance >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(struct exchange * x, struct json_fields * f) = {
        read_embeddings, read_tokenize, read_detokenize, read_chat, read_draw, read_mixed,
    };
    struct exchange x = { .server = &server, .holds = 1 };
    struct weir_error err;
    if (size == 0)
        return 0;
    memset(&err, 0, sizeof(err));
    const struct str text = { (const char *)data + 1, size - 1 };
    x.json = json_read_parse(text, &err);
    if (x.json == NULL) {
        CHECK(err.code == WEIR_INVALID || err.code == WEIR_BODY_TOO_LARGE);
        fuzz_check_error(&err, err.code, "JSON");
        return 0;
    }
    CHECK(fuzz_utf8_valid(text) == text.len);
    arena_init(&x.arena, ARENA_BYTES);
    struct json_fields fields = json_fields_of(x.json);
    readers[data[0] % ARRAY_COUNT(readers)](&x, &fields);
    arena_finish(&x.arena);
    json_read_free(x.json);
    return 0;
}
