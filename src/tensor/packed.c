#include "tensor/packed.h"

#include "base/check.h"
#include "base/size.h"
#include "tensor/team.h"

enum { CONVERT_FLOATS = 512 };

const char *packed_layout(const struct kernels *k, enum precision precision)
{
    return k->matmul[precision].layout;
}

static uint64_t panel_bytes(const struct matmul_kernel *kernel, enum precision precision,
                            uint64_t depth)
{
    uint64_t number = precision == PRECISION_F32 ? sizeof(float) : sizeof(uint16_t);
    if (kernel->round)
        depth += depth % 2;
    return depth * kernel->columns * number;
}

bool packed_bytes(const struct kernels *k, enum precision precision, uint64_t columns,
                  uint64_t depth, uint64_t *out_bytes)
{
    const struct matmul_kernel *kernel = &k->matmul[precision];
    uint64_t nr = kernel->columns, bytes;
    if (!size_add(columns, nr - 1, &columns) || depth > UINT64_MAX / nr / sizeof(float) - 2)
        return false;
    uint64_t panel = panel_bytes(kernel, precision, depth) + nr * sizeof(float);
    if (!size_mul(columns / nr, panel, &bytes) || !size_add(bytes, PACKED_ALIGNMENT - 1, &bytes))
        return false;
    *out_bytes = bytes / PACKED_ALIGNMENT * PACKED_ALIGNMENT;
    return true;
}

static size_t bias_offset(const struct matmul_kernel *kernel, const struct packed *p)
{
    return (p->columns + kernel->columns - 1) / kernel->columns * p->panel_bytes;
}

void packed_view(struct packed *p, const struct kernels *k, enum precision precision,
                 size_t columns, size_t depth, const void *block)
{
    const struct matmul_kernel *kernel = &k->matmul[precision];
    CHECK(columns > 0 && depth > 0 && (uintptr_t)block % PACKED_ALIGNMENT == 0);
    *p = (struct packed){
        .precision = precision,
        .panels = block,
        .columns = columns,
        .depth = depth,
        .panel_bytes = (size_t)panel_bytes(kernel, precision, depth),
    };
    const char *bias = (const char *)block + bias_offset(kernel, p);
    p->bias = (const float *)(const void *)bias;
}

struct fill {
    const struct packed *packed;
    const struct matmul_kernel *kernel;
    char *panels;
    size_t at;
    const struct tensor *weight;
};

/* Numbers `first` … of one column of a panel. */
static void put_f32(const struct fill *f, float *panel, size_t column, size_t first,
                    const float *numbers, size_t count)
{
    const size_t nr = f->kernel->columns;
    for (size_t i = 0; i < count; i++)
        panel[(first + i) * nr + column] = numbers[i];
}

static void put_bf16(const struct fill *f, uint16_t *panel, size_t column, size_t first,
                     const float *numbers, size_t count)
{
    const size_t nr = f->kernel->columns, half = nr / 2;
    for (size_t i = 0; i < count; i++) {
        const size_t k = first + i;
        size_t place = k * nr + column % half * 2 + column / half;
        if (f->kernel->round)
            place = k / 2 * 2 * nr + column * 2 + k % 2;
        panel[place] = dtype_bf16(numbers[i]);
    }
}

/* One task packs what falls into one panel, row by row: the panel stays in the fastest cache. */
static void fill_panel(void *context, uint32_t task, uint32_t thread)
{
    const struct fill *f = context;
    const size_t depth = f->packed->depth, nr = f->kernel->columns;
    const size_t element = dtype_size(f->weight->dtype);
    const size_t panel = f->at / nr + task;
    void *to = f->panels + panel * f->packed->panel_bytes;
    float numbers[CONVERT_FLOATS];
    (void)thread;
    for (size_t column = 0; column < nr; column++) {
        size_t n = panel * nr + column;
        if (n < f->at || n - f->at >= (size_t)f->weight->dims[0])
            continue;
        const char *row = tensor_row(f->weight, n - f->at);
        for (size_t done = 0; done < depth;) {
            size_t some = depth - done < CONVERT_FLOATS ? depth - done : CONVERT_FLOATS;
            dtype_to_f32(f->weight->dtype, row + done * element, numbers, some);
            if (f->packed->precision == PRECISION_F32)
                put_f32(f, to, column, done, numbers, some);
            else
                put_bf16(f, to, column, done, numbers, some);
            done += some;
        }
    }
}

void packed_fill(const struct packed *p, void *block, const struct kernels *k, struct team *team,
                 size_t at, const struct tensor *weight, const struct tensor *bias)
{
    const struct matmul_kernel *kernel = &k->matmul[p->precision];
    size_t rows = (size_t)weight->dims[0];
    CHECK(block == p->panels);
    CHECK(weight->rank == 2 && (size_t)weight->dims[1] == p->depth);
    CHECK(at <= p->columns && rows <= p->columns - at);
    if (bias) {
        float *to = (float *)(void *)((char *)block + bias_offset(kernel, p));
        CHECK(bias->rank == 1 && bias->dims[0] == weight->dims[0]);
        dtype_to_f32(bias->dtype, bias->data, to + at, rows);
    }
    if (rows == 0)
        return;
    struct fill fill = {
        .packed = p, .kernel = kernel, .panels = block, .at = at, .weight = weight
    };
    size_t panels = (at + rows - 1) / kernel->columns - at / kernel->columns + 1;
    team_run(team, fill_panel, &fill, (uint32_t)panels);
}
