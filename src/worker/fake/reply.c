#include "worker/fake/reply.h"

#include "base/mem.h"
#include "wire/text_embedding.h"
#include "worker/fake/answer.h"
#include "worker/fake/png.h"
#include "worker/vectors.h"

enum weir_code reply_vectors(struct fake_job *j, struct control *c, struct weir_error *err)
{
    const size_t dim = j->spec->dim;
    struct text_embedding_reply reply = { .rows = (uint32_t)j->count, .dim = j->dimensions };
    float *vectors = mem_try(j->count * dim + 1, sizeof(*vectors));
    uint32_t *tokens = mem_try(j->count + 1, sizeof(*tokens));
    uint32_t *truncated = mem_try(j->count + 1, sizeof(*truncated));
    struct buffer payload;
    buffer_init(&payload, WIRE_PAYLOAD_MAX);
    if (vectors && tokens && truncated) {
        for (size_t i = 0; i < j->count; i++) {
            tokens[i] = answer_tokens(&j->inputs[i]);
            if (tokens[i] > SPEC_TOKENS_MAX) {
                tokens[i] = SPEC_TOKENS_MAX;
                truncated[reply.truncated_count++] = (uint32_t)i;
            }
            answer_vector(answer_kept(&j->inputs[i], tokens[i], j->truncate_front),
                          vectors + i * dim, dim);
            if (j->normalize != WIRE_NORMALIZE_NO)
                vectors_normalize(vectors + i * dim, dim);
        }
        vectors_cut(vectors, j->count, dim, j->dimensions, j->normalize);
        reply.vectors = vectors;
        reply.tokens = tokens;
        reply.truncated = truncated;
        text_embedding_reply_write(&payload, &reply);
    }
    const bool good = payload.len > 0 && !payload.failed;
    if (good)
        control_output(c, &j->job, buffer_view(&payload), false);
    buffer_finish(&payload);
    mem_free(vectors);
    mem_free(tokens);
    mem_free(truncated);
    return good ? WEIR_OK
                : weir_fail(err, WEIR_MODEL_FAILED, "no room for %zu vectors of %zu numbers",
                            j->count, dim);
}

static enum weir_code too_much(struct weir_error *err)
{
    return weir_fail(err, WEIR_MODEL_FAILED, "the answer is longer than %zu bytes",
                     WIRE_PAYLOAD_MAX);
}

enum weir_code reply_ids(struct fake_job *j, struct control *c, struct weir_error *err)
{
    struct buffer payload;
    buffer_init(&payload, WIRE_PAYLOAD_MAX);
    for (size_t i = 0; i < j->count; i++)
        answer_tokenize(&payload, j->inputs[i].data);
    const bool good = !payload.failed;
    if (good)
        control_output(c, &j->job, buffer_view(&payload), false);
    buffer_finish(&payload);
    return good ? WEIR_OK : too_much(err);
}

/* An output for each input. */
enum weir_code reply_texts(struct fake_job *j, struct control *c, struct weir_error *err)
{
    bool good = true;
    struct buffer payload;
    buffer_init(&payload, WIRE_PAYLOAD_MAX);
    for (size_t i = 0; i < j->count && good; i++) {
        buffer_clear(&payload);
        answer_detokenize(&payload, j->inputs[i].data);
        good = !payload.failed;
        if (good)
            control_output(c, &j->job, buffer_view(&payload), false);
    }
    buffer_finish(&payload);
    return good ? WEIR_OK : too_much(err);
}

bool reply_word(struct fake_job *j, struct control *c, size_t index)
{
    const bool sent = control_output(c, &j->job, j->words.pieces[index], true);
    j->usage.output_tokens += sent;
    return sent;
}

static void paint(struct fake_job *j, size_t index)
{
    struct buffer file;
    const uint32_t width = j->draw.width, height = j->draw.height;
    uint8_t *rgb = mem_new((size_t)width * height, 3);
    answer_picture(j->draw.prompt, j->draw.seed + index, width, height, rgb);
    buffer_init(&file, WIRE_PAYLOAD_MAX);
    png_write(&file, rgb, width, height);
    buffer_init(&j->picture, WIRE_PAYLOAD_MAX);
    draw_reply_write(&j->picture, &(struct draw_reply){ .width = width,
                                                        .height = height,
                                                        .media_type = STR("image/png"),
                                                        .image = buffer_view(&file) });
    buffer_finish(&file);
    mem_free(rgb);
}

/* Painted once, however often there is no credit for it. */
bool reply_picture(struct fake_job *j, struct control *c, size_t index)
{
    if (j->picture.len == 0)
        paint(j, index);
    const bool sent = control_output(c, &j->job, buffer_view(&j->picture), true);
    if (sent)
        buffer_finish(&j->picture);
    return sent;
}
