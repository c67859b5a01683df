#include "tensor/matmul.h"

#include "base/check.h"
#include "tensor/team.h"

/* A block of rows of `a` stays in the second-level cache while all panels of a task pass by. */
enum { BLOCK_FLOATS = 192 * 1024 / sizeof(float) };

/* So many rows at a time are rounded and multiplied, where the kernel wants them rounded. */
enum { ROUND_ROWS = 48 };

/* Enough pieces that a thread which lost its core for a while does not hold up the others. */
enum { TASKS_PER_THREAD = 4 };

uint64_t matmul_scratch_bytes(const struct kernels *k, enum precision precision, uint64_t depth)
{
    if (k->matmul[precision].round == NULL)
        return 0;
    uint64_t bytes = ROUND_ROWS * (depth + depth % 2) * sizeof(uint16_t);
    return (bytes + PACKED_ALIGNMENT - 1) / PACKED_ALIGNMENT * PACKED_ALIGNMENT;
}

/* Rows `first` … first + rows − 1 against the panels from `panel` up to `end`. */
struct piece {
    const struct matmul *m;
    const struct matmul_kernel *kernel;
    size_t first, rows;
    size_t panel, end;
    uint16_t *scratch;
};

/* All rows of the piece against one panel, in tiles as equal as they can be: 7 rows are 4 and 3.
 * `a` is the piece's first row. */
static void run_panel(const struct piece *p, size_t panel, const void *a, size_t a_row_bytes)
{
    const struct matmul *m = p->m;
    const struct packed *w = m->weights;
    const size_t nr = p->kernel->columns, column = panel * nr;
    const size_t tiles = (p->rows + p->kernel->rows - 1) / p->kernel->rows;
    struct matmul_tile t = {
        .a_stride = a_row_bytes / (p->scratch ? sizeof(uint16_t) : sizeof(float)),
        .panel = (const char *)w->panels + panel * w->panel_bytes,
        .depth = w->depth,
        .bias = w->bias + column,
        .addend_stride = m->addend_stride,
        .out_stride = m->out_stride,
        .columns = w->columns - column < nr ? w->columns - column : nr,
        .activation = m->activation,
        .ahead_step = w->panel_bytes / (tiles * w->depth),
    };
    for (size_t i = 0; i < tiles; i++) {
        const size_t at = p->rows * i / tiles, row = p->first + at;
        t.rows = p->rows * (i + 1) / tiles - at;
        t.a = (const char *)a + at * a_row_bytes;
        t.out = m->out + row * m->out_stride + column;
        t.addend = m->addend ? m->addend + row * m->addend_stride + column : NULL;
        t.ahead = (const char *)t.panel + w->panel_bytes + w->panel_bytes * i / tiles;
        p->kernel->tile(&t);
    }
}

static void run_piece(const struct piece *p)
{
    const struct matmul *m = p->m;
    const float *a = m->a + p->first * m->a_stride;
    for (size_t panel = p->panel; panel < p->end; panel++)
        run_panel(p, panel, a, m->a_stride * sizeof(float));
}

/* The same where the kernel multiplies rounded rows: a few rows at a time are rounded once. */
static void run_rounded(struct piece *p)
{
    const struct matmul *m = p->m;
    const size_t depth = m->weights->depth, stride = depth + depth % 2;
    const size_t end = p->first + p->rows;
    for (; p->first < end; p->first += p->rows) {
        p->rows = end - p->first < ROUND_ROWS ? end - p->first : ROUND_ROWS;
        for (size_t i = 0; i < p->rows; i++)
            p->kernel->round(p->scratch + i * stride, m->a + (p->first + i) * m->a_stride, depth);
        for (size_t panel = p->panel; panel < p->end; panel++)
            run_panel(p, panel, p->scratch, stride * sizeof(uint16_t));
    }
}

static void run_any(struct piece *p)
{
    if (p->kernel->round)
        run_rounded(p);
    else
        run_piece(p);
}

/* The grid of tasks: blocks of rows × groups of panels. */
struct grid {
    const struct matmul *m;
    const struct matmul_kernel *kernel;
    uint64_t scratch_bytes;
    size_t block_rows;
    size_t panels;
    size_t group_panels;
    size_t groups;
};

static struct grid grid_of(const struct matmul *m, const struct kernels *k, uint32_t threads)
{
    const struct packed *w = m->weights;
    const struct matmul_kernel *kernel = &k->matmul[w->precision];
    const size_t mr = kernel->rows;
    struct grid g = {
        .m = m,
        .kernel = kernel,
        .scratch_bytes = matmul_scratch_bytes(k, w->precision, w->depth),
        .panels = (w->columns + kernel->columns - 1) / kernel->columns,
    };
    size_t most = BLOCK_FLOATS / w->depth / mr * mr;
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

static void run_task(void *context, uint32_t task, uint32_t thread)
{
    const struct grid *g = context;
    struct piece p = { .m = g->m, .kernel = g->kernel };
    p.first = task / g->groups * g->block_rows;
    p.rows = g->m->rows - p.first < g->block_rows ? g->m->rows - p.first : g->block_rows;
    p.panel = task % g->groups * g->group_panels;
    p.end = p.panel + g->group_panels < g->panels ? p.panel + g->group_panels : g->panels;
    if (g->scratch_bytes > 0)
        p.scratch = (uint16_t *)(void *)((char *)g->m->scratch + thread * g->scratch_bytes);
    run_any(&p);
}

void matmul_run(const struct matmul *m, const struct kernels *k, struct team *team)
{
    if (m->rows == 0)
        return;
    struct grid g = grid_of(m, k, team_share(team));
    CHECK(m->scratch != NULL || g.scratch_bytes == 0);
    size_t tasks = (m->rows + g.block_rows - 1) / g.block_rows * g.groups;
    CHECK(tasks <= UINT32_MAX);
    team_run(team, run_task, &g, (uint32_t)tasks);
}

void matmul_alone(const struct matmul *m, const struct kernels *k)
{
    const struct matmul_kernel *kernel = &k->matmul[m->weights->precision];
    struct piece p = {
        .m = m,
        .kernel = kernel,
        .rows = m->rows,
        .end = (m->weights->columns + kernel->columns - 1) / kernel->columns,
        .scratch = kernel->round ? m->scratch : NULL,
    };
    CHECK(m->scratch != NULL || kernel->round == NULL);
    run_any(&p);
}
