#include "worker/text_embedding.h"

#include "base/arena.h"
#include "base/mem.h"
#include "model/model.h"
#include "tensor/team.h"
#include "wire/text_embedding.h"
#include "wire/tokens.h"
#include "worker/test_heard.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>

#define SLOTS    32
#define MODEL    WEIR_FIXTURES "/tiny_bert"
/* With the prompts query, "wa wa ", and passage, none; pooling leaves them out. */
#define PROMPTED WEIR_FIXTURES "/encoders/bert_shards"

/* One worker serves all tests, in a process of its own. */
static struct fixture {
    const char *model;
    struct peer peer;
    pid_t pid;
    struct buffer bytes;
    struct arena arena;
    struct model_info info;
    uint64_t last_job;
} t;

_Noreturn static void be_the_worker(void)
{
    struct encoder *e;
    struct weir_error err;
    struct control *c = peer_control(&t.peer);
    struct team *team = team_create(2, control_share(c, 2));
    if (encoder_load(t.model, &(struct model_settings){ 0 }, team, NULL, NULL, &e, &err) !=
        WEIR_OK) {
        fprintf(stderr, "%s\n", err.text);
        _exit(1);
    }
    text_embedding_serve(c, e, SLOTS);
    encoder_destroy(e);
    team_destroy(team);
    control_destroy(c);
    _exit(0);
}

static int open_worker_of(const char *model)
{
    struct weir_error err;
    t = (struct fixture){ .model = model };
    if (model_inspect(t.model, &(struct model_settings){ 0 }, &t.info, &err) != WEIR_OK) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    peer_open(&t.peer);
    buffer_init(&t.bytes, 1 << 26);
    arena_init(&t.arena, 1 << 26);
    t.pid = fork();
    if (t.pid == 0) {
        close(t.peer.fd);
        be_the_worker();
    }
    close(t.peer.worker_fd);
    t.peer.worker_fd = -1;
    return t.pid > 0 ? 0 : -1;
}

static int open_worker(void **state)
{
    (void)state;
    return open_worker_of(MODEL);
}

static int open_prompted(void **state)
{
    (void)state;
    return open_worker_of(PROMPTED);
}

static int close_worker(void **state)
{
    int status = 1;
    struct frame f;
    (void)state;
    peer_send(&t.peer, FRAME_BYE, 0, NULL, (struct str){ 0 });
    const bool closed = peer_poll(&t.peer, PEER_PATIENCE_MS, &f) == -1;
    waitpid(t.pid, &status, 0);
    peer_close(&t.peer);
    buffer_finish(&t.bytes);
    arena_finish(&t.arena);
    return closed && status == 0 ? 0 : -1;
}

/* Sends the job without waiting for anything. */
static uint64_t submit(enum weir_operation operation, const struct buffer *payload)
{
    peer_run(&t.peer, ++t.last_job, WEIR_TEXT_EMBEDDING, operation, buffer_view(payload));
    return t.last_job;
}

static uint64_t embed(const struct text_embedding_request *request)
{
    struct buffer payload;
    buffer_init(&payload, 1 << 26);
    text_embedding_request_write(&payload, request);
    const uint64_t job = submit(WEIR_EMBED, &payload);
    buffer_finish(&payload);
    return job;
}

static void accepted(uint64_t job)
{
    struct frame f;
    peer_expect(&t.peer, FRAME_ACCEPTED, &f);
    assert_int_equal(f.job, job);
}

static struct text_embedding_reply embedded(const struct text_embedding_request *request)
{
    struct text_embedding_reply reply;
    const uint64_t job = embed(request);
    accepted(job);
    assert_false(peer_output(&t.peer, job, &t.bytes).streamed);
    assert_true(text_embedding_reply_read(buffer_view(&t.bytes), &t.arena, &reply, NULL));
    const struct message_end end = peer_end(&t.peer, job);
    assert_int_equal(end.error.code, WEIR_OK);
    uint64_t tokens = 0;
    for (uint32_t i = 0; i < reply.rows; i++)
        tokens += reply.tokens[i];
    assert_int_equal(end.input_tokens, tokens);
    return reply;
}

static struct weir_error refused(const struct text_embedding_request *request)
{
    const uint64_t job = embed(request);
    accepted(job);
    return peer_end(&t.peer, job).error;
}

static struct wire_input text_of(const char *text)
{
    return (struct wire_input){ WIRE_TEXT, str_of(text) };
}

static struct wire_input ids_of(const int32_t *ids, size_t count)
{
    return (struct wire_input){
        WIRE_IDS, {(const char *)ids, count * sizeof(*ids)}
    };
}

static float length_of(const float *vector, size_t dim)
{
    float sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += vector[i] * vector[i];
    return sum;
}

static struct tokens_reply tokenized(const char *text, bool add_special)
{
    struct tokens_reply reply;
    const struct wire_input input = text_of(text);
    struct buffer payload;
    buffer_init(&payload, 1 << 26);
    tokens_request_write(&payload, &(struct tokens_request){ add_special, &input, 1 });
    const uint64_t job = submit(WEIR_TOKENIZE, &payload);
    accepted(job);
    peer_output(&t.peer, job, &t.bytes);
    assert_int_equal(peer_end(&t.peer, job).error.code, WEIR_OK);
    const struct str kept = arena_str(&t.arena, buffer_view(&t.bytes));
    assert_true(tokens_reply_read(kept, &t.arena, &reply, NULL));
    buffer_finish(&payload);
    return reply;
}

static void texts_and_their_ids_give_the_same_vectors(void **state)
{
    (void)state;
    const struct tokens_reply row = tokenized("the model is here", true);
    assert_int_equal(row.rows, 1);
    const struct wire_input inputs[] = { text_of("the model is here"),
                                         ids_of(row.ids, row.starts[1]), text_of("another") };
    const struct text_embedding_reply r =
        embedded(&(struct text_embedding_request){ .inputs = inputs, .count = 3 });
    assert_int_equal(r.rows, 3);
    assert_int_equal(r.dim, t.info.dim);
    assert_int_equal(r.tokens[0], row.starts[1]);
    assert_memory_equal(r.vectors, r.vectors + r.dim, r.dim * sizeof(float));
    assert_memory_not_equal(r.vectors, r.vectors + 2 * r.dim, r.dim * sizeof(float));
    for (uint32_t i = 0; i < 3; i++)
        assert_true(length_of(r.vectors + i * r.dim, r.dim) > 0.9999f);
}

static void no_inputs_give_no_rows(void **state)
{
    (void)state;
    const struct text_embedding_reply r = embedded(&(struct text_embedding_request){ 0 });
    assert_int_equal(r.rows, 0);
}

static void dimensions_cut_and_normalise(void **state)
{
    (void)state;
    const struct wire_input input = text_of("cut me");
    const struct text_embedding_reply whole =
        embedded(&(struct text_embedding_request){ .inputs = &input, .count = 1 });
    const struct text_embedding_reply cut =
        embedded(&(struct text_embedding_request){ .dimensions = 3, .inputs = &input, .count = 1 });
    assert_int_equal(cut.dim, 3);
    const float length = length_of(cut.vectors, 3);
    assert_true(length > 0.9999f && length < 1.0001f);
    const float scale = whole.vectors[0] / cut.vectors[0];
    for (int i = 0; i < 3; i++) {
        const float off = whole.vectors[i] - scale * cut.vectors[i];
        assert_true(off < 1e-5f && off > -1e-5f);
    }
    const struct weir_error err = refused(&(struct text_embedding_request){
        .dimensions = t.info.dim + 1, .inputs = &input, .count = 1 });
    assert_int_equal(err.code, WEIR_INVALID);
    assert_int_equal(err.value, t.info.dim + 1);
    assert_int_equal(err.limit, t.info.dim);
}

static void wrong_inputs_are_refused_by_index(void **state)
{
    (void)state;
    const int32_t beyond = (int32_t)t.info.vocab, negative = -1;
    const struct wire_input good = text_of("good");
    const struct wire_input wrong[] = { text_of(""), ids_of(NULL, 0), ids_of(&beyond, 1),
                                        ids_of(&negative, 1), text_of("bad \xff bytes") };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        const struct wire_input inputs[] = { good, wrong[i] };
        const struct weir_error err = refused(
            &(struct text_embedding_request){ .truncate = true, .inputs = inputs, .count = 2 });
        assert_int_equal(err.code, WEIR_INVALID);
        assert_int_equal(err.index, 1);
        assert_non_null(strstr(err.text, "input 1"));
    }
}

static void overlong_inputs_are_refused_or_cut(void **state)
{
    (void)state;
    const size_t words = t.info.tokens_max + 10;
    struct buffer text;
    buffer_init(&text, 1 << 20);
    for (size_t i = 0; i < words; i++)
        buffer_text(&text, "a ");
    int32_t *ids = mem_new(words, sizeof(*ids));
    const struct wire_input inputs[] = {
        text_of("short"), {WIRE_TEXT, buffer_view(&text)},
         ids_of(ids, words)
    };
    const struct weir_error err =
        refused(&(struct text_embedding_request){ .inputs = inputs, .count = 3 });
    assert_int_equal(err.code, WEIR_CONTEXT_LENGTH);
    assert_int_equal(err.index, 1);
    assert_int_equal(err.limit, t.info.tokens_max);
    assert_true(err.value > err.limit);
    assert_non_null(strstr(err.text, "exceeds the available context size"));
    const struct text_embedding_reply r = embedded(
        &(struct text_embedding_request){ .truncate = true, .inputs = inputs, .count = 3 });
    assert_int_equal(r.truncated_count, 2);
    assert_true(r.truncated[0] == 1 && r.truncated[1] == 2);
    assert_int_equal(r.tokens[1], t.info.tokens_max);
    assert_int_equal(r.tokens[2], t.info.tokens_max);
    mem_free(ids);
    buffer_finish(&text);
}

/* What is left is the end of the ids, and of a text its last words between the special tokens. */
static void the_front_is_cut_where_that_is_asked_for(void **state)
{
    (void)state;
    const size_t words = t.info.tokens_max + 10;
    struct buffer text;
    buffer_init(&text, 1 << 20);
    for (size_t i = 0; i < words; i++)
        buffer_text(&text, i < 12 ? "the " : "model ");
    const struct tokens_reply row = tokenized("model", true);
    int32_t *ids = mem_new(words, sizeof(*ids));
    for (size_t i = 0; i < words; i++)
        ids[i] = row.ids[i < 10 ? 0 : 1];
    ids[10] = row.ids[0], ids[words - 1] = row.ids[2];
    const struct wire_input inputs[] = {
        {WIRE_TEXT, buffer_view(&text)},
        ids_of(ids, words), ids_of(ids + 10, t.info.tokens_max)
    };
    const struct text_embedding_reply r = embedded(&(struct text_embedding_request){
        .truncate = true, .truncate_front = true, .inputs = inputs, .count = 3 });
    assert_int_equal(r.truncated_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(r.tokens[i], t.info.tokens_max);
        assert_memory_equal(r.vectors + i * r.dim, r.vectors + 2 * r.dim, r.dim * sizeof(float));
    }
    mem_free(ids);
    buffer_finish(&text);
}

/* Its own, in the same direction; to ask for what the model does anyway changes no bit. */
static void vectors_may_keep_their_length(void **state)
{
    (void)state;
    static const enum text_embedding_normalize asked[] = { WIRE_NORMALIZE_AS_MODEL,
                                                           WIRE_NORMALIZE_YES, WIRE_NORMALIZE_NO };
    const struct wire_input input = text_of("the model is here");
    struct text_embedding_reply r[3];
    for (size_t i = 0; i < 3; i++)
        r[i] = embedded(&(struct text_embedding_request){
            .normalize = asked[i], .inputs = &input, .count = 1 });
    assert_memory_equal(r[0].vectors, r[1].vectors, r[0].dim * sizeof(float));
    const float length = sqrtf(length_of(r[2].vectors, r[2].dim));
    assert_true(length > 1.01f || length < 0.99f);
    for (uint32_t i = 0; i < r[2].dim; i++)
        assert_float_equal(r[2].vectors[i] / length, r[0].vectors[i], 1e-5);
    const struct text_embedding_reply cut = embedded(&(struct text_embedding_request){
        .normalize = WIRE_NORMALIZE_NO, .dimensions = 3, .inputs = &input, .count = 1 });
    assert_memory_equal(cut.vectors, r[2].vectors, 3 * sizeof(float));
}

/* A crowd of jobs at once, some of them wrong: each gets the bits that it gets alone. */
static void neighbours_change_nothing(void **state)
{
    (void)state;
    enum { JOBS = 24 };
    char texts[JOBS][64];
    struct text_embedding_reply alone[JOBS];
    uint64_t first = 0;
    for (int i = 0; i < JOBS; i++) {
        snprintf(texts[i], sizeof(texts[i]), "text %d of a crowd %s", i, i % 2 ? "that talks" : "");
        const struct wire_input input = text_of(texts[i]);
        alone[i] = embedded(&(struct text_embedding_request){ .inputs = &input, .count = 1 });
    }
    for (int i = 0; i < JOBS; i++) {
        const struct wire_input input = text_of(i % 5 == 4 ? "" : texts[i]);
        const uint64_t job =
            embed(&(struct text_embedding_request){ .inputs = &input, .count = 1 });
        first = i == 0 ? job : first;
    }
    int ended = 0;
    while (ended < JOBS) {
        struct frame f;
        struct text_embedding_reply reply;
        assert_int_equal(peer_poll(&t.peer, PEER_PATIENCE_MS, &f), 1);
        const uint64_t i = f.job - first;
        if (f.type == FRAME_PART) {
            const struct str body = { (const char *)f.body, f.length };
            assert_true(text_embedding_reply_read(body, &t.arena, &reply, NULL));
            assert_memory_equal(reply.vectors, alone[i].vectors, reply.dim * sizeof(float));
        } else if (f.type == FRAME_END) {
            struct message_end end;
            assert_true(message_end_read(&f, &end, NULL));
            assert_int_equal(end.error.code, i % 5 == 4 ? WEIR_INVALID : WEIR_OK);
            ended++;
        }
    }
}

static void a_long_job_is_cancelled_and_a_short_one_overtakes_it(void **state)
{
    (void)state;
    enum { MANY = 20000 };
    struct wire_input *inputs = mem_new(MANY, sizeof(*inputs));
    for (int i = 0; i < MANY; i++)
        inputs[i] = text_of("one of very many inputs of a long job");
    const struct wire_input single = text_of("quick");
    const uint64_t slow =
        embed(&(struct text_embedding_request){ .inputs = inputs, .count = MANY });
    accepted(slow);
    const uint64_t quick = embed(&(struct text_embedding_request){ .inputs = &single, .count = 1 });
    accepted(quick);
    peer_output(&t.peer, quick, &t.bytes);
    assert_int_equal(peer_end(&t.peer, quick).error.code, WEIR_OK);
    peer_send(&t.peer, FRAME_CANCEL, slow, NULL, (struct str){ 0 });
    assert_int_equal(peer_end(&t.peer, slow).error.code, WEIR_CANCELLED);
    mem_free(inputs);
}

static void ids_become_text_again(void **state)
{
    (void)state;
    const struct tokens_reply row = tokenized("the model", true);
    const struct wire_input input = ids_of(row.ids, row.starts[1]);
    struct buffer payload;
    buffer_init(&payload, 1000);
    tokens_request_write(&payload, &(struct tokens_request){ false, &input, 1 });
    const uint64_t job = submit(WEIR_DETOKENIZE, &payload);
    accepted(job);
    peer_output(&t.peer, job, &t.bytes);
    assert_true(str_eq(buffer_view(&t.bytes), STR("the model")));
    assert_int_equal(peer_end(&t.peer, job).error.code, WEIR_OK);
    buffer_finish(&payload);
    /* Without special tokens there are two fewer; a text longer than the model takes has all. */
    assert_int_equal(tokenized("the model", false).starts[1] + 2, row.starts[1]);
    struct buffer text;
    buffer_init(&text, 1 << 20);
    for (uint32_t i = 0; i < t.info.tokens_max + 5; i++)
        buffer_text(&text, "a ");
    buffer_u8(&text, 0);
    assert_int_equal(tokenized((const char *)text.data, false).starts[1], t.info.tokens_max + 5);
    buffer_finish(&text);
}

static void other_operations_are_refused(void **state)
{
    (void)state;
    struct buffer payload;
    buffer_init(&payload, 10);
    const uint64_t job = submit(WEIR_GENERATE, &payload);
    accepted(job);
    const struct weir_error err = peer_end(&t.peer, job).error;
    assert_int_equal(err.code, WEIR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "generate"));
    buffer_finish(&payload);
}

static void assert_same(const struct text_embedding_reply *a, const struct text_embedding_reply *b)
{
    assert_int_equal(a->rows, b->rows);
    assert_memory_equal(a->tokens, b->tokens, a->rows * sizeof(*a->tokens));
    assert_memory_equal(a->vectors, b->vectors, a->rows * t.info.dim * sizeof(float));
}

static struct text_embedding_reply with_prompt(const char *text, const char *prompt)
{
    const struct wire_input input = text_of(text);
    return embedded(&(struct text_embedding_request){
        .prompt_name = str_of(prompt), .inputs = &input, .count = 1 });
}

/* The ids of both together, and pooling begins behind the prompt's own. */
static void a_prompt_stands_before_each_text(void **state)
{
    (void)state;
    static const int32_t ids[] = { 4, 2, 2, 2, 5, 3 }; /* [CLS] wa wa | wa ##ter [SEP] */
    float expected[2][256];
    struct encoder *e;
    struct team *team = team_create(1, NULL);
    assert_in_range(t.info.dim, 1, 256);
    assert_int_equal(encoder_load(PROMPTED, NULL, team, NULL, NULL, &e, NULL), WEIR_OK);
    for (size_t i = 0; i < 2; i++) {
        const struct sequence s = { .ids = ids, .count = 6, .skip = i == 0 ? 3 : 0 };
        assert_int_equal(encoder_embed(e, &s, 1, expected[i], NULL), WEIR_OK);
    }
    encoder_destroy(e);
    team_destroy(team);
    const struct text_embedding_reply prompted = with_prompt("water", "query");
    assert_int_equal(prompted.tokens[0], 6);
    assert_memory_equal(prompted.vectors, expected[0], t.info.dim * sizeof(float));
    const struct text_embedding_reply whole = with_prompt("wa wa water", "");
    assert_int_equal(whole.tokens[0], 6);
    assert_memory_equal(whole.vectors, expected[1], t.info.dim * sizeof(float));
    assert_memory_not_equal(expected[0], expected[1], t.info.dim * sizeof(float));
}

/* The prompt is in front: it goes first, and what is left of it is still not pooled. */
static void cutting_the_front_takes_the_prompt(void **state)
{
    (void)state;
    struct buffer text, ids;
    buffer_init(&text, 1 << 20);
    buffer_init(&ids, 1 << 20);
    const size_t most = t.info.tokens_max;
    for (size_t i = 0; i + 2 < most; i++) /* one too many */
        buffer_text(&text, "wa ");
    const struct wire_input input = { WIRE_TEXT, buffer_view(&text) };
    const struct text_embedding_reply r =
        embedded(&(struct text_embedding_request){ .truncate = true,
                                                   .truncate_front = true,
                                                   .prompt_name = STR("query"),
                                                   .inputs = &input,
                                                   .count = 1 });
    assert_true(r.truncated_count == 1 && r.tokens[0] == most);
    const struct tokens_reply row = tokenized("wa", true);
    for (size_t i = 0; i < most; i++)
        buffer_u32(&ids, (uint32_t)row.ids[i == 0 ? 0 : i + 1 < most ? 1 : 2]);
    /* Of the prompt's two tokens one is left, which pooling leaves out with the first. */
    const struct sequence s = { .ids = (const int32_t *)(const void *)ids.data,
                                .count = most,
                                .skip = 2 };
    float expected[256];
    struct encoder *e;
    struct team *team = team_create(1, NULL);
    assert_int_equal(encoder_load(PROMPTED, NULL, team, NULL, NULL, &e, NULL), WEIR_OK);
    assert_int_equal(encoder_embed(e, &s, 1, expected, NULL), WEIR_OK);
    assert_memory_equal(r.vectors, expected, r.dim * sizeof(float));
    encoder_destroy(e);
    team_destroy(team);
    buffer_finish(&ids);
    buffer_finish(&text);
}

static void a_prompt_may_be_empty(void **state)
{
    (void)state;
    const struct text_embedding_reply plain = with_prompt("water", "");
    const struct text_embedding_reply empty = with_prompt("water", "passage");
    assert_same(&plain, &empty);
}

static void prompts_that_cannot_be_are_refused(void **state)
{
    (void)state;
    const int32_t ids[] = { 2, 5 };
    const struct wire_input text = text_of("water"), wrong[] = { text, ids_of(ids, 2) };
    struct text_embedding_request r = { .prompt_name = STR("qury"), .inputs = &text, .count = 1 };
    struct weir_error err = refused(&r);
    assert_int_equal(err.code, WEIR_INVALID);
    assert_non_null(strstr(err.text, "qury"));
    assert_non_null(strstr(err.text, "query"));
    assert_non_null(strstr(err.text, "passage"));
    r = (struct text_embedding_request){ .prompt_name = STR("query"), .inputs = wrong, .count = 2 };
    err = refused(&r);
    assert_int_equal(err.code, WEIR_INVALID);
    assert_int_equal(err.index, 1);
    assert_non_null(strstr(err.text, "prompt_name"));
}

/* The prompt counts, and stays when the text is cut. */
static void a_prompt_takes_room(void **state)
{
    (void)state;
    char text[3 * 64];
    const uint32_t most = t.info.tokens_max;
    assert_in_range(most, 8, 64);
    memset(text, 0, sizeof(text));
    for (uint32_t i = 0; i < most - 3; i++) /* one more than there is room for */
        memcpy(text + 3 * i, "wa ", 3);
    const struct wire_input input = text_of(text);
    struct text_embedding_request r = { .prompt_name = STR("query"), .inputs = &input, .count = 1 };
    const struct weir_error err = refused(&r);
    assert_int_equal(err.code, WEIR_CONTEXT_LENGTH);
    assert_int_equal(err.value, most + 1);
    assert_int_equal(err.limit, most);
    r.truncate = true;
    struct text_embedding_reply cut = embedded(&r);
    assert_int_equal(cut.tokens[0], most);
    assert_int_equal(cut.truncated_count, 1);
    text[strlen(text) - 3] = '\0';
    const struct text_embedding_reply fits = with_prompt(text, "query");
    assert_same(&cut, &fits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_and_their_ids_give_the_same_vectors),
        cmocka_unit_test(no_inputs_give_no_rows),
        cmocka_unit_test(dimensions_cut_and_normalise),
        cmocka_unit_test(wrong_inputs_are_refused_by_index),
        cmocka_unit_test(overlong_inputs_are_refused_or_cut),
        cmocka_unit_test(the_front_is_cut_where_that_is_asked_for),
        cmocka_unit_test(vectors_may_keep_their_length),
        cmocka_unit_test(neighbours_change_nothing),
        cmocka_unit_test(a_long_job_is_cancelled_and_a_short_one_overtakes_it),
        cmocka_unit_test(ids_become_text_again),
        cmocka_unit_test(other_operations_are_refused),
    };
    const struct CMUnitTest prompted[] = {
        cmocka_unit_test(a_prompt_stands_before_each_text),
        cmocka_unit_test(a_prompt_may_be_empty),
        cmocka_unit_test(cutting_the_front_takes_the_prompt),
        cmocka_unit_test(prompts_that_cannot_be_are_refused),
        cmocka_unit_test(a_prompt_takes_room),
    };
    const int failed = cmocka_run_group_tests(tests, open_worker, close_worker);
    return failed + cmocka_run_group_tests(prompted, open_prompted, close_worker);
}
