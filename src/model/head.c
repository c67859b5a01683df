#include "model/head.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/size.h"
#include "tensor/matmul.h"
#include "tensor/team.h"

#include <math.h>
#include <string.h>

/* So many sequences pass through all modules before the next ones do: enough rows for the products
 * of Dense, few enough that what is between two modules stays small. */
enum { ROWS = 128 };

/* No vector is divided by less: that of all zeros stays so. */
#define LENGTH_LEAST 1e-12f

struct head {
    const struct modules *modules;
    const struct kernels *kernels;
    struct team *team;
    size_t hidden;
    struct packed dense[MODULES_MAX];
    float *between[2]; /* [ROWS][dim_most]: what is between two modules */
    size_t starts[ROWS];
};

enum weir_code head_bind(struct folder *f, const struct modules *modules, struct head_bound *out,
                         struct weir_error *err)
{
    struct head_bound b;
    enum weir_code code = WEIR_OK;
    memset(&b, 0, sizeof(b));
    for (size_t i = 0; code == WEIR_OK && i < modules->count; i++) {
        const struct module *m = &modules->list[i];
        const int64_t dims[] = { m->columns, m->depth };
        if (m->kind != MODULE_DENSE)
            continue;
        code = weight_files_open(f, m->folder, &b.files[i], err);
        if (code != WEIR_OK)
            break;
        b.weights[i] = weight_files_find(&b.files[i], "linear.weight");
        b.biases[i] = m->has_bias ? weight_files_find(&b.files[i], "linear.bias") : NULL;
        code = safetensors_expect(b.weights[i], "linear.weight", dims, 2, err);
        if (code == WEIR_OK && m->has_bias)
            code = safetensors_expect(b.biases[i], "linear.bias", dims, 1, err);
        if (code != WEIR_OK)
            weir_wrap(err, "'%.80s'", b.files[i].name);
    }
    if (code != WEIR_OK) {
        head_bound_finish(&b);
        return code;
    }
    *out = b;
    return WEIR_OK;
}

void head_bound_finish(struct head_bound *b)
{
    for (size_t i = 0; i < MODULES_MAX; i++)
        weight_files_close(&b->files[i]);
    memset(b, 0, sizeof(*b));
}

bool head_bytes(const struct modules *modules, const struct kernels *k, uint64_t *out_bytes)
{
    uint64_t all = 0;
    for (size_t i = 0; i < modules->count; i++) {
        const struct module *m = &modules->list[i];
        uint64_t bytes;
        if (m->kind == MODULE_DENSE &&
            (!packed_bytes(k, PRECISION_F32, m->columns, m->depth, &bytes) ||
             !size_add(all, bytes, &all)))
            return false;
    }
    *out_bytes = all;
    return true;
}

static void view_dense(struct packed dense[MODULES_MAX], const struct modules *modules,
                       const struct kernels *k, const void *block)
{
    const char *at = block;
    for (size_t i = 0; i < modules->count; i++) {
        const struct module *m = &modules->list[i];
        uint64_t bytes;
        if (m->kind != MODULE_DENSE)
            continue;
        CHECK(packed_bytes(k, PRECISION_F32, m->columns, m->depth, &bytes));
        packed_view(&dense[i], k, PRECISION_F32, m->columns, m->depth, at);
        at += bytes;
    }
}

void head_fill(void *block, const struct head_bound *bound, const struct modules *modules,
               const struct kernels *k, struct team *team)
{
    struct packed dense[MODULES_MAX];
    view_dense(dense, modules, k, block);
    for (size_t i = 0; i < modules->count; i++) {
        if (modules->list[i].kind != MODULE_DENSE)
            continue;
        char *to = (char *)block + ((const char *)dense[i].panels - (const char *)block);
        packed_fill(&dense[i], to, k, team, 0, bound->weights[i], bound->biases[i]);
    }
}

static bool has_dense(const struct modules *modules)
{
    for (size_t i = 0; i < modules->count; i++) {
        if (modules->list[i].kind == MODULE_DENSE)
            return true;
    }
    return false;
}

uint64_t head_private_bytes(const struct modules *modules)
{
    uint64_t between = 2 * ROWS * sizeof(float) * (uint64_t)modules->dim_most;
    return sizeof(struct head) + (has_dense(modules) ? between : 0);
}

enum weir_code head_create(const struct modules *modules, uint32_t hidden, const void *block,
                           const struct kernels *k, struct team *team, struct head **out,
                           struct weir_error *err)
{
    struct head *h = mem_new(1, sizeof(*h));
    h->modules = modules;
    h->kernels = k;
    h->team = team;
    h->hidden = hidden;
    view_dense(h->dense, modules, k, block);
    for (size_t i = 0; has_dense(modules) && i < ARRAY_COUNT(h->between); i++) {
        struct size_text text;
        size_t bytes = ROWS * sizeof(float) * (size_t)modules->dim_most;
        h->between[i] = mem_try_aligned(bytes, PACKED_ALIGNMENT);
        if (h->between[i] == NULL) {
            head_destroy(h);
            return weir_fail(err, WEIR_NO_MEMORY, "no memory for %s of vectors",
                             size_format(bytes, &text));
        }
    }
    *out = h;
    return WEIR_OK;
}

void head_destroy(struct head *h)
{
    if (h == NULL)
        return;
    for (size_t i = 0; i < ARRAY_COUNT(h->between); i++)
        mem_free(h->between[i]);
    mem_free(h);
}

static void pool_sum(const struct kernels *k, const float *states, size_t tokens, size_t hidden,
                     float *out)
{
    memcpy(out, states, hidden * sizeof(*out));
    for (size_t i = 1; i < tokens; i++)
        k->add(out, states + i * hidden, hidden);
}

/* A number that is none stays in sight. */
static void pool_max(const float *states, size_t tokens, size_t hidden, float *out)
{
    memcpy(out, states, hidden * sizeof(*out));
    for (size_t token = 1; token < tokens; token++) {
        const float *state = states + token * hidden;
        for (size_t i = 0; i < hidden; i++)
            out[i] = out[i] < state[i] || isnan(state[i]) ? state[i] : out[i];
    }
}

static void pool(const struct kernels *k, enum pooling pooling, const float *states, size_t tokens,
                 size_t hidden, float *out)
{
    switch (pooling) {
    case POOLING_CLS: memcpy(out, states, hidden * sizeof(*out)); break;
    case POOLING_LAST: memcpy(out, states + (tokens - 1) * hidden, hidden * sizeof(*out)); break;
    case POOLING_MAX: pool_max(states, tokens, hidden, out); break;
    case POOLING_MEAN:
        pool_sum(k, states, tokens, hidden, out);
        k->scale(out, 1 / (float)tokens, hidden);
        break;
    case POOLING_MEAN_SQRT:
        pool_sum(k, states, tokens, hidden, out);
        k->scale(out, 1 / sqrtf((float)tokens), hidden);
        break;
    case POOLING_COUNT: break;
    }
}

/* What is done to each row by itself, between two products. */
struct rows {
    const struct head *head;
    const float *states; /* pooled first; NULL: the rows are there */
    const struct sequence *sequences;
    bool tanh;
    size_t normalizes;
    bool is_end; /* no module follows */
    float *out;  /* [rows][width] */
    size_t width;
};

static void row_task(void *context, uint32_t task, uint32_t thread)
{
    const struct rows *r = context;
    const struct head *h = r->head;
    const struct kernels *k = h->kernels;
    float *row = r->out + task * r->width;
    (void)thread;
    for (size_t i = 0; r->states && i < h->modules->pooling_count; i++) {
        const struct sequence *s = &r->sequences[task];
        pool(k, h->modules->poolings[i], r->states + (h->starts[task] + s->skip) * h->hidden,
             s->count - s->skip, h->hidden, row + i * h->hidden);
    }
    for (size_t i = 0; r->tanh && i < r->width; i++)
        row[i] = tanhf(row[i]);
    const bool keeps_length = r->is_end && r->sequences[task].keeps_length;
    for (size_t i = 0; i < r->normalizes && !keeps_length; i++) {
        float length = sqrtf(k->dot(row, row, r->width));
        k->scale(row, 1 / fmaxf(length, LENGTH_LEAST), r->width);
    }
}

static enum activation fused(enum dense_activation activation)
{
    switch (activation) {
    case DENSE_GELU: return ACTIVATION_GELU;
    case DENSE_RELU: return ACTIVATION_RELU;
    case DENSE_NONE:
    case DENSE_TANH: /* by rows, afterwards */
    case DENSE_ACTIVATION_COUNT: break;
    }
    return ACTIVATION_NONE;
}

/* Where the vectors stand after the modules before `next`: the last Dense writes the result. */
static float *target(const struct head *h, size_t next, const float *now, float *out)
{
    for (size_t i = next; i < h->modules->count; i++) {
        if (h->modules->list[i].kind == MODULE_DENSE)
            return now == h->between[0] ? h->between[1] : h->between[0];
    }
    return out;
}

static void run_rows(struct head *h, const float *states, const struct sequence *sequences,
                     size_t count, float *out)
{
    const struct modules *m = h->modules;
    struct rows rows = { .head = h,
                         .states = states,
                         .sequences = sequences,
                         .out = target(h, 0, NULL, out),
                         .width = m->pooling_count * h->hidden };
    for (size_t i = 0;; i++) {
        rows.normalizes = 0;
        for (; i < m->count && m->list[i].kind == MODULE_NORMALIZE; i++)
            rows.normalizes++;
        rows.is_end = i == m->count;
        if (rows.states || rows.tanh || rows.normalizes > 0)
            team_run(h->team, row_task, &rows, (uint32_t)count);
        if (i == m->count)
            return;
        struct matmul product = { .weights = &h->dense[i],
                                  .a = rows.out,
                                  .a_stride = rows.width,
                                  .rows = count,
                                  .out = target(h, i + 1, rows.out, out),
                                  .out_stride = m->list[i].columns,
                                  .activation = fused(m->list[i].activation) };
        matmul_run(&product, h->kernels, h->team);
        rows.states = NULL;
        rows.tanh = m->list[i].activation == DENSE_TANH;
        rows.out = product.out;
        rows.width = m->list[i].columns;
    }
}

void head_run(struct head *h, const float *states, const struct sequence *sequences, size_t count,
              float *out)
{
    while (count > 0) {
        const size_t some = count < ROWS ? count : ROWS;
        size_t tokens = 0;
        for (size_t i = 0; i < some; i++) {
            CHECK(sequences[i].skip < sequences[i].count);
            h->starts[i] = tokens;
            tokens += sequences[i].count;
        }
        run_rows(h, states, sequences, some, out);
        states += tokens * h->hidden;
        sequences += some;
        count -= some;
        out += some * h->modules->dim;
    }
}
