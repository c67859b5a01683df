#include "tensor/matmul.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/size.h"
#include "tensor/team.h"

#include <string.h>

enum { ALIGNMENT = 64, CONVERT_FLOATS = 512 };

/* A block of rows of `a` stays in the second-level cache while all panels of a task pass by. */
enum { BLOCK_FLOATS = 192 * 1024 / sizeof(float) };

/* Enough pieces that a thread which lost its core for a while does not hold up the others. */
enum { TASKS_PER_THREAD = 4 };

static size_t panels_of(const struct kernels *k, size_t columns)
{
    return (columns + k->matmul.columns - 1) / k->matmul.columns;
}

bool packed_bytes(const struct kernels *k, uint64_t columns, uint64_t depth, uint64_t *out_bytes)
{
    uint64_t nr = k->matmul.columns, rows, floats;
    if (!size_add(columns, nr - 1, &rows) || !size_add(depth, 1, &depth))
        return false;
    rows = rows / nr * nr;
    if (!size_mul(rows, depth, &floats) || !size_mul(floats, sizeof(float), &floats))
        return false;
    *out_bytes = floats;
    return true;
}

enum weir_code packed_init(struct packed *p, const struct kernels *k, size_t columns, size_t depth,
                           struct weir_error *err)
{
    uint64_t bytes = 0;
    struct size_text text;
    CHECK(columns > 0 && depth > 0);
    float *block = NULL;
    if (packed_bytes(k, columns, depth, &bytes))
        block = mem_try_aligned(bytes, ALIGNMENT);
    if (block == NULL)
        return weir_fail(err, WEIR_NO_MEMORY, "no memory for %s of packed weights [%zu,%zu]",
                         size_format(bytes, &text), columns, depth);
    *p = (struct packed){
        .panels = block,
        .bias = block + panels_of(k, columns) * k->matmul.columns * depth,
        .columns = columns,
        .depth = depth,
    };
    return WEIR_OK;
}

void packed_finish(struct packed *p)
{
    mem_free(p->panels);
    memset(p, 0, sizeof(*p));
}

struct fill {
    struct packed *packed;
    size_t nr;
    size_t at;
    const struct tensor *weight;
};

/* One task packs what falls into one panel, row by row: the panel stays in the fastest cache. */
static void fill_panel(void *context, uint32_t task, uint32_t thread)
{
    const struct fill *f = context;
    const size_t depth = f->packed->depth;
    const size_t element = dtype_size(f->weight->dtype);
    const size_t panel = f->at / f->nr + task;
    float *to = f->packed->panels + panel * f->nr * depth;
    float numbers[CONVERT_FLOATS];
    (void)thread;
    for (size_t column = 0; column < f->nr; column++) {
        size_t n = panel * f->nr + column;
        if (n < f->at || n - f->at >= (size_t)f->weight->dims[0])
            continue;
        const char *row = tensor_row(f->weight, n - f->at);
        for (size_t done = 0; done < depth;) {
            size_t some = depth - done < CONVERT_FLOATS ? depth - done : CONVERT_FLOATS;
            dtype_to_f32(f->weight->dtype, row + done * element, numbers, some);
            for (size_t i = 0; i < some; i++)
                to[(done + i) * f->nr + column] = numbers[i];
            done += some;
        }
    }
}

void packed_fill(struct packed *p, const struct kernels *k, struct team *team, size_t at,
                 const struct tensor *weight, const struct tensor *bias)
{
    size_t nr = k->matmul.columns;
    size_t rows = (size_t)weight->dims[0];
    CHECK(weight->rank == 2 && (size_t)weight->dims[1] == p->depth);
    CHECK(at <= p->columns && rows <= p->columns - at);
    if (bias) {
        CHECK(bias->rank == 1 && bias->dims[0] == weight->dims[0]);
        dtype_to_f32(bias->dtype, bias->data, p->bias + at, rows);
    }
    if (rows == 0)
        return;
    struct fill fill = { .packed = p, .nr = nr, .at = at, .weight = weight };
    size_t panels = (at + rows - 1) / nr - at / nr + 1;
    team_run(team, fill_panel, &fill, (uint32_t)panels);
}

/* The grid of tasks: blocks of rows × groups of panels. */
struct grid {
    const struct matmul *m;
    const struct kernels *k;
    size_t block_rows;
    size_t panels;
    size_t group_panels;
    size_t groups;
};

static struct grid grid_of(const struct matmul *m, const struct kernels *k, uint32_t threads)
{
    struct grid g = { .m = m, .k = k, .panels = panels_of(k, m->weights->columns) };
    size_t mr = k->matmul.rows;
    size_t most = BLOCK_FLOATS / m->weights->depth / mr * mr;
    if (most < mr)
        most = mr;
    size_t blocks = (m->rows + most - 1) / most;
    g.block_rows = ((m->rows + blocks - 1) / blocks + mr - 1) / mr * mr;
    blocks = (m->rows + g.block_rows - 1) / g.block_rows;
    size_t groups = threads < 2 ? 1 : (TASKS_PER_THREAD * threads + blocks - 1) / blocks;
    if (groups > g.panels)
        groups = g.panels;
    g.group_panels = (g.panels + groups - 1) / groups;
    g.groups = (g.panels + g.group_panels - 1) / g.group_panels;
    return g;
}

/* All rows of a block against one panel, in tiles as equal as they can be: 7 rows are 4 and 3. */
static void run_panel(const struct grid *g, size_t panel, size_t first, size_t rows)
{
    const struct matmul *m = g->m;
    const struct packed *w = m->weights;
    size_t nr = g->k->matmul.columns;
    size_t column = panel * nr;
    size_t tiles = (rows + g->k->matmul.rows - 1) / g->k->matmul.rows;
    struct matmul_tile t = {
        .a_stride = m->a_stride,
        .panel = w->panels + column * w->depth,
        .depth = w->depth,
        .bias = w->bias + column,
        .addend_stride = m->addend_stride,
        .out_stride = m->out_stride,
        .columns = w->columns - column < nr ? w->columns - column : nr,
        .activation = m->activation,
    };
    for (size_t i = 0; i < tiles; i++) {
        size_t row = first + rows * i / tiles;
        t.rows = first + rows * (i + 1) / tiles - row;
        t.a = m->a + row * m->a_stride;
        t.out = m->out + row * m->out_stride + column;
        t.addend = m->addend ? m->addend + row * m->addend_stride + column : NULL;
        g->k->matmul.tile(&t);
    }
}

static void run_task(void *context, uint32_t task, uint32_t thread)
{
    const struct grid *g = context;
    size_t first = task / g->groups * g->block_rows;
    size_t rows = g->m->rows - first < g->block_rows ? g->m->rows - first : g->block_rows;
    size_t panel = task % g->groups * g->group_panels;
    size_t end = panel + g->group_panels < g->panels ? panel + g->group_panels : g->panels;
    (void)thread;
    for (; panel < end; panel++)
        run_panel(g, panel, first, rows);
}

void matmul_run(const struct matmul *m, const struct kernels *k, struct team *team)
{
    if (m->rows == 0)
        return;
    struct grid g = grid_of(m, k, team_share(team));
    size_t tasks = (m->rows + g.block_rows - 1) / g.block_rows * g.groups;
    CHECK(tasks <= UINT32_MAX);
    team_run(team, run_task, &g, (uint32_t)tasks);
}
